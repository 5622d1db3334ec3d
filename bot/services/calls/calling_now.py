"""Calling at once because a colleague wishes it: through the gate, whose refusal is told (REQ-C04, DESIGN §4)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.calls import ENDED
from bot.core.windows import Opening
from bot.core.words import CallbackState, Disposition
from bot.services.calls import bookings, dialling
from bot.services.calls.callback_changes import CallbackRefusedError, held, saved
from bot.services.calls.callbacks import UNKNOWN
from bot.services.centre import Centre
from store.tables import Callback, Contact

CANNOT = "call."  # begins the code of a refusal; a code of waits.py follows


def call_now(
    session: Session, centre: Centre, callback_id: int, *, revision: int, staff_id: int | None, now: datetime
) -> Callback:
    """Calls now, through the gate, whose refusal is `CANNOT` and a code of waits.py; one that has ended is owed once
    more, with what was answered."""
    callback = held(session, callback_id, revision)
    if callback.state is CallbackState.DIALLING:
        raise CallbackRefusedError("callback_dialling")
    if callback.state in ENDED:
        callback = _again(session, centre, callback, now)
    stands = dialling.stands_against(session, centre, callback, now)
    if stands is not None:
        raise CallbackRefusedError(f"{CANNOT}{stands[0]}")
    callback.due_at, callback.waits = now, None
    return saved(session, callback, "callback.call_now", staff_id, now)


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
        plan=ended.plan,
        step=ended.step,
        purpose=ended.purpose,
        source=ended.source,
        staff_id=ended.staff_id,
        booked_by=ended.booked_by,
        policies=shelf.policies_version if ended.plan in shelf.policies.plans else ended.policies,
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
