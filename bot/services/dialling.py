"""Dialling: what is due is asked for, decided, let through the gate and put into the outbox (REQ-C04, DESIGN §3).

The heartbeat calls `tick`. What becomes of a call afterwards is callbacks.py's.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.calls import Dial, WaitReason
from bot.core.permission import Allowed, Why
from bot.core.windows import Calendar, call_windows, local_date, spans
from bot.core.words import CallbackState, ChannelName, DeliveryState, Disposition, FollowUpGroup, Rule
from bot.services import callbacks, contacts, gate, i18n, outbox
from bot.services.centre import Centre
from bot.services.i18n import N_
from bot.services.library import Shelf
from store.db import touch
from store.tables import CallAttempt, Callback, Contact, Delivery

log = structlog.get_logger()
PAGE = 100  # callbacks in one transaction of the heartbeat
VOICEMAIL = N_("您好，这里是%(company)s。我们稍后会再联系您，您也可以随时与我们联系。再见。")


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Takes the next step of a page of due callbacks; one that fails is looked at again later, alone."""
    ids = due(session, now)
    for callback_id in ids:
        try:
            with session.begin_nested():
                dial(session, centre, callback_id, now)
        except Exception:
            log.exception("dialling.failed", callback=callback_id)
            later = update(Callback).where(Callback.id == callback_id).values(due_at=now + callbacks.LOST_AFTER)
            session.execute(later)
    return len(ids)


def due(session: Session, now: datetime, limit: int = PAGE) -> list[int]:
    """Locks the callbacks to `dial` now: smallest priority first, then the longest due; others' are passed over."""
    return list(
        session.scalars(
            select(Callback.id)
            .where(callbacks.RUNNING, Callback.due_at <= now)
            .order_by(Callback.priority, Callback.due_at, Callback.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )


def next_due(session: Session, now: datetime) -> datetime | None:
    """When the next callback falls due, for a rehearsal that jumps."""
    return session.scalar(
        select(Callback.due_at).where(callbacks.RUNNING, Callback.due_at > now).order_by(Callback.due_at).limit(1)
    )


def dial(session: Session, centre: Centre, callback_id: int, now: datetime) -> None:
    """Takes a due callback's next step: a call into the outbox, a later time, or its end. Harmless when repeated."""
    callback = callbacks.lock(session, callback_id)
    if callback is None or callback.due_at is None or callback.due_at > now:
        return
    callback.contact_id = contacts.survivor(session, callback.contact_id)
    if callback.state is CallbackState.DIALLING:
        _look(session, centre, callback, now)
    elif callback.state is CallbackState.SCHEDULED:
        step = callbacks.next_step(session, centre, callback, callback.due_at, now)
        if isinstance(step, Dial):
            _place(session, centre, callback, step, now)
        else:
            callbacks.follow(session, centre, callback, step, now)
    touch(session, "callbacks")


def _place(session: Session, centre: Centre, callback: Callback, step: Dial, now: datetime) -> None:
    """Asks the gate and puts the call into the outbox, with its attempt, in this one transaction."""
    shelf = centre.library.current
    windows = shelf.policies.plans[callbacks.group_of(callback)].windows
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
            callbacks.hold_back(callback, answer.reason, now)
        else:
            stopped = answer.rule in (Rule.DO_NOT_CONTACT, Rule.CONSENT)
            callbacks.end(session, centre, callback, Disposition.OPTED_OUT if stopped else Disposition.CANCELLED, now)
        return
    contact = session.get_one(Contact, callback.contact_id)
    callback.flags = [flag for flag in callback.flags if flag != WaitReason.SEASONS_UNSET]
    number = len(callbacks.attempts_of(session, callback)) + 1
    attempt = CallAttempt(
        callback_id=callback.id,
        number=number,
        address_id=step.number,
        window=_window(shelf, callbacks.group_of(callback), contact.timezone, now),
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
        step.window_end + callbacks.LOST_AFTER,
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


def _look(session: Session, centre: Centre, callback: Callback, now: datetime) -> None:
    """A call under way for too long: what its delivery says settles it; where nobody knows, a person must look."""
    attempt = next((a for a in callbacks.attempts_of(session, callback) if a.ended_at is None), None)
    delivery = session.get(Delivery, attempt.delivery_id) if attempt is not None and attempt.delivery_id else None
    if attempt is None or delivery is None:
        callback.state, callback.due_at = CallbackState.SCHEDULED, now
        return
    if delivery.state is DeliveryState.SENDING:
        callback.due_at = now + callbacks.LOST_AFTER
    elif delivery.state is DeliveryState.QUEUED:
        # It never left: the window it was meant for has closed.
        delivery.state, delivery.changed_at = DeliveryState.EXPIRED, now
        callbacks.close_attempt(session, centre, callback, attempt, Disposition.CANCELLED, now)
    elif delivery.state is DeliveryState.DELIVERED or attempt.conversation_id is not None:
        callbacks.call_over(session, centre, callback, attempt, now)
    else:
        log.warning("dialling.call_unknown", callback=callback.id, attempt=attempt.number)
        attempt.disposition, attempt.ended_at = Disposition.FAILED, now
        callback.flags = sorted({*callback.flags, callbacks.UNKNOWN})
        callbacks.end(session, centre, callback, Disposition.FAILED, now)
