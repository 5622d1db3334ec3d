"""What becomes of callbacks: answered, retried by reason, closed once (REQ-C13, C18, C19).

dialling.py places the calls. The outbox asks `wanted` before one goes out and tells `delivery_changed` what becomes of
it, its end too. bot/core/calls.py decides what is next. The moment a person answers is calls.py's, which needs the flow
engine; what staff change is callback_changes.py's; what customers wish is bookings.py's.

What became of a call is read from its delivery: DELIVERED it was answered, HEARD it is over, FAILED with the `error`
"busy", "no_answer", "declined", "machine", "unreachable" (switched off), "invalid" (no such number) or anything else
("failed").
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from bot.core.calls import AttemptFacts, CallFacts, Dial, GiveUp, Wait, decide
from bot.core.permission import ConsentKind, stopped
from bot.core.policy import Policies
from bot.core.words import (
    CallbackState,
    CaseKind,
    ChannelName,
    ConversationState,
    DeliveryState,
    Disposition,
    FollowUpGroup,
    Purpose,
    Report,
    Urgency,
)
from bot.services import audit, contacts, days, gate, i18n
from bot.services.calls.bookings import ASKED, numbers_of
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.delivery import outbox
from bot.services.desk.wrap_up import SILENT, heard_nothing
from bot.services.escalation import ladders
from bot.services.i18n import N_
from bot.services.plans import pauses, plan_steps
from store.db import touch
from store.tables import Address, CallAttempt, Callback, Contact, Conversation, Delivery

log = structlog.get_logger()
RUNNING = text("callback.state IN ('scheduled', 'dialling')")  # literal, so that the partial index serves
LOST_AFTER = timedelta(minutes=5)  # a call nobody knows about may still be reported so long
LOOK_AGAIN = timedelta(hours=1)  # while a setting is missing
UNKNOWN = "unknown"  # flag: nobody can say whether the call took place, so it is not placed again by itself
HUMAN_ENDS = frozenset({Disposition.COMPLETED, Disposition.ESCALATED, Disposition.REFUSED, Disposition.OPTED_OUT})
FAILURES: Mapping[str, Disposition] = {
    "busy": Disposition.BUSY,
    "declined": Disposition.BUSY,
    "no_answer": Disposition.NO_ANSWER,
    "machine": Disposition.MACHINE,
    "unreachable": Disposition.UNREACHABLE,
    "invalid": Disposition.INVALID_NUMBER,
    "invalid_number": Disposition.INVALID_NUMBER,
}
NEVER_RANG = frozenset({Disposition.UNREACHABLE, Disposition.INVALID_NUMBER, Disposition.FAILED})
LAST_WORDS = N_(
    "%(name)s您好，这里是%(company)s，我们几次致电都没有联系上您。需要帮助时请随时与我们联系；不想再收到回复 T。"
)


# ── what is next ──


def lock(session: Session, callback_id: int) -> Callback | None:
    """The callback for a change, as it is now."""
    return session.get(Callback, callback_id, with_for_update=True, populate_existing=True)


def plan_of(callback: Callback) -> str:
    """Whose windows count: a time the person named themselves is a requested one, whatever the call is about."""
    return FollowUpGroup.REQUESTED if callback.purpose is Purpose.REQUESTED_CALLBACK else callback.plan


def windows_of(session: Session, centre: Centre, callback: Callback) -> tuple[str, ...]:
    """The names of its plan's windows as they are now; those it was planned by where the plan is gone."""
    plan_id, now = plan_of(callback), centre.library.current.policies
    plans = now.plans if plan_id in now.plans else policies_of(session, centre, callback).plans
    return tuple(name for name in plans[plan_id].windows if name in now.hours.windows)


def policies_of(session: Session, centre: Centre, callback: Callback) -> Policies:
    """The policies a callback was planned by."""
    return centre.library.policies(session, callback.policies)


def attempts_of(session: Session, callback: Callback) -> list[CallAttempt]:
    """Its attempts, in the order they were made."""
    return list(
        session.scalars(select(CallAttempt).where(CallAttempt.callback_id == callback.id).order_by(CallAttempt.number))
    )


def under_way(session: Session, callback: Callback) -> CallAttempt | None:
    """The attempt that has not ended."""
    return next((attempt for attempt in attempts_of(session, callback) if attempt.ended_at is None), None)


def next_step(
    session: Session, centre: Centre, callback: Callback, due_at: datetime, now: datetime
) -> Dial | Wait | GiveUp:
    """What bot/core/calls.py makes of it; calls that never left the house count for nothing."""
    contact = session.get_one(Contact, callback.contact_id)
    facts = CallFacts(
        state=callback.state,
        plan=plan_of(callback),
        zone=contact.timezone,
        due=due_at,
        numbers=numbers_of(session, callback),
        ends_at=callback.not_after,
        hours=gate.own_hours(contact),
    )
    made = [a for a in attempts_of(session, callback) if a.disposition is not Disposition.CANCELLED]
    reachable = dict(
        session.execute(select(Address.id, Address.reachable).where(Address.id.in_({a.address_id for a in made})))
        .tuples()
        .all()
    )
    attempts = [
        AttemptFacts(
            number=a.address_id,
            started_at=a.started_at,
            ended_at=a.ended_at,
            disposition=a.disposition if a.ended_at else None,
            rang=a.rang,
            invalid=not reachable[a.address_id],
        )
        for a in made
    ]
    return decide(facts, attempts, policies_of(session, centre, callback), days.calendar(session, centre), now)


