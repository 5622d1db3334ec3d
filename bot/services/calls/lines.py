"""How many more calls the carrier's lines can hold (policy `calls.at_once`), counted over all processes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from bot.core.policy import Policies
from bot.services.gate import CALL_LIMIT
from store.tables import Delivery

CALLS_UP = text("delivery.channel = 'voice' AND delivery.state IN ('sending', 'accepted', 'delivered')")
"""Literal, so that the partial index serves."""


def up(session: Session, now: datetime) -> int:
    """How many calls of ours are ringing or being spoken on."""
    count = select(func.count()).select_from(Delivery).where(CALLS_UP, Delivery.changed_at > now - CALL_LIMIT)
    return session.scalar(count) or 0


def free(session: Session, policies: Policies, now: datetime) -> int | None:
    """How many more may be placed now; None where nothing bounds them. Until the end of this transaction no other
    process counts, so that together they do not place one too many."""
    if policies.calls.at_once is None:
        return None
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("lines", 0))))
    return max(0, policies.calls.at_once - up(session, now))
