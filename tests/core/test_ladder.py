"""The climb of an escalation: in order, on time, once each, over gaps in the roster and over restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.ladder import Exhausted, Notify, Roster, Subject, Wait, ladder_for, level_of, next_rung, rung_for
from bot.core.policy import WAYS, Ladder, Way
from bot.core.words import CaseKind, Role, Urgency
from scripts.policies import SHIPPED, load_policies

LADDERS = load_policies([SHIPPED]).ladders
URGENT, ORDINARY, FAULT = LADDERS["urgent"], LADDERS["ordinary"], LADDERS["system_fault"]
COMPLAINT = LADDERS["complaint"]
START = datetime(2026, 7, 1, 6, 0, tzinfo=UTC)
ROSTER = Roster({Role.LEADER: (1, 2), Role.SUPERVISOR: (3,), Role.MANAGER: (4,), Role.OPS: (5,)}, on_call=(6,))
ALL = (Way.CONSOLE, Way.TELEGRAM, Way.SMS, Way.VOICE)


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


def told(subject: Subject, at: datetime) -> Subject:
    return replace(subject, notified=subject.notified + 1, last_notified_at=at)


def test_an_urgent_one_tells_the_leader_at_once_and_climbs_at_5_10_and_60_minutes() -> None:
    """REQ-E09, REQ-E16."""
    subject = Subject(START)
    assert next_rung(URGENT, subject, ROSTER, START) == Notify(0, (6, 1, 2), ALL[:3])
    subject = told(subject, START)
    assert next_rung(URGENT, subject, ROSTER, START + minutes(4)) == Wait(START + minutes(5))
    assert next_rung(URGENT, subject, ROSTER, START + minutes(5)) == Notify(1, (3,), ALL)
    subject = told(subject, START + minutes(5))
    assert next_rung(URGENT, subject, ROSTER, START + minutes(10)) == Notify(2, (4,), ALL)
    subject = told(subject, START + minutes(10))
    assert next_rung(URGENT, subject, ROSTER, START + minutes(60)) == Notify(3, (6, 1, 2, 3, 4), ALL)


def test_it_is_repeated_until_somebody_takes_it() -> None:
    subject, now = Subject(START, notified=4, last_notified_at=START + minutes(60)), START + minutes(60)
    for repeat in range(1, 30):
        assert next_rung(URGENT, subject, ROSTER, now) == Wait(now + minutes(15))
        now += minutes(15)
        step = next_rung(URGENT, subject, ROSTER, now)
        assert isinstance(step, Notify)
        assert (step.rung, step.repeat) == (3, repeat)
        subject = told(subject, now)


def test_a_bounded_number_of_repeats_is_the_end() -> None:
    subject = Subject(START, notified=3 + COMPLAINT.repeats, last_notified_at=START)
    assert next_rung(COMPLAINT, subject, ROSTER, START + minutes(99999)) == Exhausted()


def test_the_owner_is_told_first_and_only_while_it_is_theirs() -> None:
    assert next_rung(ORDINARY, Subject(START, owner=9), ROSTER, START) == Notify(0, (9, 1, 2), WAYS)
    assert next_rung(ORDINARY, Subject(START, owner=2), ROSTER, START) == Notify(0, (2, 1), WAYS)
    handed_on = Subject(START, owner=9, declined=frozenset({9}))
    assert next_rung(ORDINARY, handed_on, ROSTER, START) == Notify(0, (1, 2), WAYS)


@pytest.mark.parametrize(
    ("kind", "urgency", "name"),
    [
        (CaseKind.COMPLAINT, Urgency.ORDINARY, "complaint"),
        (CaseKind.COMPLAINT, Urgency.URGENT, "urgent"),
        (CaseKind.REPAIR, Urgency.ORDINARY, "ordinary"),
        (CaseKind.RED_FLAG, Urgency.URGENT, "urgent"),
    ],
)
def test_a_case_climbs_the_ladder_of_its_kind(kind: CaseKind, urgency: Urgency, name: str) -> None:
    assert ladder_for(kind, urgency) == name


def test_levels_are_rungs_counted_from_the_leader() -> None:
    """REQ-E05: L1 the leader, L2 the supervisor, L3 the manager; reopened is one level higher."""
    assert [level_of(rung) for rung in range(5)] == [1, 2, 3, 3, 3]
    assert [rung_for(level) for level in range(4)] == [0, 0, 1, 2]
    assert all(level_of(rung_for(level)) == level for level in (1, 2, 3))


def test_without_repeats_the_last_rung_is_the_end() -> None:
    assert next_rung(ORDINARY, Subject(START, notified=3), ROSTER, START + minutes(9999)) == Exhausted()


def test_taken_or_closed_it_climbs_no_more() -> None:
    late = START + minutes(300)
    assert next_rung(URGENT, Subject(START, acknowledged_at=START), ROSTER, late) == Wait(None)
    assert next_rung(URGENT, Subject(START, closed_at=START), ROSTER, late) == Wait(None)


def test_a_reopened_complaint_starts_one_level_higher_and_counts_from_there() -> None:
    """REQ-E07."""
    subject = Subject(START, first_rung=1)
    assert next_rung(URGENT, subject, ROSTER, START) == Notify(1, (3,), ALL)
    assert next_rung(URGENT, told(subject, START), ROSTER, START) == Wait(START + minutes(5))


def test_a_start_above_the_top_is_the_top() -> None:
    step = next_rung(ORDINARY, Subject(START, first_rung=9), ROSTER, START)
    assert step == Notify(2, (4,), WAYS)


def test_nobody_on_duty_is_told_and_climbed_over_at_once() -> None:
    alone = Roster({Role.MANAGER: (4,)})
    subject = Subject(START)
    assert next_rung(URGENT, subject, alone, START) == Notify(0, (), ALL[:3])
    subject = told(subject, START)
    assert next_rung(URGENT, subject, alone, START) == Notify(1, (), ALL)
    subject = told(subject, START)
    assert next_rung(URGENT, subject, alone, START) == Notify(2, (4,), ALL)
    assert next_rung(URGENT, told(subject, START), alone, START) == Wait(START + minutes(60))


def test_handed_on_by_everybody_the_next_rung_is_due_at_once() -> None:
    subject = Subject(START, notified=1, last_notified_at=START, declined=frozenset({1, 6}))
    assert isinstance(next_rung(URGENT, subject, ROSTER, START + minutes(1)), Wait)
    subject = replace(subject, declined=frozenset({1, 2, 6}))
    assert next_rung(URGENT, subject, ROSTER, START + minutes(1)) == Notify(1, (3,), ALL)


def test_after_a_long_stop_every_rung_is_made_up_for_and_repeats_do_not_pile_up() -> None:
    subject, now, rungs = Subject(START), START + minutes(180), []
    while isinstance(step := next_rung(FAULT, subject, ROSTER, now), Notify):
        rungs.append((step.rung, step.repeat))
        subject = told(subject, now)
    assert rungs == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert step == Wait(now + minutes(15))


some = st.lists(st.integers(1, 9), max_size=3).map(tuple)
rosters = st.builds(Roster, st.dictionaries(st.sampled_from(Role), some), some)


@given(
    st.sampled_from([URGENT, ORDINARY, FAULT, COMPLAINT]),
    rosters,
    st.lists(st.integers(0, 2000), min_size=1, max_size=60),
    st.integers(0, 4),
    st.frozensets(st.integers(1, 9)),
)
def test_the_climb_never_goes_down_and_ends(
    ladder: Ladder, roster: Roster, pauses: Sequence[int], first_rung: int, declined: frozenset[int]
) -> None:
    subject, now, seen = Subject(START, first_rung=first_rung, declined=declined), START, []
    for pause in pauses:
        now += minutes(pause / 10)
        step = next_rung(ladder, subject, roster, now)
        assert next_rung(ladder, subject, roster, now) == step
        if isinstance(step, Wait):
            assert step.until is not None
            assert step.until > now
        if isinstance(step, Notify):
            assert not set(step.people) & declined
            seen.append((step.rung, step.repeat))
            subject = told(subject, now)
    assert seen == sorted(set(seen))
    if ladder.repeats is not None:
        assert len(seen) <= len(ladder.rungs) + ladder.repeats
