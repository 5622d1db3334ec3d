"""The watcher: rows that should have moved and did not, so that /readyz says it before a customer does (STYLE 12)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.words import CallbackState, ConversationState, DeliveryState, EscalationState
from store.tables import Callback, Conversation, Delivery, Escalation

LATE = timedelta(minutes=5)  # a due row this late is overdue


@dataclass(frozen=True, slots=True)
class Overdue:
    """So many rows of a kind are overdue, the oldest since then (domain time, except leases)."""

    what: str
    count: int
    oldest: datetime


def overdue(session: Session, now: datetime, machine: datetime) -> list[Overdue]:
    """What is overdue now; an empty list is a quiet house."""
    late = now - LATE
    asks = (
        ("deliveries", Delivery.not_before, Delivery.state == DeliveryState.QUEUED, late),
        ("leases", Delivery.lease_until, Delivery.state == DeliveryState.SENDING, machine - LATE),
        ("callbacks", Callback.due_at, Callback.state == CallbackState.SCHEDULED, late),
        ("escalations", Escalation.due_at, Escalation.state == EscalationState.RUNNING, late),
        (
            "unanswered",
            Conversation.unanswered_since,
            Conversation.state == ConversationState.BOT,
            late,
        ),
    )
    found = []
    for what, column, state, before in asks:
        count, oldest = session.execute(select(func.count(), func.min(column)).where(state, column <= before)).one()
        if count:
            found.append(Overdue(what, count, oldest))
    return found
