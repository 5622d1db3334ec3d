"""Whom an announcement is for: contacts by place, segment, plan and list, or the people of an earlier one (REQ-F32).

An audience is a plain value, stored with its broadcast: {"everybody": true}; or any of {"buildings": [...], "segments":
[...], "tags": [...]} (together: people in these buildings, of these segments, with these tags), "units": beginnings of
units ("3-2"), "plans": who is called by these plans, "reporters": an incident's id, "contacts": ids of an uploaded
list, added to each other; or {"same_as": broadcast id, "notify_me": incident id}. "without" holds further audiences
that are left out. A query is {"match": {"mode": "all" or "any", "where": [{"is": FIELD, "in": [...], "not": true},
…]}}: whoever all, or any, of its conditions hold for, each as it stands or turned round. {"saved": id} is one kept
under a name (saved_audiences.py), which a draft takes over when it is saved.

Staff who linked a chat of their own are met there as contacts; they are nobody's customers, and left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, not_, or_, select, true
from sqlalchemy.orm import Session, aliased

from bot.core.words import Author, CaseKind, CaseState
from bot.services.contacts import building_of
from bot.services.tags import has_any
from store.db import vault_of
from store.tables import (
    Address,
    Broadcast,
    BroadcastRecipient,
    Callback,
    Case,
    Contact,
    Conversation,
    Message,
    NotifyMe,
    Staff,
)

ENDED = (CaseState.RESOLVED, CaseState.CLOSED)
MOST_DAYS = 3650


def audience_of(
    buildings: Iterable[str],
    segments: Iterable[str],
    *,
    tags: Iterable[str] = (),
    everybody: bool = False,
    units: Iterable[str] = (),
    plans: Iterable[str] = (),
    reporters: int | None = None,
    contacts: Iterable[int] = (),
    without: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """A filter as it is stored; empty unless something is chosen."""
    those = [dict(each) for each in without if each]
    left_out = {"without": those} if those else {}
    if everybody:
        return {"everybody": True, **left_out}
    chosen: dict[str, Any] = {
        "buildings": _names(buildings),
        "segments": _names(segments),
        "tags": _names(tags),
        "units": _names(units),
        "plans": _names(plans),
        "contacts": sorted(set(contacts)),
        "reporters": reporters,
    }
    given = {key: value for key, value in chosen.items() if value}
    return {**given, **left_out} if given else {}


FIELDS = ("segments", "tags", "buildings", "units", "languages", "plans", "cases", "contacted", "vulnerable")
"""What a query may ask, in the order of the form. "cases": an open one of these kinds, or of any ("any"); "contacted":
wrote to us within so many days; "vulnerable": in special need."""
LABELS = {"segments": Contact.segments, "tags": Contact.tags}


def query_of(mode: str, conditions: Mapping[str, Sequence[str]], turned: Collection[str] = ()) -> dict[str, Any]:
    """A query as it is stored; empty unless something is asked. `turned` are the fields asked the other way round."""
    where = [
        {"is": field, "in": sorted({each.strip() for each in conditions[field] if each.strip()})}
        | ({"not": True} if field in turned else {})
        for field in FIELDS
        if any(each.strip() for each in conditions.get(field, ()))
    ]
    return {"match": {"mode": "any" if mode == "any" else "all", "where": where}} if where else {}


def _names(given: Iterable[str]) -> list[str]:
    return sorted({name.strip() for name in given if name.strip()})


def members(session: Session, audience: Mapping[str, Any], now: datetime) -> Select[tuple[int]]:
    """Selects the contacts' ids, people in special need first (REQ-F40). A merged contact is who it became."""
    return (
        select(Contact.id)
        .where(
            Contact.merged_into_id.is_(None),
            Contact.erased_at.is_(None),
            _chosen(session, audience, now),
            ~_ours(),
        )
        .order_by(Contact.vulnerable.desc(), Contact.id)
    )


def size_of(session: Session, audience: Mapping[str, Any], now: datetime) -> int:
    """How many people that is."""
    chosen = members(session, audience, now).order_by(None).subquery()
    return session.scalar(select(func.count()).select_from(chosen)) or 0


def _ours() -> ColumnElement[bool]:
    """A member of staff, met in the chat they linked."""
    linked = select(Staff.telegram_id).where(Staff.telegram_id.is_not(None))
    return exists().where(Address.contact_id == Contact.id, Address.id.in_(linked))


def _chosen(session: Session, audience: Mapping[str, Any], now: datetime) -> ColumnElement[bool]:
    without = [not_(func.coalesce(_given(session, each, now), false())) for each in audience.get("without", ())]
    return and_(_given(session, audience, now), *without)


