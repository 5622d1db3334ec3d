"""A surge's levels and the plan of the incident it is are one thing: starting a level at the floor does the plan's
step, and rolling back does the one that asks for it (REQ-F28, B23, B24)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import StepState
from bot.services.i18n import N_, text
from bot.services.incidents import incident_steps
from bot.services.incidents.incident_file import OPEN
from store.tables import Incident, IncidentStep, Staff

INBOUND_SURGE = "INC-18"  # the catalogue's name of it
ROLL_BACK = "roll_back"
STARTED = N_("已启动话务支援%(level)s级")
ENDED = N_("话务支援已撤回")


def level_started(session: Session, level: int, *, staff_id: int, why: str, now: datetime) -> None:
    """The steps that ask for this level are done by whoever started it; drills have no surge of their own."""
    _does(session, f"level{level}", STARTED, staff_id=staff_id, why=why, now=now, level=level)


def ended(session: Session, *, staff_id: int, why: str, now: datetime) -> None:
    """The support went home."""
    _does(session, ROLL_BACK, ENDED, staff_id=staff_id, why=why, now=now)


def _does(session: Session, key: str, words: str, *, staff_id: int, why: str, now: datetime, **values: object) -> None:
    rows = session.scalars(
        select(IncidentStep)
        .join(Incident, Incident.id == IncidentStep.incident_id)
        .where(
            Incident.code == INBOUND_SURGE,
            Incident.drill.is_(False),
            Incident.state.in_(OPEN),
            IncidentStep.plan == incident_steps.OWN,
            IncidentStep.key == key,
            IncidentStep.state == StepState.OPEN,
        )
        .order_by(IncidentStep.id)
    ).all()
    person = session.get_one(Staff, staff_id)
    said = "：".join(filter(None, (text(person.language, words, **values), why.strip())))
    for row in rows:
        incident_steps.done(session, row.id, staff_id=staff_id, result=said, now=now)
