"""Calls we owe: dialled in their windows, retried by reason, never twice, closed once (REQ-C04, C13, C18, C19, C.7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.plan import Trigger
from bot.core.words import (
    CallbackState,
    ChannelName,
    ConversationState,
    DeliveryState,
    Disposition,
    FollowUpGroup,
    Outgoing,
    Parse,
    Purpose,
)
from bot.services import contacts
from bot.services.calls import callback_changes, callbacks, calling_now, calls, dialling
from bot.services.calls.bookings import NotBookableError, book
from bot.services.calls.callback_changes import CallbackRefusedError
from bot.services.centre import Centre
from bot.services.conversation import talk
from bot.services.conversation.conversations import hold, save
from bot.services.plans import followups
from bot.services.plans.planning import Occurrence
from store.tables import (
    Address,
    Answer,
    AuditEntry,
    CallAttempt,
    Callback,
    Case,
    Contact,
    Conversation,
    Delivery,
    Staff,
)
from tests.fakes.clock import ManualClock
from tests.fakes.line import Line, drain, report

PHONE = "+8613900010001"


def shanghai(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 7, day, hour, minute, second, tzinfo=UTC) - timedelta(hours=8)


class House:
    """A centre with a telephone line, and one patient who visited this morning."""

    def __init__(self, centre: Centre, clock: ManualClock) -> None:
        self.voice, self.sms = Line(ChannelName.VOICE), Line(ChannelName.SMS)
        self.centre = replace(centre, channels={ChannelName.VOICE: self.voice, ChannelName.SMS: self.sms})
        self.clock = clock
        self.staff_id = self.centre.db.read_now(lambda s: s.scalars(select(Staff.id).order_by(Staff.id).limit(1)).one())

    def visit(self, kind: Trigger = Trigger.VISITED_NO_PURCHASE, number: str = "V1") -> int:
        what = Occurrence("visits", number, kind, PHONE, "王秀英", self.clock.now(), title="王女士")
        recorded = self.centre.db.write_now(lambda s: followups.record(s, self.centre, what, self.clock.now()))
        assert recorded.callback_id is not None
        return recorded.callback_id

    async def at(self, moment: datetime) -> None:
        """Lets time pass until `moment` and does what is due then."""
        self.clock.set(moment)
        await self.centre.db.write(lambda s: dialling.tick(s, self.centre, self.clock.now()))
        await drain(self.centre)

    async def ends(self, state: DeliveryState = DeliveryState.FAILED, error: str | None = None) -> None:
        """The provider's last word on the last call."""
        await report(self.centre, self.voice.taken[-1], state, error=error)

    async def answers(self, by: str | None = "human") -> calls.Answered:
        call: Outgoing = self.voice.taken[-1]
        await report(self.centre, call, DeliveryState.DELIVERED, answered_by=by)
        return await self.centre.db.write(
            lambda s: calls.answered(s, self.centre, call.delivery_id, by, self.clock.now())
        )

    def callback(self, callback_id: int) -> Callback:
        return self.centre.db.read_now(lambda s: s.get_one(Callback, callback_id))

    def attempts(self, callback_id: int) -> list[CallAttempt]:
        query = select(CallAttempt).where(CallAttempt.callback_id == callback_id).order_by(CallAttempt.number)
        return self.centre.db.read_now(lambda s: list(s.scalars(query)))

    async def says(self, conversation_id: int, text: str, payload: str | None = None) -> None:
        def work(session: Session) -> None:
            held = hold(session, conversation_id)
            talk.turn(session, self.centre, held, text, Parse(text, "", 0.0), payload, self.clock.now())
            save(session, held)

        await self.centre.db.write(work)


@pytest.fixture
def house(centre: Centre, clock: ManualClock) -> House:
    return House(centre, clock)


async def test_a_visit_without_purchase_is_called_at_the_first_window_and_not_before(house: House) -> None:
    callback_id = house.visit()
    await house.at(shanghai(1, 14, 29, 59))
    assert house.voice.taken == []
    await house.at(shanghai(1, 14, 30))
    (call,) = house.voice.taken
    assert (call.address, call.purpose) == (PHONE, Purpose.FOLLOW_UP)
    assert house.callback(callback_id).state is CallbackState.DIALLING
    (attempt,) = house.attempts(callback_id)
    assert attempt.window == "14:30–16:30"


async def test_dialling_twice_calls_once(house: House) -> None:
    callback_id = house.visit()
    await house.at(shanghai(1, 14, 30))
    await house.at(shanghai(1, 14, 30, 1))
    await house.centre.db.write(lambda s: dialling.dial(s, house.centre, callback_id, house.clock.now()))
    await drain(house.centre)
    assert len(house.voice.taken) == 1


