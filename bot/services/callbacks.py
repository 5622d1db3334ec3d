"""Callbacks from due to done: dialled inside their windows, retried by reason, closed once (REQ-C04, C13, C18, C19).

The heartbeat calls `tick`, which hands what is `due` to `dial`; the outbox asks `wanted` before a call goes out and
tells `delivery_changed` what becomes of it; the voice service says `hung_up` when a call that was answered is over.
What to do next is decided by bot/core/calls.py and the gate. The moment a person answers is calls.py's, which needs the
flow engine; what staff change is callback_changes.py's; what customers wish is bookings.py's.

What became of a call is read from its delivery: DELIVERED it was answered, HEARD it is over, FAILED with the `error`
"busy", "no_answer", "declined", "machine", "invalid" (no such number) or anything else ("failed").
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from bot.core.calls import AttemptFacts, CallFacts, Dial, GiveUp, Wait, WaitReason, decide
from bot.core.permission import STOPPED, Allowed, Why
from bot.core.policy import Policies
from bot.core.windows import Calendar, call_windows, local_date, spans
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
    Rule,
    Urgency,
)
from bot.services import audit, cases, contacts, gate, handoff, i18n, outbox
from bot.services.bookings import ASKED, numbers_of
from bot.services.centre import Centre
from bot.services.i18n import N_
from bot.services.library import Shelf
from store.db import touch
from store.tables import Address, CallAttempt, Callback, Contact, Conversation, Delivery

log = structlog.get_logger()
PAGE = 100  # callbacks in one transaction of the heartbeat
RUNNING = text("callback.state IN ('scheduled', 'dialling')")  # literal, so that the partial index serves
CALL_LIMIT = timedelta(minutes=60)  # a call without a final report by then is looked into
LOST_AFTER = timedelta(minutes=5)  # a call nobody knows about may still be reported so long
LOOK_AGAIN = timedelta(hours=1)  # while a setting is missing
UNKNOWN = "unknown"  # flag: nobody can say whether the call took place, so it is not placed again by itself
HUMAN_ENDS = frozenset({Disposition.COMPLETED, Disposition.ESCALATED, Disposition.REFUSED, Disposition.OPTED_OUT})
FAILURES: Mapping[str, Disposition] = {
    "busy": Disposition.BUSY,
    "declined": Disposition.BUSY,
    "no_answer": Disposition.NO_ANSWER,
    "machine": Disposition.MACHINE,
}
INVALID = frozenset({"invalid", "invalid_number"})
LAST_WORDS = N_(
    "%(name)s您好，这里是%(company)s，我们几次致电都没有联系上您。需要帮助时请随时与我们联系；不想再收到回复 T。"
)
VOICEMAIL = N_("您好，这里是%(company)s。我们稍后会再联系您，您也可以随时与我们联系。再见。")


# ── dialling ──


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Takes the next step of a page of due callbacks; one that fails is looked at again later, alone."""
    ids = due(session, now)
    for callback_id in ids:
        try:
            with session.begin_nested():
                dial(session, centre, callback_id, now)
        except Exception:
            log.exception("callbacks.dial_failed", callback=callback_id)
            session.execute(update(Callback).where(Callback.id == callback_id).values(due_at=now + LOST_AFTER))
    return len(ids)


