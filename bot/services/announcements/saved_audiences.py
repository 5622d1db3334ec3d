"""Audiences kept under a name, to be chosen again (REQ-F32). A name given anew replaces what it stood for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.services import audit
from bot.services.announcements.broadcasts import BroadcastRefusedError
from store.tables import SavedAudience

MAX_NAME = 60


def everything(session: Session) -> list[SavedAudience]:
    """All of them, by name."""
    return list(session.scalars(select(SavedAudience).order_by(SavedAudience.name)))


def resolved(session: Session, audience: Mapping[str, Any]) -> dict[str, Any]:
    """An audience as a draft keeps it: one that is kept under a name is copied, so that a later change of it changes
    no draft. Raises BroadcastRefusedError("audience_missing") where it is gone."""
    if "saved" not in audience:
        return dict(audience)
    row = session.get(SavedAudience, audience["saved"])
    if row is None:
        raise BroadcastRefusedError("audience_missing")
    return dict(row.audience)


def keep(session: Session, name: str, audience: Mapping[str, Any], *, staff_id: int, now: datetime) -> None:
    """Keeps an audience under a name; people picked one by one are nobody's rule and are not kept."""
    name = name.strip()[:MAX_NAME]
    rule = {key: value for key, value in audience.items() if key not in ("contacts", "saved", "same_as", "notify_me")}
    if not name or not rule:
        raise BroadcastRefusedError("audience_missing")
    row = session.scalar(select(SavedAudience).where(SavedAudience.name == name).with_for_update())
    row = row or SavedAudience(name=name)
    row.audience, row.staff_id, row.at = rule, staff_id, now
    session.add(row)
    session.flush()
    audit.record(session, "audience.keep", "saved_audience", row.id, now=now, staff_id=staff_id, name=name)


def drop(session: Session, saved_id: int, *, staff_id: int, now: datetime) -> None:
    """It is offered no more; drafts made from it stay as they are."""
    row = session.get(SavedAudience, saved_id)
    if row is None:
        raise BroadcastRefusedError("not_found")
    audit.record(session, "audience.drop", "saved_audience", row.id, now=now, staff_id=staff_id, name=row.name)
    session.delete(row)
