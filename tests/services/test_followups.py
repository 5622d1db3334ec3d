"""From an event to a call: table C.7 as rows in the database, and nothing lost to a setting that is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.words import CallbackState, CaseKind, ChannelName, FollowUpGroup, Purpose
from bot.services import cases, contacts, dialling, followups
from bot.services.centre import Centre
from bot.services.followups import Occurrence, Recorded
from bot.services.library import Library
from bot.settings import PACKS
from store.tables import Callback, Case, Contact, Event, Staff
from tests.fakes.clock import ManualClock

ROOT = Path(__file__).parents[2]
NUMBER = "+8613900010001"
NO_PURCHASE, PURCHASED = FollowUpGroup.VISITED_NO_PURCHASE, FollowUpGroup.VISITED_PURCHASED


def shanghai(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


def tell(
    centre: Centre, clock: ManualClock, kind: FollowUpGroup, at: datetime, number: str = "V1", phone: str = NUMBER
) -> Recorded:
    """The event is recorded the moment it happens."""
    clock.set(at)
    what = Occurrence("visits", number, kind, phone, "王秀英", at, title="王女士")
    return centre.db.write_now(lambda s: followups.record(s, centre, what, at))


def planned(centre: Centre, recorded: Recorded) -> Callback:
    assert recorded.callback_id is not None, recorded.unplanned
    return centre.db.read_now(lambda s: s.get_one(Callback, recorded.callback_id))


@pytest.mark.parametrize(
    ("kind", "happened", "due", "flags"),
    [
        (NO_PURCHASE, shanghai(7, 1, 10), shanghai(7, 1, 14, 30), []),  # 1: summer
        (NO_PURCHASE, shanghai(11, 3, 10), shanghai(11, 3, 14), []),  # 2: winter
        (PURCHASED, shanghai(7, 1, 16), shanghai(7, 1, 19), []),  # 3: the same evening
        (PURCHASED, shanghai(7, 1, 20, 30), shanghai(7, 2, 19), ["missed_same_evening"]),  # 4
        (PURCHASED, shanghai(9, 30, 16), shanghai(9, 30, 19), []),  # 5: the eve of a holiday
        (PURCHASED, shanghai(10, 1, 16), shanghai(10, 8, 19), ["late_holiday"]),  # 6: on a holiday
        (NO_PURCHASE, shanghai(7, 1, 16, 29), shanghai(7, 1, 16, 29), []),  # 7: just inside
        (NO_PURCHASE, shanghai(7, 1, 16, 30), shanghai(7, 1, 19), []),  # 7: no longer
        (NO_PURCHASE, shanghai(7, 1, 14, 10), shanghai(7, 1, 14, 30), []),  # 8: summer
        (NO_PURCHASE, shanghai(11, 3, 14, 10), shanghai(11, 3, 14, 10), []),  # 8: winter
    ],
)
def test_an_event_is_owed_a_call_when_the_table_says(
    centre: Centre, clock: ManualClock, kind: FollowUpGroup, happened: datetime, due: datetime, flags: list[str]
) -> None:
    callback = planned(centre, tell(centre, clock, kind, happened))
    assert (callback.due_at, sorted(callback.flags)) == (due, flags)
    assert (callback.state, callback.purpose) == (CallbackState.SCHEDULED, Purpose.FOLLOW_UP)
    assert callback.late_after is not None


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
    recorded = tell(bare, clock, FollowUpGroup.OUTPATIENT_SURGERY, shanghai(7, 1, 10))
    assert recorded.unplanned == "delay_unset"
    centre.db.write_now(lambda s: followups.replan(s, centre, clock.now(), anew=True))
    callback = centre.db.read_now(lambda s: s.scalars(select(Callback)).one())
    assert callback.due_at == shanghai(7, 2, 14, 30)


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
        cases.close(session, case.id, staff_id=staff_id, now=now)
        return case.id

    def owed() -> int:
        centre.db.write_now(lambda s: followups.tick(s, centre, clock.now()))
        return centre.db.read_now(lambda s: s.scalar(select(func.count()).select_from(Callback)) or 0)

    case_id = centre.db.write_now(close)
    assert (owed(), owed()) == (1, 1)
    centre.db.write_now(lambda s: cases.reopen(s, case_id, "again", now=clock.now()))
    centre.db.write_now(close)
    assert (owed(), owed()) == (2, 2)


@pytest.mark.parametrize("health", ["discomfort", "symptom", "mood", "takes_medicine", "anything_new"])
def test_what_is_not_known_to_be_ordinary_is_taken_for_health(health: str) -> None:
    assert followups.is_health(health)


@pytest.mark.parametrize("ordinary", ["score_service", "score_doctor", "suggestion", "problem_solved", "rating"])
def test_opinions_of_the_service_are_no_health_answers(ordinary: str) -> None:
    assert not followups.is_health(ordinary)