def follow(session: Session, centre: Centre, callback: Callback, step: Dial | Wait | GiveUp, now: datetime) -> None:
    """Writes a decision down; a call that may be placed at once is left to the heartbeat."""
    match step:
        case Dial():
            callback.state, callback.due_at, callback.waits = CallbackState.SCHEDULED, now, None
        case Wait(until=None, reason=reason):
            hold_back(callback, reason, now)
        case Wait(until=until, reason=reason):
            callback.state, callback.due_at, callback.waits = CallbackState.SCHEDULED, until, reason
        case GiveUp(disposition=disposition, last_sms=last_sms):
            end(session, centre, callback, disposition, now, last_sms=last_sms)


def hold_back(callback: Callback, flag: str, now: datetime) -> None:
    """Waits for something that only people can mend; the flag says what."""
    callback.state, callback.due_at, callback.waits = CallbackState.SCHEDULED, now + LOOK_AGAIN, str(flag)
    callback.flags = sorted({*callback.flags, str(flag)})


# ── what became of a call ──


def wanted(session: Session, delivery: Delivery) -> bool:
    """Whether a queued delivery of a callback is still to go out: a cancelled callback's call is not, nor one of a
    plan that was paused meanwhile."""
    if delivery.channel is not ChannelName.VOICE:
        return True
    plan = session.scalar(
        select(Callback.plan)
        .join(CallAttempt, CallAttempt.callback_id == Callback.id)
        .where(
            CallAttempt.delivery_id == delivery.id,
            CallAttempt.ended_at.is_(None),
            Callback.state == CallbackState.DIALLING,
        )
    )
    return plan is not None and not pauses.is_paused(session, plan)


def delivery_changed(
    session: Session, centre: Centre, delivery: Delivery, report: Report | None, now: datetime
) -> None:
    """A delivery with a `callback_id` changed: writes down what that means for its attempt and decides what is next."""
    if delivery.channel is not ChannelName.VOICE or delivery.callback_id is None:
        return
    callback = lock(session, delivery.callback_id)
    attempt = session.scalar(select(CallAttempt).where(CallAttempt.delivery_id == delivery.id))
    if callback is None or attempt is None or attempt.ended_at is not None:
        return
    if report is not None and report.answered_by:
        attempt.answered_by = report.answered_by
    match delivery.state:
        case DeliveryState.QUEUED:
            _watch(callback, attempt, (delivery.expires_at or now) + LOST_AFTER)
        case DeliveryState.SENDING | DeliveryState.ACCEPTED:
            _watch(callback, attempt, now + gate.CALL_LIMIT)
        case DeliveryState.UNKNOWN:
            _watch(callback, attempt, now + LOST_AFTER)
        case DeliveryState.DELIVERED:
            attempt.rang = True
            _watch(callback, attempt, now + gate.CALL_LIMIT)
        case DeliveryState.HEARD | DeliveryState.READ:
            call_over(session, centre, callback, attempt, now)
        case DeliveryState.FAILED:
            _failed(session, centre, callback, attempt, delivery.error or "", now)
        case DeliveryState.EXPIRED | DeliveryState.CANCELLED:
            close_attempt(session, centre, callback, attempt, Disposition.CANCELLED, now)
    touch(session, "callbacks")


def _watch(callback: Callback, attempt: CallAttempt, at: datetime) -> None:
    """While it is dialled, `due_at` is when to look; once somebody talks it is the conversation's to move."""
    if attempt.conversation_id is None and callback.state is CallbackState.DIALLING:
        callback.due_at = at


def _failed(
    session: Session, centre: Centre, callback: Callback, attempt: CallAttempt, error: str, now: datetime
) -> None:
    code = error.strip().lower().replace("-", "_").replace(" ", "_")
    disposition = FAILURES.get(code, Disposition.FAILED)
    attempt.rang = attempt.rang or disposition not in NEVER_RANG
    close_attempt(session, centre, callback, attempt, attempt.disposition or disposition, now)


def call_over(session: Session, centre: Centre, callback: Callback, attempt: CallAttempt, now: datetime) -> None:
    """An answered call has ended."""
    attempt.rang = True
    conversation: Conversation | None = None
    if attempt.conversation_id is not None:
        conversation = session.get(Conversation, attempt.conversation_id, with_for_update=True, populate_existing=True)
    outcome = _outcome(attempt, conversation)
    if conversation is not None:
        callback.flow = {"slots": conversation.flow.get("state", {}).get("slots", {})}
        if outcome is Disposition.NO_ANSWER:
            conversation.wrap_up = SILENT
        if conversation.state is ConversationState.BOT:
            conversation.state, conversation.closed_at, conversation.silence_at = ConversationState.CLOSED, now, None
            conversation.revision += 1
        touch(session, f"conversation:{conversation.id}")
    close_attempt(session, centre, callback, attempt, attempt.disposition or outcome, now)


