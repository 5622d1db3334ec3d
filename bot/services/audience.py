"""Whom an announcement is for: contacts by building and segment, or the people of an earlier one (REQ-F32).

An audience is a plain value, stored with its broadcast: {"everybody": true}, {"buildings": [...], "segments": [...]}
(both given: people of these segments in these buildings), or {"same_as": broadcast id, "notify_me": incident id}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, select, true
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Session

from store.tables import BroadcastRecipient, Contact, NotifyMe


def audience_of(buildings: Iterable[str], segments: Iterable[str], *, everybody: bool = False) -> dict[str, Any]:
    """A filter as it is stored; empty unless something is chosen."""
    if everybody:
        return {"everybody": True}
    chosen = {"buildings": _names(buildings), "segments": _names(segments)}
    return {key: names for key, names in chosen.items() if names}


def _names(given: Iterable[str]) -> list[str]:
    return sorted({name.strip() for name in given if name.strip()})


def members(session: Session, audience: Mapping[str, Any]) -> Select[tuple[int]]:
    """Selects the contacts' ids, people in special need first (REQ-F40). A merged contact is who it became."""
    return (
        select(Contact.id)
        .where(Contact.merged_into_id.is_(None), _chosen(session, audience))
        .order_by(Contact.vulnerable.desc(), Contact.id)
    )


def _chosen(session: Session, audience: Mapping[str, Any]) -> ColumnElement[bool]:
    if "same_as" in audience:
        told = select(BroadcastRecipient.contact_id).where(BroadcastRecipient.broadcast_id == audience["same_as"])
        asked = select(NotifyMe.contact_id).where(NotifyMe.incident_id == audience.get("notify_me"))
        # Whoever was frozen and merged since is found as the contact they became.
        became = select(Contact.merged_into_id).where(Contact.id.in_(told.union(asked)))
        return Contact.id.in_(told) | Contact.id.in_(asked) | Contact.id.in_(became)
    if audience.get("everybody"):
        return true()
    if not audience.get("buildings") and not audience.get("segments"):
        return Contact.id.is_(None)
    chosen: ColumnElement[bool] = true()
    if buildings := audience.get("buildings"):
        chosen &= Contact.building.in_(buildings)
    if segments := audience.get("segments"):
        chosen &= _in_any(session, segments)
    return chosen


def _in_any(session: Session, segments: list[str]) -> ColumnElement[bool]:
    if session.get_bind().dialect.name == "postgresql":
        return Contact.segments.op("?|")(array(segments))
    each = func.json_each(Contact.segments).table_valued("value")
    return exists().where(each.c.value.in_(bindparam("segments", segments, expanding=True)))


def known_buildings(session: Session) -> list[str]:
    """Every building somebody lives in, as people count: 2 before 10."""
    names = session.scalars(select(Contact.building).where(Contact.building.is_not(None)).distinct()).all()
    return sorted((name for name in names if name), key=lambda name: (not name.isdigit(), len(name), name))


def known_segments(session: Session) -> list[str]:
    """Every segment somebody belongs to."""
    rows = session.scalars(select(Contact.segments).distinct())
    return sorted({segment for segments in rows for segment in segments or ()})
