"""Pausing a follow-up plan: its calls wait where they are until it goes on; what is being said goes on to its end."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.words import CallbackState
from bot.services import audit
from store.db import touch
from store.tables import Callback, PausedPlan, PlannedMessage, PlannedState

PAUSED = "paused"  # what a callback waits for (Callback.waits)


def is_paused(session: Session, plan: str) -> bool:
    return session.get(PausedPlan, plan) is not None


def paused(session: Session) -> tuple[PausedPlan, ...]:
    """The plans that wait, the latest first."""
    return tuple(session.scalars(select(PausedPlan).order_by(PausedPlan.at.desc())))


def pause(session: Session, plan: str, why: str, *, staff_id: int, now: datetime) -> bool:
    """Places no more calls of a plan; False where it is paused already."""
    if is_paused(session, plan):
        return False
    session.add(PausedPlan(plan=plan, why=why, staff_id=staff_id, at=now))
    audit.record(session, "plan.pause", "plan", None, now=now, staff_id=staff_id, note=why, plan=plan)
    touch(session, "callbacks")
    return True


def resume(session: Session, plan: str, *, staff_id: int, now: datetime) -> bool:
    """Goes on with a plan; what became due meanwhile is looked at now. False where it was not paused."""
    held = session.get(PausedPlan, plan)
    if held is None:
        return False
    session.delete(held)
    session.execute(
        update(Callback)
        .where(
            Callback.state == CallbackState.SCHEDULED,
            Callback.plan == plan,
            Callback.waits == PAUSED,
        )
        .values(due_at=now, waits=None)
    )
    session.execute(
        update(PlannedMessage)
        .where(
            PlannedMessage.state == PlannedState.SCHEDULED, PlannedMessage.plan == plan, PlannedMessage.why == PAUSED
        )
        .values(due_at=now, why=None)
    )
    audit.record(session, "plan.resume", "plan", None, now=now, staff_id=staff_id, plan=plan)
    touch(session, "callbacks")
    return True