async def test_a_busy_line_is_tried_again_after_its_spacing_inside_the_window(house: House) -> None:
    callback_id = house.visit()
    await house.at(shanghai(1, 14, 30))
    await house.ends(error="busy")
    assert house.callback(callback_id).due_at == shanghai(1, 14, 40)
    await house.at(shanghai(1, 14, 40))
    assert len(house.voice.taken) == 2


async def test_a_retry_that_would_leave_the_window_waits_for_the_next(house: House) -> None:
    callback_id = house.visit()
    await house.at(shanghai(1, 16, 25))
    await house.ends(error="busy")
    assert house.callback(callback_id).due_at == shanghai(1, 19)


async def test_after_the_last_attempt_one_text_message_and_closed(house: House) -> None:
    callback_id = house.visit()
    for day, hour, minute in ((1, 14, 30), (1, 19, 0), (2, 14, 30)):
        await house.at(shanghai(day, hour, minute))
        await house.ends(error="no-answer")
    done = house.callback(callback_id)
    assert (done.state, done.disposition) == (CallbackState.GIVEN_UP, Disposition.NO_ANSWER)
    assert [a.rang for a in house.attempts(callback_id)] == [True, True, True]
    await drain(house.centre)
    (message,) = house.sms.taken
    assert "王女士" in message.text
    await house.at(shanghai(3, 14, 30))
    assert (len(house.voice.taken), len(house.sms.taken)) == (3, 1)


async def test_a_call_that_never_rang_counts_as_no_attempt(house: House) -> None:
    callback_id = house.visit()
    await house.at(shanghai(1, 14, 30))
    await house.ends(error="carrier trouble")
    (attempt,) = house.attempts(callback_id)
    assert (attempt.rang, attempt.disposition) == (False, Disposition.FAILED)
    assert house.callback(callback_id).due_at == shanghai(1, 15)


async def test_a_number_that_does_not_exist_is_not_dialled_again(house: House) -> None:
    callback_id = house.visit()
    await house.at(shanghai(1, 14, 30))
    await house.ends(error="invalid")
    assert house.callback(callback_id).state is CallbackState.GIVEN_UP
    reachable = house.centre.db.read_now(
        lambda s: s.scalar(select(Address.reachable).where(Address.id == house.attempts(callback_id)[0].address_id))
    )
    assert reachable is False


async def test_a_machine_is_hung_up_on_and_called_again_later(house: House) -> None:
    callback_id = house.visit()
    await house.at(shanghai(1, 14, 30))
    answer = await house.answers("machine")
    assert (answer.conversation_id, answer.says, answer.hang_up) == (None, (), True)
    await house.ends(DeliveryState.HEARD)
    (attempt,) = house.attempts(callback_id)
    assert (attempt.disposition, attempt.rang) == (Disposition.MACHINE, True)
    assert house.callback(callback_id).due_at == shanghai(1, 19)


async def test_a_person_hears_who_calls_and_answers_reach_the_record(house: House) -> None:
    house.visit()
    await house.at(shanghai(1, 14, 30))
    answer = await house.answers()
    assert answer.conversation_id is not None
    assert "王女士" in " ".join(say.text for say in answer.says)
    again = await house.answers()  # the carrier asks twice
    assert (again.conversation_id, [s.text for s in again.says]) == (
        answer.conversation_id,
        [s.text for s in answer.says],
    )
    await house.says(answer.conversation_id, "方便", "/SetSlots(convenient=true)")
    await house.says(answer.conversation_id, "5", "/SetSlots(score_service=5)")
    given = house.centre.db.read_now(lambda s: [(a.question, a.answer, a.score) for a in s.scalars(select(Answer))])
    assert given == [("score_service", "5", 5)]


async def test_a_call_cut_off_keeps_its_answers_for_the_next_attempt(house: House) -> None:
    callback_id = house.visit()
    await house.at(shanghai(1, 14, 30))
    answer = await house.answers()
    assert answer.conversation_id is not None
    await house.says(answer.conversation_id, "方便", "/SetSlots(convenient=true)")
    await house.says(answer.conversation_id, "4", "/SetSlots(score_service=4)")
    await house.ends(DeliveryState.HEARD)
    callback = house.callback(callback_id)
    assert [a.disposition for a in house.attempts(callback_id)] == [Disposition.PARTLY_COMPLETED]
    assert (callback.state, callback.due_at) == (CallbackState.SCHEDULED, shanghai(1, 15))
    assert callback.flow["slots"]["score_service"] == 4
    state = house.centre.db.read_now(lambda s: s.get_one(Conversation, answer.conversation_id).state)
    assert state is ConversationState.CLOSED
    await house.at(shanghai(1, 15))
    second = await house.answers()
    assert second.conversation_id not in (None, answer.conversation_id)
    assert second.conversation_id is not None
    await house.says(second.conversation_id, "方便", "/SetSlots(convenient=true)")
    flow = house.centre.db.read_now(lambda s: s.get_one(Conversation, second.conversation_id).flow)
    assert flow["question"] == "suggestion"  # the score is not asked for twice


