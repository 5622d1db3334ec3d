"""Customers as sensors: what they report is counted by matter and place, and many alike make a suspected incident
(REQ-F20, E25, D31). A person confirms it; what is reported later joins it.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from bot.core.words import IncidentSource
from bot.services.centre import Centre
from bot.services.i18n import N_, text
from bot.services.incidents import detection
from bot.services.incidents.incident_file import OPEN, note
from bot.services.incidents.incident_types import catalogue
from store.db import touch
from store.tables import CustomerReport, Incident

TITLE = N_("疑似：%(place)s%(name)s（%(count)s 位客户反映）")
BUILDING = N_("%(name)s号楼")


def hear(
    session: Session,
    centre: Centre,
    *,
    intent: str,
    place: str,
    contact_id: int,
    conversation_id: int | None,
    incident: Incident | None,
    now: datetime,
) -> None:
    """Keeps a report; `incident` is the one it is known to belong to. Where enough different people say the same of the
    same place within the catalogue's time, an incident is suspected and the leaders are told."""
    about = incident or _suspected(session, centre, intent, place)
    known = latest_of(session, conversation_id) if conversation_id is not None else None
    if known is not None and known.intent == intent and known.place == place:
        known.incident_id = known.incident_id or (about.id if about else None)
        return
    session.add(
        CustomerReport(
            intent=intent,
            place=place[:40],
            contact_id=contact_id,
            conversation_id=conversation_id,
            incident_id=about.id if about else None,
            at=now,
        )
    )
    session.flush()
    if about is not None:
        touch(session, f"incident:{about.id}", "incidents")
        return
    _suspect(session, centre, intent, place, now)


def latest_of(session: Session, conversation_id: int) -> CustomerReport | None:
    """What was last reported in a conversation."""
    return session.scalar(
        select(CustomerReport)
        .where(CustomerReport.conversation_id == conversation_id)
        .order_by(CustomerReport.id.desc())
        .limit(1)
    )


def count_of(session: Session, incident_id: int) -> int:
    """How many different customers reported an incident."""
    counted = select(func.count(func.distinct(CustomerReport.contact_id))).where(
        CustomerReport.incident_id == incident_id
    )
    return session.scalar(counted) or 0


def _suspected(session: Session, centre: Centre, intent: str, place: str) -> Incident | None:
    """The open incident a report most likely belongs to, before anybody has confirmed it."""
    rows = session.scalars(
        select(Incident)
        .where(
            Incident.state.in_(OPEN),
            Incident.drill.is_(False),
            Incident.code.in_(catalogue(centre).told_by(intent)),
        )
        .order_by(Incident.id.desc())
    )
    return next((row for row in rows if not row.buildings or place in row.buildings), None)


def _suspect(session: Session, centre: Centre, intent: str, place: str, now: datetime) -> None:
    known = catalogue(centre)
    alike = (
        CustomerReport.intent == intent,
        CustomerReport.place == place,
        CustomerReport.incident_id.is_(None),
        CustomerReport.at > now - known.burst.within,
    )
    count = session.scalar(select(func.count(func.distinct(CustomerReport.contact_id))).where(*alike)) or 0
    if count < known.burst.reports:
        return
    code, language = known.told_by(intent)[0], centre.settings.language
    where = text(language, BUILDING, name=place) if place.isdigit() else place
    incident = detection.suspect(
        session,
        centre,
        code=code,
        title=text(language, TITLE, place=where, name=known.types[code].name.of(language), count=count),
        buildings=[place] if place else [],
        source=IncidentSource.CUSTOMERS,
        key=f"burst:{intent}:{place}",
        now=now,
    )
    session.execute(update(CustomerReport).where(*alike).values(incident_id=incident.id))
    note(session, incident, "customers", str(count), None, now)
