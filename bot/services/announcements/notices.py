"""What the public may read on the operator's own site: the announcements of incidents, drills never (REQ-F29, F32).

A notice is public from its launch; an incident's latest one is its banner, until the all-clear takes its place for
a day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from bot.core.policy import Bilingual
from bot.core.words import BroadcastKind, BroadcastState, IncidentState
from store.tables import Broadcast, Incident

SHOWN_AFTER = timedelta(hours=24)  # for so long an all-clear stays on the page
FEED = 30  # entries of a feed
OVER = (IncidentState.CLOSED, IncidentState.REVIEWED, IncidentState.ALL_CLEAR)
PUBLIC = (BroadcastState.RUNNING, BroadcastState.STOPPED, BroadcastState.FINISHED)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A public notice that a later one updates."""

    id: int
    sent: datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """A public notice; `follows` are those it updates, in order, `over` says it is the all-clear."""

    id: int
    incident_id: int
    title: str
    text: Bilingual
    buildings: tuple[str, ...]
    sent: datetime
    expires: datetime | None
    over: bool
    follows: tuple[Earlier, ...] = ()


def identifier(broadcast_id: int) -> str:
    """How a notice is named outside."""
    return f"hotline-notice-{broadcast_id}"


def _public() -> Select[tuple[Broadcast, Incident]]:
    """Everything that was let go, the newest first; what was cancelled by hand is not among it."""
    superseding = select(Broadcast.follows_id).where(Broadcast.state.in_(PUBLIC))
    return (
        select(Broadcast, Incident)
        .join(Incident, Incident.id == Broadcast.incident_id)
        .where(
            Broadcast.drill.is_(False),
            Broadcast.approved_at.is_not(None),
            Broadcast.expires_at.is_not(None),
            Broadcast.state.in_(PUBLIC) | Broadcast.id.in_(superseding),
        )
        .order_by(Broadcast.id.desc())
    )


def feed(session: Session, now: datetime) -> list[Notice]:
    """What holds now and the latest besides, the newest first."""
    latest = {each.id: each for each in _notices(session, _public().limit(FEED))}
    found = latest | {each.id: each for each in banner(session, now)}
    return sorted(found.values(), key=lambda each: -each.id)


def find(session: Session, broadcast_id: int) -> Notice | None:
    """One public notice, however old."""
    return next(iter(_notices(session, _public().where(Broadcast.id == broadcast_id))), None)


def banner(session: Session, now: datetime) -> list[Notice]:
    """The latest word on each incident that is not over, and all-clears of the last day."""
    fresh = (Broadcast.kind == BroadcastKind.ALL_CLEAR) & (Broadcast.approved_at > now - SHOWN_AFTER)
    latest: dict[int, Notice] = {}
    for each in _notices(session, _public().where(Incident.state.not_in(OVER) | fresh)):
        latest.setdefault(each.incident_id, each)
    return [each for each in latest.values() if not each.over or now - each.sent < SHOWN_AFTER]


def _notices(session: Session, query: Select[tuple[Broadcast, Incident]]) -> list[Notice]:
    rows = session.execute(query).all()
    chains = {row.Broadcast.follows_id for row in rows if row.Broadcast.follows_id is not None}
    earlier: dict[int, list[Broadcast]] = {}
    said = select(Broadcast).where(
        Broadcast.id.in_(chains) | Broadcast.follows_id.in_(chains), Broadcast.expires_at.is_not(None)
    )
    for each in session.scalars(said.order_by(Broadcast.id)) if chains else ():
        earlier.setdefault(each.follows_id or each.id, []).append(each)
    return [_notice(row.Broadcast, row.Incident, earlier) for row in rows]


def _notice(broadcast: Broadcast, incident: Incident, chains: Mapping[int, Sequence[Broadcast]]) -> Notice:
    assert broadcast.approved_at is not None
    before = chains.get(broadcast.follows_id, ()) if broadcast.follows_id is not None else ()
    return Notice(
        broadcast.id,
        incident.id,
        incident.title,
        Bilingual(broadcast.text_zh, broadcast.text_en),
        tuple(incident.buildings),
        broadcast.approved_at,
        broadcast.expires_at,
        broadcast.kind is BroadcastKind.ALL_CLEAR,
        tuple(Earlier(e.id, e.approved_at) for e in before if e.id < broadcast.id and e.approved_at is not None),
    )


def changed_at(notices: Sequence[Notice], otherwise: datetime) -> datetime:
    """When the newest of them was sent."""
    return max((each.sent for each in notices), default=otherwise)
