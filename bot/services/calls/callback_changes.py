"""What staff change in the callback queue: another time, an order, a note, an end (PEERS).

Everything is audited and keeps what it replaced (REQ-G02). A page's change carries the revision it was made from, so
that two people do not overwrite each other.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from bot.core.calls import ENDED
from bot.core.plan import Rings, choose, chosen
from bot.core.policy import Policies
from bot.core.windows import Calendar, Opening, call_windows, next_open, requested
from bot.core.words import CallbackState, Disposition, FollowUpGroup
from bot.services import audit, days
from bot.services.calls import bookings
from bot.services.calls.bookings import NotBookableError
from bot.services.centre import Centre
from bot.services.records.locked import is_locked
from bot.services.refusal import RefusedError
from store.db import touch
from store.tables import Archivable, Callback, Contact, Staff

TEXT = 2000  # characters of a note


class CallbackRefusedError(RefusedError):
    """What was asked of a callback is not possible now."""


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
    plan_id = callback.plan if callback.plan in shelf.policies.plans else FollowUpGroup.REQUESTED
    opening = _opening(plan_id, max(at, now), now, shelf.policies, days.calendar(session, centre), zone)
    _revise(session, callback, "due_at", callback.due_at, opening.start, staff_id, now)
    if plan_id == FollowUpGroup.REQUESTED or (callback.not_after and opening.start >= callback.not_after):
        bookings.move(callback, opening, shelf.policies, zone)
    else:
        callback.due_at, callback.window_end = opening.start, opening.end
    return saved(session, callback, "callback.postpone", staff_id, now, due=opening.start.isoformat())


def _opening(plan_id: str, at: datetime, now: datetime, policies: Policies, calendar: Calendar, zone: str) -> Opening:
    if plan_id == FollowUpGroup.REQUESTED:
        found = requested(at, now, policies, calendar, zone)
        if isinstance(found, Opening):
            return found
        raise NotBookableError(found.slots)
    opening = next_open(at, call_windows(plan_id, policies), calendar, zone, seasons=policies.seasons)
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
    return saved(session, callback, "callback.reorder", staff_id, now, priority=priority)


def annotate(
    session: Session, callback_id: int, remarks: str, *, revision: int, staff_id: int | None, now: datetime
) -> Callback:
    """Writes the specialist's remarks (REQ-C15), whatever the callback's state."""
    callback = held(session, callback_id, revision)
    remarks = remarks.strip()[:TEXT]
    _revise(session, callback, "remarks", callback.remarks, remarks, staff_id, now)
    callback.remarks = remarks
    return saved(session, callback, "callback.annotate", staff_id, now)


def edit(
    session: Session,
    callback_id: int,
    *,
    topic: str,
    address_id: int | None,
    owner_id: int | None,
    rings: Rings | None,
    revision: int,
    staff_id: int,
    now: datetime,
) -> Callback:
    """Changes what a waiting call is about, which of the person's numbers is rung first, in whose diary it stands, and
    who speaks (`rings`; None: as its plan says)."""
    callback = _waiting(session, callback_id, revision)
    if address_id is not None and address_id not in bookings.numbers_of(session, callback):
        raise CallbackRefusedError("number_unknown")
    owner = session.get(Staff, owner_id) if owner_id is not None else None
    if owner_id is not None and (owner is None or not owner.active):
        raise CallbackRefusedError("owner_unknown")
    for field, value in (("topic", topic.strip()[:TEXT]), ("address_id", address_id), ("staff_id", owner_id)):
        if getattr(callback, field) != value:
            _revise(session, callback, field, getattr(callback, field), value, staff_id, now)
            setattr(callback, field, value)
    if chosen(callback.flags) is not rings:
        _revise(session, callback, "rings", chosen(callback.flags), rings, staff_id, now)
        callback.flags = choose(callback.flags, rings)
    return saved(session, callback, "callback.edit", staff_id, now)


def cancel(
    session: Session, callback_id: int, why: str, *, revision: int, staff_id: int | None, now: datetime
) -> Callback:
    """Ends a callback that has not been answered yet; a call already on its way out is not placed any more."""
    callback = held(session, callback_id, revision)
    if callback.state in ENDED:
        raise CallbackRefusedError("callback_ended")
    callback.state, callback.disposition = CallbackState.CANCELLED, Disposition.CANCELLED
    callback.due_at, callback.closed_at, callback.waits = None, now, None
    return saved(session, callback, "callback.cancel", staff_id, now, note=why.strip()[:TEXT])


# ── how it is done ──


def held(session: Session, callback_id: int, revision: int) -> Callback:
    """A callback locked for a change, as the page saw it."""
    callback = session.get(Callback, callback_id, with_for_update=True, populate_existing=True)
    if callback is None:
        raise CallbackRefusedError("not_found")
    if callback.revision != revision:
        raise CallbackRefusedError("callback_changed")
    if is_locked(session, Archivable.CALLBACK, callback_id):
        raise CallbackRefusedError("archived")
    return callback


def _waiting(session: Session, callback_id: int, revision: int) -> Callback:
    callback = held(session, callback_id, revision)
    if callback.state is CallbackState.DIALLING:
        raise CallbackRefusedError("callback_dialling")
    if callback.state in ENDED:
        raise CallbackRefusedError("callback_ended")
    return callback


def saved(
    session: Session,
    callback: Callback,
    action: str,
    staff_id: int | None,
    now: datetime,
    note: str = "",
    **details: Any,
) -> Callback:
    """Counts the change, and keeps who made it."""
    callback.revision = (callback.revision or 0) + 1
    audit.record(session, action, "callback", callback.id, now=now, staff_id=staff_id, note=note, **details)
    touch(session, "callbacks")
    return callback


def _revise(
    session: Session, callback: Callback, field: str, old: Any, new: Any, staff_id: int | None, now: datetime
) -> None:
    audit.revise(session, "callback", callback.id, field, old, new, now=now, staff_id=staff_id)
