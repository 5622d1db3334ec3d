"""The other contacts of a plan: one that is refused, or reaches a stranger, ends what the plan still owes that person
for the same event. Which end means that is bot/core/calls.py's table.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.calls import PLAN_ENDS
from bot.core.words import CallbackState, Disposition
from bot.services import audit, contacts
from store.tables import Callback, PlannedMessage, PlannedState


def end_others(session: Session, ended: Callback, now: datetime) -> None:
    """Cancels the calls and messages that are still to come, where the end of this call asks for it; `waits` and `why`
    keep the reason (worded in bot/services/calls/waits.py)."""
    why = PLAN_ENDS.get(ended.disposition) if ended.disposition is not None else None
    if why is None or ended.event_id is None:
        return
    people = contacts.same_person(session, ended.contact_id)
    calls = select(Callback).where(
        Callback.contact_id.in_(people),
        Callback.event_id == ended.event_id,
        Callback.plan == ended.plan,
        Callback.id != ended.id,
        Callback.state == CallbackState.SCHEDULED,
    )
    for callback in session.scalars(calls.order_by(Callback.id).with_for_update()):
        callback.state, callback.disposition, callback.waits = CallbackState.CANCELLED, Disposition.CANCELLED, why
        callback.due_at, callback.closed_at = None, now
        callback.revision += 1
        audit.record(session, "callback.end", "callback", callback.id, now=now, why=why)
    messages = select(PlannedMessage).where(
        PlannedMessage.contact_id.in_(people),
        PlannedMessage.event_id == ended.event_id,
        PlannedMessage.plan == ended.plan,
        PlannedMessage.state == PlannedState.SCHEDULED,
    )
    for message in session.scalars(messages.order_by(PlannedMessage.id).with_for_update()):
        message.state, message.why, message.closed_at = PlannedState.CANCELLED, why, now
        audit.record(
            session, "planned_message.cancelled", "planned_message", message.id, now=now, plan=message.plan, why=why
        )
