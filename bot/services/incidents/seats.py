"""Seats while an incident is open: an agent signs out only with their leader's leave (REQ-A22, A02, F12)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import Role
from bot.services import audit
from bot.services.escalation import alerts, roster
from bot.services.i18n import N_
from bot.services.incidents.incident_answers import known
from bot.services.incidents.incident_file import IncidentRefusedError, allow, roles_of
from bot.services.permissions import Function, Grant, grants
from store.db import touch
from store.tables import SeatLeave, Staff

GOOD_FOR = timedelta(hours=1)  # a leave that is not used lapses (house rule)
ASKS = N_("%(name)s 想在事件处理期间签出，请批准或说明")
GRANTED = N_("组长同意您签出")
DENIED = N_("组长请您先留在座席上")


def may_leave(session: Session, staff_id: int, now: datetime) -> bool:
    """Whether this person may sign out now: nothing is open, it is theirs to decide, or their leader said yes."""
    held = grants(roles_of(session, staff_id), Function.LEAVE_SEAT)
    if Grant.WITH_APPROVAL not in held or Grant.YES in held or not known(session):
        return True
    latest = _latest(session, staff_id)
    return (
        latest is not None
        and latest.granted is True
        and latest.decided_at is not None
        and latest.decided_at > now - GOOD_FOR
    )


def ask(session: Session, staff_id: int, now: datetime) -> None:
    """Asks the leaders, once until they decide."""
    latest = _latest(session, staff_id)
    if latest is not None and latest.granted is None:
        return
    row = SeatLeave(staff_id=staff_id, asked_at=now)
    session.add(row)
    session.flush()
    people = list(session.scalars(select(Staff).where(Staff.active)))
    there = roster.on_duty(session, now).roles
    told = set(there[Role.LEADER] or there[Role.SUPERVISOR])
    alerts.tell(
        session,
        [person for person in people if person.id in told],
        ASKS,
        cause=f"seat:{row.id}",
        link="/console/incidents",
        now=now,
        name=session.get_one(Staff, staff_id).name,
    )
    audit.record(session, "seat.ask", "staff", staff_id, now=now, staff_id=staff_id)
    touch(session, "incidents")


def decide(session: Session, leave_id: int, granted: bool, *, staff_id: int, now: datetime) -> None:
    """A leader says yes or no, and the agent hears of it."""
    allow(session, staff_id, Function.LEAVE_SEAT, Grant.YES)
    row = session.get(SeatLeave, leave_id, with_for_update=True)
    if row is None:
        raise IncidentRefusedError("not_found")
    if row.granted is not None:
        return
    row.granted, row.decided_by, row.decided_at = granted, staff_id, now
    alerts.tell(
        session,
        [session.get_one(Staff, row.staff_id)],
        GRANTED if granted else DENIED,
        cause=f"seat:{row.id}:decided",
        link="/console/me",
        now=now,
    )
    audit.record(session, "seat.decide", "staff", row.staff_id, now=now, staff_id=staff_id, granted=granted)
    touch(session, "incidents")


def waiting(session: Session) -> list[tuple[SeatLeave, str]]:
    """Who waits for a word, with their name, the first first."""
    rows = session.execute(
        select(SeatLeave, Staff.name)
        .join(Staff, Staff.id == SeatLeave.staff_id)
        .where(SeatLeave.granted.is_(None))
        .order_by(SeatLeave.id)
        .limit(50)
    )
    return [(row, name) for row, name in rows]


def _latest(session: Session, staff_id: int) -> SeatLeave | None:
    return session.scalar(
        select(SeatLeave).where(SeatLeave.staff_id == staff_id).order_by(SeatLeave.id.desc()).limit(1)
    )