def _outcome(attempt: CallAttempt, conversation: Conversation | None) -> Disposition:
    """How a call ended that its script gave no word on."""
    if attempt.answered_by == "machine":
        return Disposition.MACHINE
    if conversation is None:
        return Disposition.FAILED
    if conversation.reason == "agent_first":
        return Disposition.COMPLETED  # a colleague called and spoke with them
    if conversation.state in (ConversationState.QUEUED, ConversationState.AGENT):
        return Disposition.ESCALATED
    if heard_nothing(conversation.flow):
        return Disposition.NO_ANSWER
    finished = not conversation.flow.get("state", {}).get("stack")
    return Disposition.COMPLETED if finished else Disposition.PARTLY_COMPLETED


def close_attempt(
    session: Session, centre: Centre, callback: Callback, attempt: CallAttempt, how: Disposition, now: datetime
) -> None:
    """Ends the attempt and decides what is next, unless the callback has ended meanwhile."""
    attempt.disposition, attempt.ended_at = how, now
    session.flush()
    if callback.state is not CallbackState.DIALLING:
        return
    agreed = how is Disposition.ANOTHER_TIME and ASKED in callback.flags and callback.due_at is not None
    due_at = callback.due_at if agreed and callback.due_at is not None else now
    callback.state = CallbackState.SCHEDULED
    follow(session, centre, callback, next_step(session, centre, callback, due_at, now), now)


# ── the end ──


def end(
    session: Session,
    centre: Centre,
    callback: Callback,
    disposition: Disposition,
    now: datetime,
    *,
    last_sms: bool = False,
) -> None:
    """Closes a callback, once; `last_sms` tells the person that we tried (REQ-C19)."""
    callback.state = CallbackState.DONE if disposition in HUMAN_ENDS else CallbackState.GIVEN_UP
    callback.disposition, callback.due_at, callback.closed_at, callback.waits = disposition, None, now, None
    callback.revision += 1
    audit.record(session, "callback.end", "callback", callback.id, now=now, disposition=disposition.value)
    plan_steps.end_others(session, callback, now)
    if last_sms:
        _tell(session, centre, callback, now)
    if callback.state is CallbackState.GIVEN_UP and callback.follow_up_group is FollowUpGroup.REQUESTED:
        _promise_missed(session, centre, callback, now)
    touch(session, "callbacks")


def _tell(session: Session, centre: Centre, callback: Callback, now: datetime) -> None:
    shelf, contact = centre.library.current, session.get_one(Contact, callback.contact_id)
    address = contacts.phone_of(session, contact.id, ChannelName.SMS)
    if address is None:
        return
    words: dict[str, Any] = {
        "name": contact.title or contact.name,
        "company": shelf.policies.company.name.of(contact.language),
    }
    outbox.put(
        session,
        dedupe_key=f"callback:{callback.id}:sms",
        purpose=callback.purpose,
        channel=ChannelName.SMS,
        address_id=address.id,
        contact_id=contact.id,
        text=i18n.text(contact.language, LAST_WORDS, **words),
        language=contact.language,
        now=now,
        metadata={"windows": list(windows_of(session, centre, callback))},
        callback_id=callback.id,
    )


def _promise_missed(session: Session, centre: Centre, callback: Callback, now: datetime) -> None:
    """We promised a call and did not reach them: the leader hears of it (INT-06)."""
    case = cases.open_case(
        session,
        kind=CaseKind.INQUIRY,
        contact_id=callback.contact_id,
        subject=callback.topic or i18n.text(centre.settings.language, N_("约定的回电没有打通")),
        zone=centre.settings.zone,
        now=now,
        callback_id=callback.id,
    )
    ladders.start(session, centre, reason="callback_missed", urgency=Urgency.ORDINARY, case_id=case.id, now=now)


def stop(session: Session, contact_id: int, now: datetime) -> None:
    """The person wants no more of it: pending follow-ups and marketing calls end, the one under way is the last.

    What they asked for themselves stays (DESIGN §4). Stopping text messages alone stops no calls.
    """
    withdrawn = {scope for scope, (granted, _) in contacts.consents(session, contact_id).items() if not granted}
    ended = stopped(withdrawn, ChannelName.VOICE)
    if ConsentKind.CALLBACKS in withdrawn:
        ended |= {Purpose.FOLLOW_UP}
    pending = session.scalars(
        select(Callback)
        .where(RUNNING, Callback.contact_id == contact_id, Callback.purpose.in_(ended))
        .with_for_update()
    )
    for callback in pending:
        if callback.state is CallbackState.DIALLING:
            for attempt in attempts_of(session, callback):
                if attempt.ended_at is None:
                    attempt.disposition = Disposition.OPTED_OUT
            continue
        callback.state, callback.disposition = CallbackState.CANCELLED, Disposition.OPTED_OUT
        callback.due_at, callback.closed_at, callback.waits = None, now, None
        callback.revision += 1
        audit.record(session, "callback.stop", "callback", callback.id, now=now)
    touch(session, "callbacks")
