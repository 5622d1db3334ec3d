"""From an event to a call, once, and nothing lost to a setting that is missing (table C.7: test_table_c7.py)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.plan import Trigger
from bot.core.words import CallbackState, CaseKind, ChannelName, Disposition
from bot.services import contacts
from bot.services.calls import callbacks, dialling
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.library import Library
from bot.services.plans import followups, planning
from bot.services.plans.followups import Recorded
from bot.services.plans.planning import Occurrence
from bot.settings import PACKS
from store.tables import Callback, Case, Contact, Event, Staff
from tests.fakes.clock import ManualClock

ROOT = Path(__file__).parents[2]
NUMBER, OTHER = "+8613900010001", "+8613900010002"
NO_PURCHASE = Trigger.VISITED_NO_PURCHASE


def shanghai(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


def tell(
    centre: Centre, clock: ManualClock, kind: Trigger, at: datetime, number: str = "V1", phone: str = NUMBER
) -> Recorded:
    """The event is recorded the moment it happens."""
    clock.set(at)
    what = Occurrence("visits", number, kind, phone, "王秀英", at, title="王女士")
    return centre.db.write_now(lambda s: followups.record(s, centre, what, at))


def planned(centre: Centre, recorded: Recorded) -> Callback:
    assert recorded.callback_id is not None, recorded.unplanned
    return centre.db.read_now(lambda s: s.get_one(Callback, recorded.callback_id))


def test_the_patients_own_zone_counts(centre: Centre, clock: ManualClock) -> None:
    at = shanghai(7, 1, 10)
    clock.set(at)
    what = Occurrence("visits", "V1", NO_PURCHASE, NUMBER, "Ann", at, zone="Europe/London")
    recorded = centre.db.write_now(lambda s: followups.record(s, centre, what, at))
    assert planned(centre, recorded).due_at == datetime(2026, 7, 1, 13, 30, tzinfo=UTC)  # 14:30 in London


@pytest.fixture(scope="module")
def unset() -> Library:
    """The shipped scripts as they are before an operator has set anything (C.7 row 10)."""
    return Library([ROOT / "scripts"], frozenset(PACKS), lambda: shanghai(7, 1, 10))


def test_without_season_dates_nothing_is_scheduled_and_nothing_lost(
    centre: Centre, clock: ManualClock, unset: Library
) -> None:
    bare = replace(centre, library=unset)
    recorded = tell(bare, clock, NO_PURCHASE, shanghai(7, 1, 10))
    assert (recorded.callback_id, recorded.unplanned) == (None, "seasons_unset")
    assert (
        bare.db.write_now(lambda s: followups.tick(s, bare, clock.now())) == 0
    )  # nothing has changed: not tried again
    assert centre.db.write_now(lambda s: followups.tick(s, centre, clock.now())) == 1  # the dates are there
    callback = centre.db.read_now(lambda s: s.scalars(select(Callback)).one())
    assert callback.due_at == shanghai(7, 1, 14, 30)
    assert centre.db.read_now(lambda s: s.get_one(Event, recorded.event_id)).unplanned is None


def test_a_group_without_a_delay_waits_for_one(centre: Centre, clock: ManualClock, unset: Library) -> None:
    bare = replace(centre, library=unset)
    recorded = tell(bare, clock, Trigger.OUTPATIENT_SURGERY, shanghai(7, 1, 10))
    assert recorded.unplanned == "delay_unset"
    centre.db.write_now(lambda s: followups.replan(s, centre, clock.now(), anew=True))
    assert contacts_of(centre, recorded) == [(0, shanghai(7, 2, 14, 30)), (1, shanghai(7, 8, 14, 30))]


def contacts_of(centre: Centre, recorded: Recorded) -> list[tuple[int, datetime | None]]:
    """Which contacts of its plan an event is owed, and when."""
    query = select(Callback.step, Callback.due_at).where(Callback.event_id == recorded.event_id).order_by(Callback.step)
    return centre.db.read_now(lambda s: list(s.execute(query).tuples()))


@pytest.mark.parametrize(
    ("told", "owed"),
    [
        (shanghai(7, 1, 10), [(0, shanghai(7, 2, 14, 30)), (1, shanghai(7, 8, 14, 30))]),
        (shanghai(7, 3, 15), [(0, shanghai(7, 3, 15)), (1, shanghai(7, 8, 14, 30))]),
        (shanghai(7, 8, 9), [(1, shanghai(7, 8, 14, 30))]),  # one call on one day, not both
        (shanghai(7, 20, 9), [(1, shanghai(7, 20, 14, 30))]),
    ],
)
def test_a_plan_with_several_contacts_makes_those_still_to_come(
    centre: Centre, clock: ManualClock, told: datetime, owed: list[tuple[int, datetime]]
) -> None:
    clock.set(told)
    what = Occurrence("visits", "V1", Trigger.OUTPATIENT_SURGERY, NUMBER, "王秀英", shanghai(7, 1, 9))
    recorded = centre.db.write_now(lambda s: followups.record(s, centre, what, told))
    assert contacts_of(centre, recorded) == owed
    again = centre.db.write_now(lambda s: followups.record(s, centre, what, told))
    assert not again.fresh
    centre.db.write_now(lambda s: planning.plan_event(s, centre, s.get_one(Event, recorded.event_id), told))
    assert contacts_of(centre, recorded) == owed


@pytest.mark.parametrize(
    ("scope", "code"), [("all", "opted_out"), ("calls", "opted_out"), ("callbacks", "consent_withdrawn")]
)
def test_nobody_is_planned_who_wants_no_calls(centre: Centre, clock: ManualClock, scope: str, code: str) -> None:
    first = tell(centre, clock, NO_PURCHASE, shanghai(7, 1, 10))

    def withdraw(session: Session) -> None:
        contact_id = session.get_one(Event, first.event_id).contact_id
        contacts.consent(session, contact_id, scope, False, "test", clock.now())

    centre.db.write_now(withdraw)
    assert tell(centre, clock, NO_PURCHASE, shanghai(7, 1, 11), "V2").unplanned == code
    assert centre.db.write_now(lambda s: followups.tick(s, centre, clock.now())) == 0  # and it stays so


def test_who_withdraws_after_planning_is_not_called(centre: Centre, clock: ManualClock) -> None:
    recorded = tell(centre, clock, NO_PURCHASE, shanghai(7, 1, 10))

    def withdraw(session: Session) -> None:
        contact_id = session.get_one(Event, recorded.event_id).contact_id
        contacts.consent(session, contact_id, "all", False, "test", clock.now())

    centre.db.write_now(withdraw)
    clock.set(shanghai(7, 1, 14, 30))
    centre.db.write_now(lambda s: dialling.tick(s, centre, clock.now()))
    done = planned(centre, recorded)
    assert (done.state, done.disposition) == (CallbackState.DONE, "opted_out")


def test_the_hours_a_person_named_are_kept(centre: Centre, clock: ManualClock) -> None:
    recorded = tell(centre, clock, NO_PURCHASE, shanghai(7, 1, 10))
    centre.db.write_now(
        lambda s: contacts.learn(
            s, s.get_one(Event, recorded.event_id).contact_id, {"not_before": "18:00"}, now=clock.now(), why="test"
        )
    )
    clock.set(shanghai(7, 1, 14, 30))
    centre.db.write_now(lambda s: dialling.tick(s, centre, clock.now()))
    assert planned(centre, recorded).due_at == shanghai(7, 1, 19)


@pytest.mark.parametrize(
    ("how", "later"),
    [
        (Disposition.COMPLETED, (CallbackState.SCHEDULED, None)),
        (Disposition.NO_ANSWER, (CallbackState.SCHEDULED, None)),
        (Disposition.REFUSED, (CallbackState.CANCELLED, "plan_refused")),
        (Disposition.WRONG_NUMBER, (CallbackState.CANCELLED, "plan_no_number")),
    ],
)
def test_who_declines_one_contact_of_a_plan_is_spared_its_others(
    centre: Centre, clock: ManualClock, how: Disposition, later: tuple[CallbackState, str | None]
) -> None:
    tell(centre, clock, Trigger.OUTPATIENT_SURGERY, shanghai(7, 1, 10))
    tell(centre, clock, Trigger.OUTPATIENT_SURGERY, shanghai(7, 2, 10), "V2")  # another operation
    tell(centre, clock, Trigger.OUTPATIENT_SURGERY, shanghai(7, 1, 10), "V3", OTHER)  # somebody else

    def end(session: Session) -> None:
        first = session.scalars(select(Callback).order_by(Callback.event_id, Callback.step)).first()
        assert first is not None
        callbacks.end(session, centre, first, how, clock.now())

    centre.db.write_now(end)
    rows = centre.db.read_now(lambda s: s.scalars(select(Callback).order_by(Callback.event_id, Callback.step)).all())
    assert (rows[1].state, rows[1].waits) == later
    assert len(rows) == 6
    assert {row.state for row in rows[2:]} == {CallbackState.SCHEDULED}


def test_a_merged_contact_is_called_as_who_they_became(centre: Centre, clock: ManualClock) -> None:
    recorded = tell(centre, clock, NO_PURCHASE, shanghai(7, 1, 10))

    def merge(session: Session) -> int:
        duplicate = session.get_one(Event, recorded.event_id).contact_id
        staff_id = session.scalars(select(Staff.id).limit(1)).one()
        into = session.scalars(select(Contact.id).where(Contact.id != duplicate).limit(1)).one()
        contacts.merge(session, duplicate, into, staff_id=staff_id, why="same person", now=clock.now())
        return into

    into = centre.db.write_now(merge)
    clock.set(shanghai(7, 1, 14, 30))
    centre.db.write_now(lambda s: dialling.tick(s, centre, clock.now()))
    callback = planned(centre, recorded)
    assert (callback.state, callback.contact_id) == (CallbackState.DIALLING, into)


def test_a_closed_complaint_is_asked_about_once_for_each_time_it_was_closed(centre: Centre, clock: ManualClock) -> None:
    clock.set(shanghai(7, 1, 10))

    def close(session: Session) -> int:
        now = clock.now()
        known = contacts.meet(
            session, ChannelName.VOICE, NUMBER, language=centre.settings.language, zone="Asia/Shanghai", now=now
        )
        staff_id = session.scalars(select(Staff.id).limit(1)).one()
        case = session.scalars(select(Case)).first() or cases.open_case(
            session,
            kind=CaseKind.COMPLAINT,
            contact_id=known.contact_id,
            subject="维修拖了两天",
            zone=centre.settings.zone,
            now=now,
        )
        cases.give_feedback(session, case.id, "已修好", staff_id=staff_id, now=now)
        cases.close(session, case.id, staff_id=staff_id, wrap_up="confirmed", now=now)
        return case.id

    def owed() -> int:
        centre.db.write_now(lambda s: followups.tick(s, centre, clock.now()))
        return centre.db.read_now(lambda s: s.scalar(select(func.count()).select_from(Callback)) or 0)

    case_id = centre.db.write_now(close)
    assert (owed(), owed()) == (1, 1)
    centre.db.write_now(lambda s: cases.reopen(s, centre, case_id, "again", now=clock.now()))
    centre.db.write_now(close)
    assert (owed(), owed()) == (2, 2)


@pytest.mark.parametrize("health", ["discomfort", "symptom", "mood", "takes_medicine", "anything_new"])
def test_what_is_not_known_to_be_ordinary_is_taken_for_health(health: str) -> None:
    assert followups.is_health(health)


@pytest.mark.parametrize("ordinary", ["score_service", "score_doctor", "suggestion", "problem_solved", "rating"])
def test_opinions_of_the_service_are_no_health_answers(ordinary: str) -> None:
    assert not followups.is_health(ordinary)
