"""Drills: which types are due to be drilled, and how the latest ones went (REQ-F54, F55).

A drill is an incident with its flag set when it is opened; nothing ever takes the flag away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from bot.core.words import IncidentState, Role
from bot.services.centre import Centre
from bot.services.escalation import alerts, roster
from bot.services.i18n import N_
from bot.services.incidents.incident_types import catalogue
from store.tables import Incident, IncidentEntry, Staff

DUE = N_("“%(name)s”的演练到期了，请安排一次")


@dataclass(frozen=True, slots=True)
class Drill:
    """A type that is to be drilled: when it last was, and when it is due."""

    code: str
    last: datetime | None
    due_at: datetime

    def overdue(self, now: datetime) -> bool:
        return self.due_at <= now


def due(session: Session, centre: Centre) -> list[Drill]:
    """Every type that is to be drilled, the most pressing first. Without a drill it counts from when people began to
    work here; a false alarm is none."""
    wanted = catalogue(centre).drills
    since = session.scalar(select(func.min(Staff.created_at)))
    if since is None:
        return []
    ran = {
        row.code: row.at
        for row in session.execute(
            select(Incident.code, func.max(Incident.started_at).label("at"))
            .where(
                Incident.drill,
                Incident.code.in_(wanted.types),
                Incident.state.in_((IncidentState.REVIEWED, IncidentState.CLOSED)),
                exists().where(IncidentEntry.incident_id == Incident.id, IncidentEntry.kind == "reviewed"),
            )
            .group_by(Incident.code)
        )
    }
    found = [Drill(code, ran.get(code), (ran.get(code) or since) + wanted.every) for code in wanted.types]
    return sorted(found, key=lambda drill: (drill.due_at, drill.code))


def remind(session: Session, centre: Centre, now: datetime) -> int:
    """Tells the supervisors of each drill that is due, once."""
    late = [drill for drill in due(session, centre) if drill.overdue(now)]
    if not late:
        return 0
    people = list(session.scalars(select(Staff).where(Staff.active)))
    told = roster.on_duty(session, now).roles[Role.SUPERVISOR]
    types = catalogue(centre).types
    for drill in late:
        for person in people:
            if person.id in told:
                alerts.tell(
                    session,
                    [person],
                    DUE,
                    cause=f"drill:{drill.code}:{drill.due_at:%Y%m%d}",
                    link="/console/incidents/drills",
                    now=now,
                    name=types[drill.code].name.of(person.language),
                )
    return len(late)


async def look(centre: Centre) -> int:
    """The errand: now and then."""
    now = centre.clock.now()
    return await centre.db.write(lambda session: remind(session, centre, now))
