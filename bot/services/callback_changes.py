"""What staff change in the callback queue: another time, an order, a note, an end, a next step (PEERS, REQ-C17).

Everything is audited and keeps what it replaced (REQ-G02). A page's change carries the revision it was made from, so
that two people do not overwrite each other.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.calls import ENDED
from bot.core.policy import Policies
from bot.core.windows import Calendar, Opening, call_windows, next_open, requested
from bot.core.words import CallbackState, Disposition, FollowUpGroup
from bot.services import audit, bookings
from bot.services.bookings import NotBookableError
from bot.services.callbacks import UNKNOWN
from bot.services.centre import Centre
from store.db import touch
from store.tables import Callback, Contact, NextStep, Staff

TEXT = 2000  # characters of a note


class CallbackRefusedError(Exception):
    """What was asked of a callback is not possible now; `code` names why, for the reader's language."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def postpone(
    session: Session,
    centre: Centre,
    callback_id: int,
    at: datetime,
    *,
    revision: int,
    staff_id: int | None,
    now: datetime,
) -> Callback:
    """Moves a waiting callback to `at` (zone-aware); raises NotBookableError with the nearest permitted times."""
    callback = _waiting(session, callback_id, revision)
    shelf = centre.library.current
    zone = session.get_one(Contact, callback.contact_id).timezone
    group = callback.follow_up_group
    opening = _opening(group, max(at, now), now, shelf.policies, shelf.calendar, zone)
    _revise(session, callback, "due_at", callback.due_at, opening.start, staff_id, now)
    if group is FollowUpGroup.REQUESTED or (callback.not_after and opening.start >= callback.not_after):
        bookings.move(callback, opening, shelf.policies, zone)
    else:
        callback.due_at, callback.window_end = opening.start, opening.end
    return _saved(session, callback, "callback.postpone", staff_id, now, due=opening.start.isoformat())


def _opening(
    group: FollowUpGroup, at: datetime, now: datetime, policies: Policies, calendar: Calendar, zone: str
) -> Opening:
    if group is FollowUpGroup.REQUESTED:
        found = requested(at, now, policies, calendar, zone)
        if isinstance(found, Opening):
            return found
        raise NotBookableError(found.slots)
    opening = next_open(at, call_windows(group, policies), calendar, zone, seasons=policies.seasons)
    if isinstance(opening, Opening) and opening.start == at:
        return opening
    raise NotBookableError((opening,) if isinstance(opening, Opening) else ())


def reorder(
    session: Session, callback_id: int, priority: int, *, revision: int, staff_id: int | None, now: datetime
) -> Callback:
    """Of the callbacks due together, the smaller `priority` (-9 to 9) is called first."""
    callback = _waiting(session, callback_id, revision)
    priority = max(-9, min(9, priority))
    _revise(session, callback, "priority", callback.priority, priority, staff_id, now)
    callback.priority = priority
    return _saved(session, callback, "callback.reorder", staff_id, now, priority=priority)


def annotate(
    session: Session, callback_id: int, remarks: str, *, revision: int, staff_id: int | None, now: datetime
) -> Callback:
    """Writes the specialist's remarks (REQ-C15), whatever the callback's state."""
    callback = _held(session, callback_id, revision)
    remarks = remarks.strip()[:TEXT]
    _revise(session, callback, "remarks", callback.remarks, remarks, staff_id, now)
    callback.remarks = remarks
    return _saved(session, callback, "callback.annotate", staff_id, now)


def cancel(
    session: Session, callback_id: int, why: str, *, revision: int, staff_id: int | None, now: datetime
) -> Callback:
    """Ends a callback that has not been answered yet; a call already on its way out is not placed any more."""
    callback = _held(session, callback_id, revision)
    if callback.state in ENDED:
        raise CallbackRefusedError("callback_ended")
    callback.state, callback.disposition = CallbackState.CANCELLED, Disposition.CANCELLED
    callback.due_at, callback.closed_at = None, now
    return _saved(session, callback, "callback.cancel", staff_id, now, note=why.strip()[:TEXT])


def call_now(
    session: Session, centre: Centre, callback_id: int, *, revision: int, staff_id: int | None, now: datetime
) -> Callback:
    """Calls as soon as the window and the gate allow; one that has ended is owed once more, with what was answered."""
    callback = _held(session, callback_id, revision)
    if callback.state is CallbackState.DIALLING:
        raise CallbackRefusedError("callback_dialling")
    if callback.state in ENDED:
        callback = _again(session, centre, callback, now)
    callback.due_at = now
    return _saved(session, callback, "callback.call_now", staff_id, now)


