"""Days on which the centre calls nobody: its calendar with them, and how they are blocked (REQ-C05).

A blocked day holds up whatever keeps to windows, also what a customer asked for; emergencies and notices go out.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.windows import Calendar
from bot.services import audit
from bot.services.centre import Centre
from store.db import touch
from store.tables import BlockedDay

_KNOWN = "blocked_days"  # in a session's info: asked once a transaction


def calendar(session: Session, centre: Centre) -> Calendar:
    """Holidays and make-up days of the region, with the days blocked here."""
    if _KNOWN not in session.info:
        session.info[_KNOWN] = frozenset(session.scalars(select(BlockedDay.day)))
    return replace(centre.library.current.calendar, blocked=session.info[_KNOWN])


def block(session: Session, day: date, why: str, *, staff_id: int, now: datetime) -> bool:
    """Calls nobody on that day any more; False where it is blocked already."""
    if session.get(BlockedDay, day) is not None:
        return False
    session.info.pop(_KNOWN, None)
    session.add(BlockedDay(day=day, why=why, staff_id=staff_id, at=now))
    audit.record(session, "day.block", "blocked_day", None, now=now, staff_id=staff_id, note=why, day=day.isoformat())
    touch(session, "callbacks")
    return True


def unblock(session: Session, day: date, *, staff_id: int, now: datetime) -> bool:
    """Calls again on that day; False where it was not blocked."""
    blocked = session.get(BlockedDay, day)
    if blocked is None:
        return False
    session.info.pop(_KNOWN, None)
    session.delete(blocked)
    audit.record(session, "day.unblock", "blocked_day", None, now=now, staff_id=staff_id, day=day.isoformat())
    touch(session, "callbacks")
    return True
