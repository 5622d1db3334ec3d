"""An incident's file: what every step of its life stands on (REQ-F06, F35, G02)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import IncidentState, Role
from bot.services import audit
from bot.services.permissions import Function, Grant, may
from bot.services.records.locked import is_locked
from bot.services.refusal import RefusedError
from store.db import touch
from store.tables import Archivable, Incident, IncidentEntry, Staff

OPEN = (IncidentState.SUSPECTED, IncidentState.CONFIRMED, IncidentState.CONTAINED, IncidentState.RECOVERED)
KNOWN = (IncidentState.CONFIRMED, IncidentState.CONTAINED)  # what customers are told about: truth first (REQ-F48)


class IncidentRefusedError(RefusedError):
    """What was asked of an incident is not possible now."""


def note(session: Session, incident: Incident, kind: str, text: str, staff_id: int | None, now: datetime) -> None:
    """Adds to the timeline and wakes the board."""
    session.add(IncidentEntry(incident_id=incident.id, staff_id=staff_id, kind=kind, text=text, at=now))
    touch(session, f"incident:{incident.id}", "incidents")


def latest(session: Session, incident_id: int, kind: str) -> str | None:
    """The latest timeline entry of a kind."""
    return session.scalar(
        select(IncidentEntry.text)
        .where(IncidentEntry.incident_id == incident_id, IncidentEntry.kind == kind)
        .order_by(IncidentEntry.id.desc())
        .limit(1)
    )


def lock(session: Session, incident_id: int) -> Incident:
    incident = session.get(Incident, incident_id, with_for_update=True, populate_existing=True)
    if incident is None:
        raise IncidentRefusedError("not_found")
    if is_locked(session, Archivable.INCIDENT, incident_id):
        raise IncidentRefusedError("archived")
    return incident


def lock_open(session: Session, incident_id: int) -> Incident:
    """`lock`, where the incident is not over."""
    incident = lock(session, incident_id)
    if incident.state not in OPEN:
        raise IncidentRefusedError("incident_over")
    return incident


def roles_of(session: Session, staff_id: int) -> Collection[Role]:
    """What an active member of staff is; nothing for anybody else."""
    person = session.get(Staff, staff_id)
    return {each.role for each in person.roles} if person is not None and person.active else set()


def allow(session: Session, staff_id: int, function: Function, *wanted: Grant) -> None:
    if not may(roles_of(session, staff_id), function, *wanted):
        raise IncidentRefusedError("not_allowed")


def revise(
    session: Session, incident: Incident, field: str, old: Any, new: Any, staff_id: int | None, why: str, now: datetime
) -> None:
    """Keeps what a change replaced, legible."""
    incident.revision += 1
    audit.revise(session, "incident", incident.id, field, old, new, now=now, staff_id=staff_id, why=why)