def due(session: Session, now: datetime, limit: int = PAGE) -> list[int]:
    """Locks the callbacks to `dial` now: smallest priority first, then the longest due; others' are passed over."""
    return list(
        session.scalars(
            select(Callback.id)
            .where(RUNNING, Callback.due_at <= now)
            .order_by(Callback.priority, Callback.due_at, Callback.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )


def next_due(session: Session, now: datetime) -> datetime | None:
    """When the next callback falls due, for a rehearsal that jumps."""
    return session.scalar(
        select(Callback.due_at).where(RUNNING, Callback.due_at > now).order_by(Callback.due_at).limit(1)
    )


def dial(session: Session, centre: Centre, callback_id: int, now: datetime) -> None:
    """Takes a due callback's next step: a call into the outbox, a later time, or its end. Harmless when repeated."""
    callback = _lock(session, callback_id)
    if callback is None or callback.due_at is None or callback.due_at > now:
        return
    if callback.state is CallbackState.DIALLING:
        _look(session, centre, callback, now)
    elif callback.state is CallbackState.SCHEDULED:
        step = _decide(session, centre, callback, callback.due_at, now)
        if isinstance(step, Dial):
            _place(session, centre, callback, step, now)
        else:
            _follow(session, centre, callback, step, now)
    touch(session, "callbacks")


def _lock(session: Session, callback_id: int) -> Callback | None:
    return session.get(Callback, callback_id, with_for_update=True, populate_existing=True)


def _group(callback: Callback) -> FollowUpGroup:
    """Whose windows count: a time the person named themselves is a requested one, whatever the call is about."""
    asked = callback.purpose is Purpose.REQUESTED_CALLBACK
    return FollowUpGroup.REQUESTED if asked else callback.follow_up_group


def policies_of(session: Session, centre: Centre, callback: Callback) -> Policies:
    """The policies a callback was planned by."""
    return centre.library.policies(session, callback.policies)


def _attempts(session: Session, callback: Callback) -> list[CallAttempt]:
    return list(
        session.scalars(select(CallAttempt).where(CallAttempt.callback_id == callback.id).order_by(CallAttempt.number))
    )


def _decide(
    session: Session, centre: Centre, callback: Callback, due_at: datetime, now: datetime
) -> Dial | Wait | GiveUp:
    facts = CallFacts(
        state=callback.state,
        group=_group(callback),
        zone=session.get_one(Contact, callback.contact_id).timezone,
        due=due_at,
        numbers=numbers_of(session, callback),
        ends_at=callback.not_after,
    )
    made = [a for a in _attempts(session, callback) if a.disposition is not Disposition.CANCELLED]
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
    return decide(facts, attempts, policies_of(session, centre, callback), centre.library.current.calendar, now)


def _follow(session: Session, centre: Centre, callback: Callback, step: Dial | Wait | GiveUp, now: datetime) -> None:
    """Writes a decision down; a call that may be placed at once is left to the heartbeat."""
    match step:
        case Dial():
            callback.state, callback.due_at = CallbackState.SCHEDULED, now
        case Wait(until=None, reason=reason):
            if reason is WaitReason.SEASONS_UNSET:
                _hold(callback, reason, now)
        case Wait(until=until):
            callback.state, callback.due_at = CallbackState.SCHEDULED, until
        case GiveUp(disposition=disposition, last_sms=last_sms):
            end(session, centre, callback, disposition, now, last_sms=last_sms)


def _hold(callback: Callback, flag: str, now: datetime) -> None:
    callback.state, callback.due_at = CallbackState.SCHEDULED, now + LOOK_AGAIN
    callback.flags = sorted({*callback.flags, str(flag)})


def _place(session: Session, centre: Centre, callback: Callback, step: Dial, now: datetime) -> None:
    """Asks the gate and puts the call into the outbox, with its attempt, in this one transaction."""
    shelf = centre.library.current
    windows = shelf.policies.plans[_group(callback)].windows
    if _on_the_phone(session, callback):
        callback.due_at = now + shelf.policies.calls.between_numbers
        return
    answer = gate.ask(
        session,
        purpose=callback.purpose,
        channel=ChannelName.VOICE,
        contact_id=callback.contact_id,
        policies=shelf.policies,
        calendar=shelf.calendar,
        now=now,
        windows=windows,
    )
    if not isinstance(answer, Allowed):
        if answer.until is not None:
            callback.due_at = answer.until
        elif answer.reason is Why.SEASONS_UNSET:
            _hold(callback, answer.reason, now)
        else:
            stopped = answer.rule in (Rule.DO_NOT_CONTACT, Rule.CONSENT)
            end(session, centre, callback, Disposition.OPTED_OUT if stopped else Disposition.CANCELLED, now)
        return
    contact = session.get_one(Contact, callback.contact_id)
    number = len(_attempts(session, callback)) + 1
    attempt = CallAttempt(
        callback_id=callback.id,
        number=number,
        address_id=step.number,
        window=_window(shelf, _group(callback), contact.timezone, now),
        started_at=now,
    )
    session.add(attempt)
    attempt.delivery_id = outbox.put(
        session,
        dedupe_key=f"callback:{callback.id}:{number}",
        purpose=callback.purpose,
        channel=ChannelName.VOICE,
        address_id=step.number,
        contact_id=contact.id,
        text=i18n.text(contact.language, VOICEMAIL, company=shelf.policies.company.name.of(contact.language)),
        language=contact.language,
        now=now,
        expires_at=step.window_end,
        metadata={"windows": list(windows), "machine": shelf.policies.calls.machine.value},
        callback_id=callback.id,
    )
    callback.state, callback.due_at, callback.window_end = (
        CallbackState.DIALLING,
        step.window_end + LOST_AFTER,
        step.window_end,
    )


def _window(shelf: Shelf, group: FollowUpGroup, zone: str, now: datetime) -> str:
    """The window a call is placed in, as the person called sees it on the clock: 14:30–16:30."""
    policies, today = shelf.policies, local_date(now, zone)
    found = spans(today, call_windows(group, policies), Calendar(), zone, seasons=policies.seasons)
    local = ZoneInfo(zone)
    return next(
        (
            f"{start.astimezone(local):%H:%M}–{end.astimezone(local):%H:%M}"
            for start, end in found
            if start <= now < end
        ),
        "",
    )


def _on_the_phone(session: Session, callback: Callback) -> bool:
    """Whether another call to the same person is under way: one at a time."""
    other = select(Callback.id).where(
        Callback.contact_id == callback.contact_id,
        Callback.id != callback.id,
        Callback.state == CallbackState.DIALLING,
    )
    return session.scalar(other.limit(1)) is not None


# ── what became of a call ──


def wanted(session: Session, delivery: Delivery) -> bool:
    """Whether a queued delivery of a callback is still to go out: a cancelled callback's call is not."""
    if delivery.channel is not ChannelName.VOICE:
        return True
    found = session.scalar(
        select(Callback.id)
        .join(CallAttempt, CallAttempt.callback_id == Callback.id)
        .where(
            CallAttempt.delivery_id == delivery.id,
            CallAttempt.ended_at.is_(None),
            Callback.state == CallbackState.DIALLING,
        )
    )
    return found is not None


def delivery_changed(
    session: Session, centre: Centre, delivery: Delivery, report: Report | None, now: datetime
) -> None:
    """A delivery with a `callback_id` changed: writes down what that means for its attempt and decides what is next."""
    if delivery.channel is not ChannelName.VOICE or delivery.callback_id is None:
        return
    callback = _lock(session, delivery.callback_id)
    attempt = session.scalar(select(CallAttempt).where(CallAttempt.delivery_id == delivery.id))
    if callback is None or attempt is None or attempt.ended_at is not None:
        return
    if report is not None and report.answered_by:
        attempt.answered_by = report.answered_by
    match delivery.state:
        case DeliveryState.QUEUED:
            _watch(callback, attempt, (delivery.expires_at or now) + LOST_AFTER)
        case DeliveryState.SENDING | DeliveryState.ACCEPTED:
            _watch(callback, attempt, now + CALL_LIMIT)
        case DeliveryState.UNKNOWN:
            _watch(callback, attempt, now + LOST_AFTER)
        case DeliveryState.DELIVERED:
            attempt.rang = True
            _watch(callback, attempt, now + CALL_LIMIT)
        case DeliveryState.HEARD | DeliveryState.READ:
            _over(session, centre, callback, attempt, now)
        case DeliveryState.FAILED:
            _failed(session, centre, callback, attempt, delivery.error or "", now)
        case DeliveryState.EXPIRED | DeliveryState.CANCELLED:
            _close(session, centre, callback, attempt, Disposition.CANCELLED, now)
    touch(session, "callbacks")


def hung_up(session: Session, centre: Centre, conversation_id: int, now: datetime) -> None:
    """The call behind a conversation is over, whoever ended it: what was answered is kept for the next attempt.

    Repeats, and the provider's own report of the end, change nothing more.
    """
    attempt = session.scalar(select(CallAttempt).where(CallAttempt.conversation_id == conversation_id))
    callback = _lock(session, attempt.callback_id) if attempt is not None else None
    if callback is None or attempt is None or attempt.ended_at is not None:
        return
    _over(session, centre, callback, attempt, now)
    touch(session, "callbacks")


def _watch(callback: Callback, attempt: CallAttempt, at: datetime) -> None:
    """While it is dialled, `due_at` is when to look; once somebody talks it is the conversation's to move."""
    if attempt.conversation_id is None and callback.state is CallbackState.DIALLING:
        callback.due_at = at


def _failed(
    session: Session, centre: Centre, callback: Callback, attempt: CallAttempt, error: str, now: datetime
) -> None:
    code = error.strip().lower().replace("-", "_").replace(" ", "_")
    if code in INVALID:
        session.get_one(Address, attempt.address_id).reachable = False
    disposition = FAILURES.get(code, Disposition.FAILED)
    attempt.rang = attempt.rang or disposition is not Disposition.FAILED
    _close(session, centre, callback, attempt, attempt.disposition or disposition, now)


def _over(session: Session, centre: Centre, callback: Callback, attempt: CallAttempt, now: datetime) -> None:
    """An answered call has ended."""
    attempt.rang = True
    conversation: Conversation | None = None
    if attempt.conversation_id is not None:
        conversation = session.get(Conversation, attempt.conversation_id, with_for_update=True, populate_existing=True)
    outcome = _outcome(attempt, conversation)
    if conversation is not None:
        callback.flow = {"slots": conversation.flow.get("state", {}).get("slots", {})}
        if conversation.state is ConversationState.BOT:
            conversation.state, conversation.closed_at, conversation.silence_at = ConversationState.CLOSED, now, None
            conversation.revision += 1
        touch(session, f"conversation:{conversation.id}")
    _close(session, centre, callback, attempt, attempt.disposition or outcome, now)


def _outcome(attempt: CallAttempt, conversation: Conversation | None) -> Disposition:
    """How a call ended that its script gave no word on."""
    if attempt.answered_by == "machine":
        return Disposition.MACHINE
    if conversation is None:
        return Disposition.FAILED
    if conversation.state in (ConversationState.QUEUED, ConversationState.AGENT):
        return Disposition.ESCALATED
    finished = not conversation.flow.get("state", {}).get("stack")
    return Disposition.COMPLETED if finished else Disposition.PARTLY_COMPLETED


def _close(
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
    _follow(session, centre, callback, _decide(session, centre, callback, due_at, now), now)


def _look(session: Session, centre: Centre, callback: Callback, now: datetime) -> None:
    """A call under way for too long: what its delivery says settles it; where nobody knows, a person must look."""
    attempt = next((a for a in _attempts(session, callback) if a.ended_at is None), None)
    delivery = session.get(Delivery, attempt.delivery_id) if attempt is not None and attempt.delivery_id else None
    if attempt is None or delivery is None:
        callback.state, callback.due_at = CallbackState.SCHEDULED, now
        return
    if delivery.state is DeliveryState.SENDING:
        callback.due_at = now + LOST_AFTER
    elif delivery.state is DeliveryState.QUEUED:
        # It never left: the window it was meant for has closed.
        delivery.state, delivery.changed_at = DeliveryState.EXPIRED, now
        _close(session, centre, callback, attempt, Disposition.CANCELLED, now)
    elif delivery.state is DeliveryState.DELIVERED or attempt.conversation_id is not None:
        _over(session, centre, callback, attempt, now)
    else:
        log.warning("callbacks.call_unknown", callback=callback.id, attempt=attempt.number)
        attempt.disposition, attempt.ended_at = Disposition.FAILED, now
        callback.flags = sorted({*callback.flags, UNKNOWN})
        end(session, centre, callback, Disposition.FAILED, now)


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
    callback.disposition, callback.due_at, callback.closed_at = disposition, None, now
    callback.revision += 1
    audit.record(session, "callback.end", "callback", callback.id, now=now, disposition=disposition.value)
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
        metadata={"windows": list(shelf.policies.plans[_group(callback)].windows)},
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
    handoff.start(session, centre, reason="callback_missed", urgency=Urgency.ORDINARY, case_id=case.id, now=now)


def stop(session: Session, contact_id: int, now: datetime) -> None:
    """The person wants no more of it: pending follow-ups and marketing calls end, the one under way is the last.

    What they asked for themselves stays (DESIGN §4). Stopping text messages alone stops no calls.
    """
    withdrawn = {scope for scope, (granted, _) in contacts.consents(session, contact_id).items() if not granted}
    if withdrawn == {"sms"}:
        return
    pending = session.scalars(
        select(Callback)
        .where(RUNNING, Callback.contact_id == contact_id, Callback.purpose.in_(STOPPED))
        .with_for_update()
    )
    for callback in pending:
        if callback.state is CallbackState.DIALLING:
            for attempt in _attempts(session, callback):
                if attempt.ended_at is None:
                    attempt.disposition = Disposition.OPTED_OUT
            continue
        callback.state, callback.disposition = CallbackState.CANCELLED, Disposition.OPTED_OUT
        callback.due_at, callback.closed_at = None, now
        callback.revision += 1
        audit.record(session, "callback.stop", "callback", callback.id, now=now)
    touch(session, "callbacks")
