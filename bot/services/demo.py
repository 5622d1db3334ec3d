"""Fictional staff and contacts for a first look; they enter only an empty database, and never a production one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.words import ChannelName, Language, Role
from bot.services import contacts
from bot.services.staffing import staff
from store.tables import Contact, Staff

PEOPLE = Path(__file__).parents[2] / "scripts" / "demo" / "people.yml"


def is_empty(session: Session) -> bool:
    """Whether nobody works or is known here yet."""
    return not session.scalar(select(func.count()).select_from(Staff)) and not session.scalar(
        select(func.count()).select_from(Contact)
    )


def load(session: Session, zone: str, now: datetime) -> None:
    """Adds the demo staff (without passwords: they come in by one-time links) and contacts."""
    people: dict[str, Any] = yaml.load(PEOPLE.read_bytes(), Loader=yaml.CSafeLoader)
    for row in people["staff"]:
        staff.create_staff(
            session,
            username=row["username"],
            name=row["name"],
            roles={Role(role) for role in row["roles"]},
            language=Language(row["language"]),
            now=now,
            demo=True,
        )
    for row in people["contacts"]:
        language = Language(row.get("language", Language.ZH))
        known = contacts.meet(session, ChannelName.VOICE, row["phone"], language=language, zone=zone, now=now)
        contacts.add_phone(session, known.contact_id, row["phone"], now)
        facts = {key: row[key] for key in ("name", "title", "unit", "segments", "vulnerable") if key in row}
        contacts.learn(session, known.contact_id, facts, now=now, why="demo")


def accounts(session: Session) -> list[Staff]:
    """The demo staff, for their sign-in links."""
    return list(session.scalars(select(Staff).where(Staff.demo, Staff.active).order_by(Staff.id)))