def _again(session: Session, centre: Centre, ended: Callback, now: datetime) -> Callback:
    if ended.disposition is Disposition.OPTED_OUT:
        raise CallbackRefusedError("callback_opted_out")
    shelf, zone = centre.library.current, session.get_one(Contact, ended.contact_id).timezone
    times = session.scalar(
        select(func.count()).select_from(Callback).where(Callback.dedupe_key.startswith(f"again:{ended.id}:"))
    )
    callback = Callback(
        dedupe_key=f"again:{ended.id}:{(times or 0) + 1}",
        contact_id=ended.contact_id,
        event_id=ended.event_id,
        case_id=ended.case_id,
        address_id=ended.address_id,
        follow_up_group=ended.follow_up_group,
        purpose=ended.purpose,
        policies=shelf.policies_version,
        flow_id=ended.flow_id,
        flow=ended.flow,
        topic=ended.topic,
        flags=[flag for flag in ended.flags if flag != UNKNOWN],
        created_at=now,
    )
    bookings.move(callback, Opening(now, now, provisional=False), shelf.policies, zone)
    callback.window_end = None
    session.add(callback)
    session.flush()
    return callback


# ── next steps (REQ-C17) ──


def add_step(
    session: Session, callback_id: int, *, owner_id: int, what: str, due_on: date, staff_id: int, now: datetime
) -> NextStep:
    """Gives a named person something to do about a follow-up, by a day."""
    what = what.strip()[:TEXT]
    if not what:
        raise CallbackRefusedError("text_empty")
    if session.get(Callback, callback_id) is None:
        raise CallbackRefusedError("not_found")
    owner = session.get(Staff, owner_id)
    if owner is None or not owner.active:
        raise CallbackRefusedError("owner_unknown")
    step = NextStep(
        callback_id=callback_id, owner_id=owner_id, what=what, due_on=due_on, created_by=staff_id, created_at=now
    )
    session.add(step)
    session.flush()
    audit.record(session, "next_step.add", "callback", callback_id, now=now, staff_id=staff_id, owner=owner_id)
    touch(session, "callbacks")
    return step


def finish_step(
    session: Session, callback_id: int, step_id: int, result: str, *, staff_id: int, anybodys: bool, now: datetime
) -> NextStep:
    """Records what came of a next step: its owner does, or whoever may assign them (`anybodys`)."""
    step = session.get(NextStep, step_id, with_for_update=True)
    if step is None or step.callback_id != callback_id:
        raise CallbackRefusedError("not_found")
    if step.owner_id != staff_id and not anybodys:
        raise CallbackRefusedError("not_yours")
    if not result.strip():
        raise CallbackRefusedError("text_empty")
    step.state, step.result = "done", result.strip()[:TEXT]
    audit.record(session, "next_step.finish", "callback", step.callback_id, now=now, staff_id=staff_id, step=step.id)
    touch(session, "callbacks")
    return step


# ── how it is done ──


def _held(session: Session, callback_id: int, revision: int) -> Callback:
    callback = session.get(Callback, callback_id, with_for_update=True, populate_existing=True)
    if callback is None:
        raise CallbackRefusedError("not_found")
    if callback.revision != revision:
        raise CallbackRefusedError("callback_changed")
    return callback


def _waiting(session: Session, callback_id: int, revision: int) -> Callback:
    callback = _held(session, callback_id, revision)
    if callback.state is CallbackState.DIALLING:
        raise CallbackRefusedError("callback_dialling")
    if callback.state in ENDED:
        raise CallbackRefusedError("callback_ended")
    return callback


def _saved(
    session: Session,
    callback: Callback,
    action: str,
    staff_id: int | None,
    now: datetime,
    note: str = "",
    **details: Any,
) -> Callback:
    callback.revision = (callback.revision or 0) + 1
    audit.record(session, action, "callback", callback.id, now=now, staff_id=staff_id, note=note, **details)
    touch(session, "callbacks")
    return callback


def _revise(
    session: Session, callback: Callback, field: str, old: Any, new: Any, staff_id: int | None, now: datetime
) -> None:
    audit.revise(session, "callback", callback.id, field, old, new, now=now, staff_id=staff_id)