async def test_an_inconvenient_moment_moves_the_same_call_to_the_time_named(house: House) -> None:
    callback_id = house.visit()
    await house.at(shanghai(1, 14, 30))
    answer = await house.answers()
    assert answer.conversation_id is not None
    await house.says(answer.conversation_id, "不方便", "/SetSlots(convenient=false)")
    await house.says(answer.conversation_id, "明天一点", "/SetSlots(preferred_time=2026-07-02T13:00:00+08:00)")
    await house.ends(DeliveryState.HEARD)
    callback = house.callback(callback_id)
    assert [a.disposition for a in house.attempts(callback_id)] == [Disposition.ANOTHER_TIME]
    assert (callback.state, callback.due_at) == (CallbackState.SCHEDULED, shanghai(2, 13))
    assert callback.follow_up_group is FollowUpGroup.VISITED_NO_PURCHASE
    await house.at(shanghai(2, 13))
    assert len(house.voice.taken) == 2


async def test_stop_ends_what_is_pending_and_keeps_what_was_asked_for(house: House) -> None:
    pending = house.visit()
    now = house.clock.now()

    def asked(session: Session) -> int:
        contact_id = session.get_one(Callback, pending).contact_id
        return book(
            session, house.centre, contact_id, dedupe_key="w", wish=now + timedelta(hours=3), topic="", now=now
        ).id

    wished = house.centre.db.write_now(asked)

    def stop(session: Session) -> None:
        contact_id = session.get_one(Callback, pending).contact_id
        contacts.consent(session, contact_id, "all", False, "test", now)
        callbacks.stop(session, contact_id, now)

    house.centre.db.write_now(stop)
    assert (house.callback(pending).state, house.callback(pending).disposition) == (
        CallbackState.CANCELLED,
        Disposition.OPTED_OUT,
    )
    assert house.callback(wished).state is CallbackState.SCHEDULED
    await house.at(shanghai(1, 14, 30))
    assert len(house.voice.taken) == 1


async def test_a_lost_call_is_not_placed_again_by_itself(house: House) -> None:
    callback_id = house.visit()
    await house.at(shanghai(1, 14, 30))
    call = house.voice.taken[-1]

    def lose(session: Session) -> None:
        delivery = session.get_one(Delivery, call.delivery_id)
        delivery.state = DeliveryState.UNKNOWN
        callbacks.delivery_changed(session, house.centre, delivery, None, house.clock.now())

    house.centre.db.write_now(lose)
    await house.at(shanghai(1, 14, 36))
    done = house.callback(callback_id)
    assert (done.state, done.disposition, callbacks.UNKNOWN in done.flags) == (
        CallbackState.GIVEN_UP,
        Disposition.FAILED,
        True,
    )
    assert len(house.voice.taken) == 1
    again = house.centre.db.write_now(
        lambda s: (
            calling_now.call_now(
                s, house.centre, callback_id, revision=done.revision, staff_id=None, now=house.clock.now()
            ).id
        )
    )
    assert again != callback_id
    await house.at(shanghai(1, 14, 37))
    assert len(house.voice.taken) == 2


async def test_one_call_at_a_time_to_the_same_person(house: House) -> None:
    house.visit(number="V1")
    house.visit(number="V2")
    await house.at(shanghai(1, 14, 30))
    assert len(house.voice.taken) == 1
    await house.at(shanghai(1, 14, 33))
    assert len(house.voice.taken) == 1
    await house.ends(error="no_answer")
    await house.at(shanghai(1, 14, 36))
    assert len(house.voice.taken) == 2


async def test_a_promised_call_that_reached_nobody_becomes_work_for_the_leader(house: House) -> None:
    house.visit()
    now = house.clock.now()

    def asked(session: Session) -> int:
        contact = session.scalars(select(Contact).where(Contact.name == "王秀英")).one()
        return book(session, house.centre, contact.id, dedupe_key="w", wish=None, topic="暖气费", now=now).id

    wished = house.centre.db.write_now(asked)
    await house.at(now)
    for at in (shanghai(1, 12), shanghai(1, 14)):
        await house.ends(error="no_answer")
        await house.at(at)
    await house.ends(error="no_answer")
    assert house.callback(wished).state is CallbackState.GIVEN_UP
    case = house.centre.db.read_now(lambda s: s.scalars(select(Case).where(Case.callback_id == wished)).one())
    assert case.subject == "暖气费"


