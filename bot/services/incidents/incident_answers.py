"""What flows ask of incidents: is this known, tell me when it is over, I have read the announcement (REQ-D31, D36, F25,
F33). Drills are nobody's answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.core.words import Language
from bot.services import contacts, i18n, merging
from bot.services.announcements import answers
from bot.services.conversation.scene import Perform, Scene
from bot.services.i18n import N_, when
from bot.services.incidents import customer_reports
from bot.services.incidents.incident_file import KNOWN, latest
from bot.services.incidents.incident_types import catalogue
from store.tables import Incident, Message, NotifyMe

UNDER_WAY = N_("%(title)s，我们正在处理。")


def known_at(session: Session, building: str | None, codes: Collection[str] = ()) -> Incident | None:
    """The confirmed incident that touches a building (or everybody), the latest first; `codes` narrows the types.
    Drills touch nobody (D36)."""
    return next((row for row in known(session, codes) if not row.buildings or building in row.buildings), None)


def known(session: Session, codes: Collection[str] = ()) -> list[Incident]:
    """Every confirmed incident customers may hear of, the latest first."""
    query = select(Incident).where(Incident.state.in_(KNOWN), Incident.drill.is_(False))
    if codes:
        query = query.where(Incident.code.in_(codes))
    return list(session.scalars(query.order_by(Incident.started_at.desc(), Incident.id.desc())))


def find_incident(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is known about an outage at the customer's unit: the agreed wording, the time people hope for, the cause.

    `about` is the intent the customer tells of it with: then this is also a report, and every report is a sensor.
    """
    about, building = str(args.get("about") or ""), _building(scene, args)
    codes = catalogue(scene.centre).told_by(about) if about else ()
    incident = known_at(scene.session, building, codes)
    if codes:
        customer_reports.hear(
            scene.session,
            scene.centre,
            intent=about,
            place=building or "",
            contact_id=scene.held.contact_id,
            conversation_id=scene.held.id,
            incident=incident,
            now=scene.now,
        )
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
    reported = customer_reports.latest_of(session, held.id)
    said = reported.incident_id if reported is not None else None
    incident = session.get_one(Incident, said) if said is not None else known_at(session, _building(scene, args))
    if args.get("phone"):
        merging.give_phone(session, held, str(args["phone"]), scene.now)
    if incident is not None and not incident.drill:
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        session.execute(
            insert(NotifyMe)
            .values(incident_id=incident.id, contact_id=held.contact_id, at=scene.now)
            .on_conflict_do_nothing()
        )
    return {}


def acknowledge(scene: Scene, _args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The customer answered an announcement, or several: the rest of them is cancelled on every channel."""
    line = scene.session.get(Message, scene.reply_to) if scene.reply_to is not None else None
    words = str(scene.slots.get("broadcast_answer") or "")
    known, waiting = answers.acknowledge(scene.session, scene.centre, scene.held, line, words, scene.now)
    return {"announcements_known": known, "announcements_waiting": waiting}


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
    return agreed or i18n.text(language, UNDER_WAY, title=incident.title)
