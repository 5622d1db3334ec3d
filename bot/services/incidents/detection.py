"""An incident is noticed: by staff, by customers' reports, by a monitor of occupancy or surge, by an alert from outside
(REQ-F06, F09, D31).

However it is noticed it is suspected until a person confirms it; its plan and its ladder start at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.grades import PlanName, plan_for
from bot.core.ladder import SYSTEM_FAULT
from bot.core.words import IncidentSource, IncidentState, Urgency
from bot.services.centre import Centre
from bot.services.escalation import ladders
from bot.services.incidents import incident_steps, incidents
from bot.services.incidents.incident_file import IncidentRefusedError, allow, note
from bot.services.incidents.incident_types import catalogue
from bot.services.permissions import Function
from store.db import touch
from store.tables import Incident

SYSTEM_FAULTS = frozenset({"INC-01", "INC-02", "INC-03", "INC-04", "INC-11", "INC-17", "INC-22"})


def report(
    session: Session,
    centre: Centre,
    *,
    code: str,
    title: str,
    buildings: Sequence[str],
    staff_id: int,
    now: datetime,
    started_at: datetime | None = None,
    place: str = "",
    source: str = "",
    drill: bool = False,
) -> Incident:
    """Somebody of the staff noticed something: suspected until a person confirms it; its plan and its ladder start."""
    allow(session, staff_id, Function.OPEN_INCIDENT)
    return _begin(
        session,
        centre,
        Incident(
            code=code,
            title=title.strip()[:160],
            buildings=_names(buildings),
            place=place.strip()[:120],
            drill=drill,
            owner_id=staff_id,
            started_at=started_at or now,
        ),
        source,
        now,
    )


def suspect(
    session: Session,
    centre: Centre,
    *,
    code: str,
    title: str,
    buildings: Sequence[str],
    source: IncidentSource,
    key: str,
    now: datetime,
    started_at: datetime | None = None,
    details: str = "",
    drill: bool = False,
) -> Incident:
    """Something other than staff noticed it. The same `key` is opened once: the incident it opened is given back."""
    known = session.scalar(select(Incident).where(Incident.dedupe_key == key[:120]))
    if known is not None:
        return known
    incident = Incident(
        code=code,
        title=title.strip()[:160],
        buildings=_names(buildings),
        source=source,
        dedupe_key=key[:120],
        drill=drill,
        started_at=started_at or now,
    )
    return _begin(session, centre, incident, details, now)


def open_from_monitor(
    session: Session,
    centre: Centre,
    *,
    code: str,
    title: str,
    key: str,
    now: datetime,
    lines_full: timedelta | None = None,
    buildings: Sequence[str] = (),
    details: str = "",
) -> Incident:
    """What a monitor of occupancy or surge calls whenever it has something to say; `key` names what it watches.

    The first call opens a suspected incident with the plan its event and `lines_full` call for (REQ-B16, B17, F09); a
    later one raises the plan it proposes, and a general plan that runs grows into the major one by itself (REQ-F08).
    """
    known = catalogue(centre)
    about = known.types[code]
    plan = plan_for(about.plan, lines_full, known.triggers)
    incident = suspect(
        session,
        centre,
        code=code,
        title=title,
        buildings=buildings,
        source=IncidentSource.MONITOR,
        key=key,
        now=now,
        started_at=now - lines_full if lines_full is not None else now,
        details=details,
    )
    incidents.propose(session, incident, plan, None, now)
    if plan is PlanName.MAJOR and incident.plan == PlanName.GENERAL:
        incidents.start(session, centre, incident, PlanName.MAJOR, None, now)
    return incident


def _names(given: Sequence[str]) -> list[str]:
    return sorted({name.strip() for name in given if name.strip()})


def _begin(session: Session, centre: Centre, incident: Incident, details: str, now: datetime) -> Incident:
    if not incident.title:
        raise IncidentRefusedError("title_empty")
    about = catalogue(centre).types.get(incident.code)
    incident.state = IncidentState.SUSPECTED
    incident.proposed_plan = about.plan if about else None
    session.add(incident)
    session.flush()
    ladders.start(
        session,
        centre,
        reason=incident.code,
        urgency=Urgency.URGENT,
        incident_id=incident.id,
        name=SYSTEM_FAULT if incident.code in SYSTEM_FAULTS else None,
        now=now,
    )
    note(session, incident, "reported", details.strip() or incident.title, incident.owner_id, now)
    if about is not None:
        incident_steps.begin(session, incident, incident_steps.OWN, about.steps, now)
    touch(session, "floor")
    return incident