# ── what customers wish ──


@pytest.mark.parametrize(
    ("wish", "due"),
    [
        (None, shanghai(1, 10)),
        (shanghai(2, 13), shanghai(2, 13)),
        (shanghai(1, 9), shanghai(1, 10)),  # just passed: now
    ],
)
def test_a_wished_time_is_taken_where_the_operator_permits_it(
    house: House, wish: datetime | None, due: datetime
) -> None:
    def work(session: Session) -> datetime | None:
        contact, now = session.scalars(select(Contact).limit(1)).one(), house.clock.now()
        return book(session, house.centre, contact.id, dedupe_key="w", wish=wish, topic="", now=now).due_at

    assert house.centre.db.write_now(work) == due


def test_a_wish_in_the_night_is_answered_with_the_nearest_times(house: House) -> None:
    def work(session: Session) -> None:
        contact = session.scalars(select(Contact).limit(1)).one()
        book(session, house.centre, contact.id, dedupe_key="w", wish=shanghai(1, 23), topic="", now=house.clock.now())

    with pytest.raises(NotBookableError) as refused:
        house.centre.db.write_now(work)
    assert [slot.start for slot in refused.value.slots] == [shanghai(1, 20, 30), shanghai(2, 8)]


def test_asking_again_moves_the_call_instead_of_doubling_it(house: House) -> None:
    def work(session: Session, key: str, wish: datetime) -> int:
        contact = session.scalars(select(Contact).limit(1)).one()
        return book(session, house.centre, contact.id, dedupe_key=key, wish=wish, topic="", now=house.clock.now()).id

    first = house.centre.db.write_now(lambda s: work(s, "a", shanghai(1, 15)))
    second = house.centre.db.write_now(lambda s: work(s, "b", shanghai(1, 17)))
    assert first == second
    assert house.callback(first).due_at == shanghai(1, 17)


# ── what staff change ──


def test_staff_move_order_and_cancel_with_what_they_replaced_kept(house: House) -> None:
    callback_id = house.visit()
    now, revision = house.clock.now(), house.callback(callback_id).revision

    def change(session: Session) -> int:
        moved = callback_changes.postpone(
            session, house.centre, callback_id, shanghai(1, 19, 15), revision=revision, staff_id=house.staff_id, now=now
        )
        first = callback_changes.reorder(
            session, callback_id, -1, revision=moved.revision, staff_id=house.staff_id, now=now
        )
        return callback_changes.cancel(
            session, callback_id, "患者来电取消", revision=first.revision, staff_id=house.staff_id, now=now
        ).revision

    house.centre.db.write_now(change)
    done = house.callback(callback_id)
    assert (done.state, done.disposition, done.priority) == (CallbackState.CANCELLED, Disposition.CANCELLED, -1)
    actions = house.centre.db.read_now(
        lambda s: s.scalars(
            select(AuditEntry.action).where(AuditEntry.subject == "callback").order_by(AuditEntry.id)
        ).all()
    )
    assert actions == ["callback.postpone", "callback.reorder", "callback.cancel"]
    with pytest.raises(CallbackRefusedError, match="callback_changed"):
        house.centre.db.write_now(
            lambda s: callback_changes.cancel(s, callback_id, "", revision=revision, staff_id=house.staff_id, now=now)
        )


def test_staff_cannot_move_a_follow_up_out_of_its_windows(house: House) -> None:
    callback_id = house.visit()
    with pytest.raises(NotBookableError) as refused:
        house.centre.db.write_now(
            lambda s: callback_changes.postpone(
                s,
                house.centre,
                callback_id,
                shanghai(2, 10),
                revision=house.callback(callback_id).revision,
                staff_id=house.staff_id,
                now=house.clock.now(),
            )
        )
    assert [slot.start for slot in refused.value.slots] == [shanghai(2, 14, 30)]


async def test_a_call_cancelled_before_it_left_is_not_placed(house: House) -> None:
    callback_id = house.visit()
    house.clock.set(shanghai(1, 14, 30))
    await house.centre.db.write(lambda s: dialling.tick(s, house.centre, house.clock.now()))
    house.centre.db.write_now(
        lambda s: callback_changes.cancel(
            s,
            callback_id,
            "",
            revision=house.callback(callback_id).revision,
            staff_id=house.staff_id,
            now=house.clock.now(),
        )
    )
    await drain(house.centre)
    assert house.voice.taken == []
    assert house.callback(callback_id).state is CallbackState.CANCELLED
    assert [a.disposition for a in house.attempts(callback_id)] == [Disposition.CANCELLED]
    sent = house.centre.db.read_now(lambda s: s.scalar(select(func.count()).select_from(Delivery)))
    assert sent == 1
