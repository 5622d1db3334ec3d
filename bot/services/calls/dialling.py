"""Dialling: what is due is asked for, decided, let through the gate and put into the outbox (REQ-C04, DESIGN §3).

The heartbeat calls `tick`. What becomes of a call afterwards is callbacks.py's.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from bot.core.calls import ENDED, Dial, GiveUp, Wait, WaitReason
from bot.core.permission import Allowed, Refused, Why
from bot.core.plan import Rings
from bot.core.words import CallbackState, ChannelName, DeliveryState, Disposition, Rule
from bot.services import contacts, days, gate, i18n
from bot.services.calls import agent_first, attempts, callbacks, waits
from bot.services.centre import Centre
from bot.services.escalation import alerts
from bot.services.i18n import N_
from bot.services.plans import pauses, preparation
from store.db import touch
from store.tables import Callback, Contact, Delivery, Staff

log = structlog.get_logger()
HELD_BACK = (WaitReason.SEASONS_UNSET, preparation.NAME_MISSING, preparation.PURPOSE_MISSING)
NOBODY_FREE = timedelta(minutes=2)  # before an agent is looked for again
FORWARD = text("callback.priority <> 0 AND callback.priority < 0")  # literal, so that the partial index serves
UNMOVED = text("callback.priority = 0")
BACK = text("callback.priority <> 0 AND callback.priority > 0")
PAGE = 100  # callbacks in one transaction of the heartbeat
DIARY = N_("您约的回电到时间了，正在拨打：%(who)s %(topic)s")
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
    """Locks the callbacks to `dial` now: smallest priority first, then the longest due; others' are passed over.

    Those that somebody moved forward or back are few and have an index of their own; the others go along theirs. One
    query for all would sort everything that is due, which is much when a window opens.
    """
    ids: list[int] = []
    for moved in (FORWARD, UNMOVED, BACK):
        if len(ids) < limit:
            ids += session.scalars(
                select(Callback.id)
                .where(callbacks.RUNNING, moved, Callback.due_at <= now)
                .order_by(*(() if moved is UNMOVED else (Callback.priority,)), Callback.due_at, Callback.id)
                .limit(limit - len(ids))
                .with_for_update(skip_locked=True)
            )
    return ids


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
    elif pauses.is_paused(session, callback.plan):
        callback.due_at, callback.waits = now + callbacks.LOOK_AGAIN, pauses.PAUSED
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
    windows = callbacks.windows_of(session, centre, callback)
    if lacking := preparation.missing(session, shelf, callback):
        callbacks.hold_back(callback, lacking, now)
        return
    if _on_the_phone(session, callback):
        callback.due_at, callback.waits = now + shelf.policies.calls.between_numbers, Why.ON_THE_PHONE
        return
    answer = _asked(session, centre, callback, windows, now)
    if not isinstance(answer, Allowed):
        if answer.until is not None:
            callback.due_at, callback.waits = answer.until, answer.reason
        elif answer.reason is Why.SEASONS_UNSET:
            callbacks.hold_back(callback, answer.reason, now)
        else:
            stopped = answer.rule in (Rule.DO_NOT_CONTACT, Rule.CONSENT)
            callbacks.end(session, centre, callback, Disposition.OPTED_OUT if stopped else Disposition.CANCELLED, now)
        return
    if agent_first.rings_of(centre, callback) is Rings.AGENT_FIRST:
        if not agent_first.ring_for(session, callback, now):
            callback.due_at, callback.waits = now + NOBODY_FREE, waits.NOBODY_FREE
        return
    contact = session.get_one(Contact, callback.contact_id)
    callback.flags = [flag for flag in callback.flags if flag not in HELD_BACK]
    callback.waits = None
    _tell_owner(session, callback, contact, now)
    attempts.write_down(
        session,
        centre,
        callback,
        step.number,
        windows,
        {"machine": shelf.policies.calls.machine.value},
        now,
        text=i18n.text(contact.language, VOICEMAIL, company=shelf.policies.company.name.of(contact.language)),
        expires_at=step.window_end,
    )
    callback.state, callback.due_at, callback.window_end = (
        CallbackState.DIALLING,
        step.window_end + callbacks.LOST_AFTER,
        step.window_end,
    )


def _tell_owner(session: Session, callback: Callback, contact: Contact, now: datetime) -> None:
    """The colleague in whose diary it stands hears that it is being called."""
    owner = session.get(Staff, callback.staff_id) if callback.staff_id is not None else None
    if owner is not None and owner.active:
        who = contact.title or contact.name
        cause, link = f"diary:{callback.id}:{now:%Y%m%d%H%M}", f"/console/callbacks/{callback.id}"
        alerts.tell(session, [owner], DIARY, cause=cause, link=link, now=now, who=who, topic=callback.topic)


def _asked(
    session: Session, centre: Centre, callback: Callback, windows: tuple[str, ...], now: datetime
) -> Allowed | Refused:
    return gate.ask(
        session,
        purpose=callback.purpose,
        channel=ChannelName.VOICE,
        contact_id=callback.contact_id,
        policies=centre.library.current.policies,
        calendar=days.calendar(session, centre),
        now=now,
        windows=windows,
    )


def stands_against(
    session: Session, centre: Centre, callback: Callback, now: datetime
) -> tuple[str, datetime | None] | None:
    """Why it cannot be called now, though somebody would like to (a code of waits.py), and until when (None: not by
    waiting); None: it can be called."""
    if callback.state in ENDED:
        return WaitReason.ENDED, None
    if callback.state is CallbackState.DIALLING:
        return WaitReason.UNDER_WAY, None
    if pauses.is_paused(session, callback.plan):
        return pauses.PAUSED, None
    step = callbacks.next_step(session, centre, callback, now, now)
    if isinstance(step, Wait):
        return step.reason, step.until
    if isinstance(step, GiveUp):
        return waits.TRIED_OUT, None
    if lacking := preparation.missing(session, centre.library.current, callback):
        return lacking, None
    policies = centre.library.current.policies
    if _on_the_phone(session, callback):
        return Why.ON_THE_PHONE, now + policies.calls.between_numbers
    answer = _asked(session, centre, callback, callbacks.windows_of(session, centre, callback), now)
    return (answer.reason, answer.until) if isinstance(answer, Refused) else None


def _on_the_phone(session: Session, callback: Callback) -> bool:
    """Whether another call to the same person is under way: one at a time.

    On PostgreSQL another process may be asking the same for the same person just now; whoever comes second waits.
    """
    if session.get_bind().dialect.name == "postgresql":
        mine = select(func.pg_try_advisory_xact_lock(func.hashtextextended(f"call:{callback.contact_id}", 0)))
        if not session.scalar(mine):
            return True
    other = select(Callback.id).where(
        Callback.contact_id == callback.contact_id,
        Callback.id != callback.id,
        Callback.state == CallbackState.DIALLING,
    )
    return session.scalar(other.limit(1)) is not None


def _look(session: Session, centre: Centre, callback: Callback, now: datetime) -> None:
    """A call under way for too long: what its delivery says settles it; where nobody knows, a person must look."""
    attempt = callbacks.under_way(session, callback)
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