def _given(session: Session, audience: Mapping[str, Any], now: datetime) -> ColumnElement[bool]:
    if query := audience.get("match"):
        held = [_condition(session, each, now) for each in query["where"]]
        return or_(*held) if query["mode"] == "any" else and_(*held)
    if "same_as" in audience:
        told = select(BroadcastRecipient.contact_id).where(BroadcastRecipient.broadcast_id == audience["same_as"])
        asked = select(NotifyMe.contact_id).where(NotifyMe.incident_id == audience.get("notify_me"))
        return or_(_these(told), _these(asked))
    if audience.get("everybody"):
        return true()
    ways = list(_ways(session, audience))
    return or_(*ways) if ways else Contact.id.is_(None)


def _ways(session: Session, audience: Mapping[str, Any]) -> Iterator[ColumnElement[bool]]:
    """Each way in which somebody may belong."""
    together = [has_any(session, column, audience[each]) for each, column in LABELS.items() if audience.get(each)]
    if buildings := audience.get("buildings"):
        together.append(Contact.building.in_(buildings))
    if together:
        yield and_(*together)
    if units := audience.get("units"):
        yield Contact.id.in_(_living_in(session, units))
    if plans := audience.get("plans"):
        yield _these(select(Callback.contact_id).where(Callback.plan.in_(plans)))
    if reporters := audience.get("reporters"):
        announced = select(Broadcast.id).where(Broadcast.incident_id == reporters)
        yield _these(select(NotifyMe.contact_id).where(NotifyMe.incident_id == reporters))
        yield _these(select(Case.contact_id).where(Case.broadcast_id.in_(announced)))
    if listed := audience.get("contacts"):
        uploaded = aliased(Contact)
        yield _these(select(uploaded.id).where(uploaded.id.in_(listed)))


def _condition(session: Session, asked: Mapping[str, Any], now: datetime) -> ColumnElement[bool]:
    """One condition of a query; where nothing is known of somebody it does not hold, and turned round it does."""
    holds = func.coalesce(_asked(session, asked["is"], list(asked["in"]), now), false())
    return not_(holds) if asked.get("not") else holds


def _asked(session: Session, field: str, values: list[str], now: datetime) -> ColumnElement[bool]:
    match field:
        case "segments" | "tags":
            return has_any(session, LABELS[field], values)
        case "buildings":
            return Contact.building.in_(values)
        case "units":
            return Contact.id.in_(_living_in(session, values))
        case "languages":
            return Contact.language.in_(values)
        case "plans":
            return _these(select(Callback.contact_id).where(Callback.plan.in_(values)))
        case "cases":
            kinds = [each for each in CaseKind if each in values or "any" in values]
            held = select(Case.contact_id).where(Case.kind.in_(kinds), Case.state.not_in(ENDED))
            return _these(held)
        case "contacted":
            since = now - timedelta(days=min(int(values[0]), MOST_DAYS))
            wrote = (
                select(Conversation.contact_id)
                .join(Message, Message.conversation_id == Conversation.id)
                .where(Message.author == Author.CUSTOMER, Message.at >= since)
            )
            return _these(wrote)
        case "vulnerable":
            return Contact.vulnerable.is_(True)
    return false()


def _these(ids: Select[tuple[int]]) -> ColumnElement[bool]:
    """Whoever was known by these ids and merged since is found as the contact they became.

    Asked of each contact, by an index: a list too long for the memory of one PostgreSQL query would be gone through
    anew for every contact.
    """
    theirs, merged = ids.selected_columns[0], aliased(Contact)
    before = ids.where(theirs == merged.id).correlate(merged).exists()
    gone = merged.merged_into_id.is_not(None)  # few, and an index of their own
    became = select(merged.id).where(merged.merged_into_id == Contact.id, gone, before).correlate(Contact).exists()
    return or_(ids.where(theirs == Contact.id).correlate(Contact).exists(), became)


def _living_in(session: Session, units: Sequence[str]) -> list[int]:
    """Units are sealed, so they are opened, one building at a time: "3-2" is all of 3-2-…."""
    vault = vault_of(session)
    rows = session.execute(
        select(Contact.id, Contact.unit_sealed).where(
            Contact.unit_sealed.is_not(None), Contact.building.in_({building_of(unit) for unit in units})
        )
    )
    return [row.id for row in rows if _within(vault.open(row.unit_sealed or b""), units)]


def _within(unit: str, wanted: Sequence[str]) -> bool:
    return any(unit == each or unit.startswith(f"{each}-") for each in wanted)


def known_buildings(session: Session) -> list[str]:
    """Every building somebody lives in, as people count: 2 before 10."""
    names = session.scalars(select(Contact.building).where(Contact.building.is_not(None)).distinct()).all()
    return sorted((name for name in names if name), key=lambda name: (not name.isdigit(), len(name), name))


def known_segments(session: Session) -> list[str]:
    """Every segment somebody belongs to."""
    rows = session.scalars(select(Contact.segments).distinct())
    return sorted({segment for segments in rows for segment in segments or ()})
