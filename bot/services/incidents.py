"""Incidents: reported, confirmed, contained, recovered, reviewed and closed, with their timeline and the one agreed
wording (REQ-F06, F30, F31, F33, F49). What customers are told about one goes through announcements.py.

A person of the front line only reports; who may do what is REQ-A22's table. Closing needs the all-clear, sent or waived
with a reason, and an evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.core.words import IncidentState, Language
from bot.services import broadcasts, contacts
from bot.services.i18n import N_, text, when
from bot.services.scene import Perform, Scene
from store.tables import Incident, IncidentEntry, NotifyMe

OPEN = (IncidentState.SUSPECTED, IncidentState.CONFIRMED, IncidentState.CONTAINED, IncidentState.RECOVERED)
KNOWN = (IncidentState.CONFIRMED, IncidentState.CONTAINED)  # what customers are told about: truth first (REQ-F48)
UNDER_WAY = N_("%(title)s，我们正在处理。")


# ── what flows ask ──


def known_at(session: Session, building: str | None) -> Incident | None:
    """The confirmed incident that touches a building (or everybody), the latest first; drills touch nobody (REQ-D36)."""
    rows = session.scalars(
        select(Incident)
        .where(Incident.state.in_(KNOWN), Incident.drill.is_(False))
        .order_by(Incident.started_at.desc(), Incident.id.desc())
    )
    return next((row for row in rows if not row.buildings or building in row.buildings), None)


def find_incident(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is known about an outage at the customer's unit: the agreed wording, the time people hope for, the cause."""
    incident = known_at(scene.session, _building(scene, args))
    if incident is None:
        return {"incident_open": False, "incident_text": None, "incident_eta": None, "incident_cause": None}
    zone = ZoneInfo(scene.held.zone or scene.centre.settings.timezone)
    language = scene.held.language
    later = incident.eta_at is not None and incident.eta_at > scene.now
    return {
        "incident_open": True,
        "incident_text": wording_of(incident, language),
        "incident_eta": when(language, incident.eta_at, zone) if later and incident.eta_at else None,
        "incident_cause": latest(scene.session, incident.id, "cause"),
    }


def notify_when_over(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The customer wants to be told when it is over: the all-clear includes them (REQ-C29, REQ-F25)."""
    session, held = scene.session, scene.held
    incident = known_at(session, _building(scene, args))
    if args.get("phone"):
        contacts.add_phone(session, held.contact_id, str(args["phone"]), scene.now)
    if incident is not None:
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        session.execute(
            insert(NotifyMe)
            .values(incident_id=incident.id, contact_id=held.contact_id, at=scene.now)
            .on_conflict_do_nothing()
        )
    return {}


def acknowledge(scene: Scene, _args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The customer answered an announcement: the rest of it is cancelled on every channel."""
    broadcasts.acknowledge(
        scene.session,
        scene.held.contact_id,
        scene.held.channel,
        str(scene.slots.get("broadcast_answer") or ""),
        scene.now,
        broadcast_id=scene.held.broadcast_id,
    )
    return {}


ACTIONS: Mapping[str, Perform] = {
    "action_find_incident": find_incident,
    "action_notify_when_over": notify_when_over,
    "action_acknowledge": acknowledge,
}


def _building(scene: Scene, args: Mapping[str, Any]) -> str | None:
    unit = args.get("unit") or scene.held.unit
    return contacts.building_of(str(unit)) if unit else None


def wording_of(incident: Incident, language: Language) -> str:
    """What everybody says about it: the agreed wording, until then its title (REQ-F33)."""
    agreed = incident.wording_zh if language is Language.ZH else incident.wording_en
    return agreed or text(language, UNDER_WAY, title=incident.title)


def latest(session: Session, incident_id: int, kind: str) -> str | None:
    """The latest timeline entry of a kind."""
    return session.scalar(
        select(IncidentEntry.text)
        .where(IncidentEntry.incident_id == incident_id, IncidentEntry.kind == kind)
        .order_by(IncidentEntry.id.desc())
        .limit(1)
    )
