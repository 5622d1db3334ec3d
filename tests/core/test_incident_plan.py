"""Plans of steps: clocks, reminders, what a record lacks, and how a drill went."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import incident_plan as plan
from bot.core.incident_plan import Gap, Record, Standing
from bot.core.ladder import Exhausted, Notify, Roster, Subject, Wait, next_rung
from bot.core.policy import WAYS
from bot.core.words import IncidentState, Role, StepKind, StepState

NOON = datetime(2026, 1, 5, 4, 0, tzinfo=UTC)


def m(minutes: float) -> timedelta:
    return timedelta(minutes=minutes)


def step(
    kind: StepKind = StepKind.DO,
    state: StepState = StepState.OPEN,
    after: str = plan.REPORTED,
    due: float | None = None,
    done: float | None = None,
) -> Standing:
    return Standing(
        "a",
        kind,
        after,
        None if due is None else m(due),
        state,
        None if due is None else NOON + m(due),
        None if done is None else NOON + m(done),
    )


def test_a_step_waits_for_what_it_follows() -> None:
    waiting = step(after="company", state=StepState.WAITING)
    assert plan.starts(waiting, {plan.REPORTED: NOON}) is None
    assert plan.starts(waiting, {plan.REPORTED: NOON, "company": NOON + m(7)}) == NOON + m(7)
    assert plan.due(NOON + m(7), m(60)) == NOON + m(67)
    assert plan.due(NOON, None) is None


@pytest.mark.parametrize(
    ("kind", "after", "moot"),
    [
        (StepKind.DO, plan.REPORTED, True),
        (StepKind.TELL, plan.REPORTED, True),
        (StepKind.ARRIVE, "company", True),
        (StepKind.REPORT, "company", False),  # owed all the same (REQ-F45)
        (StepKind.DO, plan.RECOVERED, False),
        (StepKind.DO, plan.CLEARED, False),
    ],
)
def test_what_recovery_makes_moot(kind: StepKind, after: str, moot: bool) -> None:
    assert plan.moot(step(kind, after=after)) is moot
    assert not plan.moot(step(kind, StepState.DONE, after))


def told(within: timedelta | None, minutes: float, notified: int, last: float) -> Notify | Wait | Exhausted:
    roster = Roster({Role.LEADER: (1,), Role.SUPERVISOR: (2,), Role.MANAGER: (3,)})
    subject = Subject(NOON, notified, NOON + m(last))
    return next_rung(plan.ladder((Role.LEADER,), within), subject, roster, NOON + m(minutes))


def test_reminders_of_a_step_of_fifteen_minutes() -> None:
    """At once, a last time at ten, then those above at fifteen and every five."""
    assert told(m(15), 0, 0, 0) == Notify(0, (1,), WAYS)
    assert told(m(15), 1, 1, 0) == Wait(NOON + m(10))
    assert told(m(15), 10, 1, 0) == Notify(1, (1,), WAYS)
    assert told(m(15), 15, 2, 10) == Notify(2, (1, 2), WAYS)
    assert told(m(15), 20, 3, 15) == Notify(2, (1, 2), WAYS, 1)
    assert told(m(15), 500, 3 + plan.NAGS, 45) == Exhausted()


def test_a_short_step_has_no_reminder_before_it_is_due_and_one_without_a_clock_none_at_all() -> None:
    assert told(m(5), 1, 1, 0) == Wait(NOON + m(5))
    assert told(None, 600, 1, 0) == Exhausted()


@pytest.mark.parametrize(
    ("kind", "within", "asked", "left"),
    [
        (StepKind.DECIDE, 60, 55, 5),  # REQ-B20: at the hour, not at the first minute
        (StepKind.DECIDE, 30, 25, 5),
        (StepKind.DECIDE, 29, 0, 29),
        (StepKind.REPORT, 60, 0, 60),
    ],
)
def test_a_decision_of_later_is_put_to_people_when_it_nears(kind: StepKind, within: int, asked: int, left: int) -> None:
    assert plan.asked(kind, NOON, m(within)) == (NOON + m(asked), m(left))


FULL = Record(
    state=IncidentState.REVIEWED,
    steps=(step(state=StepState.DONE), step(StepKind.REPORT, StepState.DONE)),
    kinds=frozenset({"action", "cause", "measure"}),
    graded=True,
    grade=True,
    owes_authorities=True,
    owes_hall_form=True,
    hall_form=True,
    drill=True,
    participants=3,
)


def test_a_full_record_may_be_closed() -> None:
    assert plan.gaps(FULL) == ()


@pytest.mark.parametrize(
    ("changed", "gap"),
    [
        ({"state": IncidentState.RECOVERED}, [Gap.ALL_CLEAR, Gap.REVIEW]),
        ({"state": IncidentState.ALL_CLEAR}, [Gap.REVIEW]),
        ({"steps": (step(),)}, [Gap.STEPS]),
        ({"steps": (step(state=StepState.WAITING),)}, [Gap.STEPS]),
        ({"steps": (step(StepKind.REPORT),)}, [Gap.STEPS, Gap.AUTHORITIES]),
        ({"grade": False}, [Gap.GRADE]),
        ({"kinds": frozenset({"action", "measure"})}, [Gap.CAUSE]),
        ({"kinds": frozenset({"action", "cause"})}, [Gap.MEASURES]),
        ({"kinds": frozenset({"cause", "measure"})}, [Gap.COURSE]),
        ({"hall_form": False}, [Gap.HALL_FORM]),
        ({"participants": 0}, [Gap.PARTICIPANTS]),
    ],
)
def test_what_a_record_lacks(changed: dict[str, object], gap: list[Gap]) -> None:
    assert list(plan.gaps(replace(FULL, **changed))) == gap  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((), (0, 0, 0, 100)),
        ((step(),), (0, 0, 0, 100)),  # no clock
        ((step(state=StepState.DONE, due=10, done=10),), (1, 0, 0, 100)),
        ((step(state=StepState.DONE, due=10, done=10.1),), (0, 1, 0, 50)),
        ((step(due=10),), (0, 0, 1, 0)),
        ((step(state=StepState.DROPPED, due=10, done=5),), (0, 0, 0, 100)),  # recovery came first
        ((step(state=StepState.DROPPED, due=10, done=15),), (0, 0, 1, 0)),  # it was late already
        ((step(state=StepState.WAITING, due=10),), (0, 0, 0, 100)),
        (
            (step(state=StepState.DONE, due=10, done=1), step(state=StepState.DONE, due=10, done=99), step(due=10)),
            (1, 1, 1, 50),
        ),
    ],
)
def test_a_drill_is_scored(steps: tuple[Standing, ...], expected: tuple[int, int, int, int]) -> None:
    found = plan.score(steps)
    assert (found.on_time, found.late, found.missed, found.points) == expected


@given(
    st.lists(
        st.builds(step, state=st.sampled_from(StepState), due=st.none() | st.integers(1, 60), done=st.integers(0, 90))
    )
)
def test_a_score_lies_between_nothing_and_all(steps: list[Standing]) -> None:
    found = plan.score(steps)
    assert 0 <= found.points <= 100
    assert found.timed <= len(steps)


@given(st.integers(1, 600))
def test_whatever_the_time_somebody_above_hears_of_it_when_it_is_due(minutes: int) -> None:
    rungs = plan.ladder((Role.OPS,), m(minutes)).rungs
    assert rungs[0].after == m(0)
    assert rungs[-1].after == m(minutes)
    assert Role.SUPERVISOR in rungs[-1].roles
    assert [rung.after for rung in rungs] == sorted(rung.after for rung in rungs)
