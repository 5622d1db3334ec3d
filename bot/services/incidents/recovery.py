"""Once service is back, everybody of the staff who had been alerted hears of it (REQ-F14). Customers who asked to be
told are recovery_calls.py's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.words import Language
from bot.services.announcements.announcement_lines import DRILL
from bot.services.escalation import alerts
from bot.services.i18n import N_
from store.tables import Delivery, Escalation, Incident, IncidentTold, Staff

OVER = N_("事件“%(what)s”已恢复，之前的提醒不用再处理")


def alerted(session: Session, incident_id: int) -> list[Staff]:
    """Everybody actually alerted about an incident: told by a step, or by its ladder."""
    told = select(IncidentTold.staff_id).where(IncidentTold.incident_id == incident_id)
    climbed = (
        select(Staff.id)
        .join(Delivery, Delivery.address_id == Staff.address_id)
        .join(Escalation, Escalation.id == Delivery.escalation_id)
        .where(Escalation.incident_id == incident_id)
    )
    who = Staff.id.in_(told) | Staff.id.in_(climbed)
    return list(session.scalars(select(Staff).where(Staff.active, who).order_by(Staff.id)))


def tell_alerted(session: Session, incident: Incident, now: datetime) -> None:
    """The recovery notice inside goes to whom the alerts had gone."""
    people = alerted(session, incident.id)
    for language, those in _by_language(people):
        alerts.tell(
            session,
            those,
            OVER,
            cause=f"incident:{incident.id}:over",
            link=f"/console/incidents/{incident.id}",
            now=now,
            what=DRILL[language] * incident.drill + incident.title,
        )
    session.execute(
        update(IncidentTold)
        .where(IncidentTold.incident_id == incident.id, IncidentTold.over_at.is_(None))
        .values(over_at=now)
    )


def _by_language(people: Iterable[Staff]) -> list[tuple[Language, list[Staff]]]:
    people = list(people)
    return [
        (language, those) for language in Language if (those := [p for p in people if Language(p.language) is language])
    ]
