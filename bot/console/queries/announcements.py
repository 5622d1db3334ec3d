"""What the incident and announcement pages show."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core import broadcast as arithmetic
from bot.core.policy import Rate
from bot.core.words import (
    BroadcastKind,
    BroadcastState,
    ChannelName,
    DeliveryState,
    IncidentState,
    Outcome,
)
from bot.services import broadcasts, incidents
from store.tables import Broadcast, BroadcastRecipient, Case, Contact, Delivery, Incident, IncidentEntry, Staff

PAGE = 50
OUTCOMES = (
    Outcome.ACKNOWLEDGED,
    Outcome.HEARD,
    Outcome.DELIVERED,
    Outcome.ACCEPTED,
    Outcome.SENDING,
    Outcome.PENDING,
    Outcome.UNKNOWN,
    Outcome.EXPIRED,
    Outcome.FAILED,
    Outcome.UNREACHABLE,
    Outcome.CANCELLED,
)
"""Best first: the order of the bar and of its legend."""

UNREACHED = (Outcome.UNREACHABLE, Outcome.FAILED, Outcome.EXPIRED, Outcome.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Announcement:
    """An announcement in a list."""

    id: int
    kind: BroadcastKind
    state: BroadcastState
    drill: bool
    text_zh: str
    text_en: str
    created_at: datetime
    audience_size: int
    author: str
    title: str


def announcements(
    session: Session, *, incident_id: int | None = None, limit: int = PAGE, offset: int = 0
) -> tuple[Announcement, ...]:
    """Announcements, the latest first."""
    query = (
        select(Broadcast, Staff.name, Incident.title)
        .join(Staff, Staff.id == Broadcast.author_id)
        .join(Incident, Incident.id == Broadcast.incident_id)
        .order_by(Broadcast.id.desc())
        .limit(limit)
        .offset(offset)
    )
    if incident_id is not None:
        query = query.where(Broadcast.incident_id == incident_id)
    return tuple(
        Announcement(b.id, b.kind, b.state, b.drill, b.text_zh, b.text_en, b.created_at, b.audience_size, author, title)
        for b, author, title in session.execute(query)
    )


@dataclass(frozen=True, slots=True)
class Board:
    """The incidents that are not over, and the latest that are."""

    open: tuple[Incident, ...]
    over: tuple[Incident, ...]


def board(session: Session) -> Board:
    running = [state for state in IncidentState if state is not IncidentState.CLOSED]
    latest = select(Incident).order_by(Incident.started_at.desc(), Incident.id.desc())
    return Board(
        tuple(session.scalars(latest.where(Incident.state.in_(running)).limit(PAGE))),
        tuple(session.scalars(latest.where(Incident.state == IncidentState.CLOSED).limit(20))),
    )


@dataclass(frozen=True, slots=True)
class IncidentFile:
    """One incident with its history, latest first. `owed`: the notices still without an all-clear."""

    incident: Incident
    owner: str | None
    entries: tuple[tuple[IncidentEntry, str | None], ...]
    announcements: tuple[Announcement, ...]
    owed: frozenset[int]
    told: frozenset[int]


def incident_file(session: Session, incident_id: int) -> IncidentFile | None:
    incident = session.get(Incident, incident_id)
    if incident is None:
        return None
    entries = session.execute(
        select(IncidentEntry, Staff.name)
        .outerjoin(Staff, Staff.id == IncidentEntry.staff_id)
        .where(IncidentEntry.incident_id == incident_id)
        .order_by(IncidentEntry.id.desc())
    )
    return IncidentFile(
        incident,
        session.scalar(select(Staff.name).where(Staff.id == incident.owner_id)),
        tuple((entry, name) for entry, name in entries),
        announcements(session, incident_id=incident_id),
        frozenset(notice.id for notice in incidents.owed_an_all_clear(session, incident_id)),
        frozenset(notice.id for notice in incidents.told_of(session, incident_id)),
    )


@dataclass(frozen=True, slots=True)
class Left:
    """Somebody nobody reached, for a person to call."""

    contact_id: int
    name: str
    vulnerable: bool
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an announcement has come. `counts` sum to `size`; `by_channel` counts deliveries, of which a person may
    have several; `left` is how long the rows still queued take at the channels' real rates."""

    size: int
    counts: tuple[tuple[Outcome, int], ...]
    by_channel: tuple[tuple[ChannelName, int, int, int], ...]
    left: timedelta
    unreached: tuple[Left, ...]
    replies: int


def progress(session: Session, broadcast: Broadcast, rates: dict[ChannelName, Rate]) -> Progress:
    counts = broadcasts.counts(session, broadcast.id)
    rows = session.execute(
        select(Delivery.channel, Delivery.state, func.count())
        .join(BroadcastRecipient, BroadcastRecipient.id == Delivery.recipient_id)
        .where(BroadcastRecipient.broadcast_id == broadcast.id)
        .group_by(Delivery.channel, Delivery.state)
    ).all()
    return Progress(
        size=broadcast.audience_size,
        counts=tuple((outcome, counts[outcome]) for outcome in OUTCOMES),
        by_channel=_by_channel([(channel, state, count) for channel, state, count in rows]),
        left=_left(broadcast, [(c, n) for c, state, n in rows if state is DeliveryState.QUEUED], rates),
        unreached=_unreached(session, broadcast.id),
        replies=session.scalar(select(func.count()).select_from(Case).where(Case.broadcast_id == broadcast.id)) or 0,
    )


def _by_channel(
    rows: Sequence[tuple[ChannelName, DeliveryState, int]],
) -> tuple[tuple[ChannelName, int, int, int], ...]:
    """A channel's deliveries: in all, gone out, failed."""

    def of(channel: ChannelName, states: Collection[DeliveryState]) -> int:
        return sum(count for name, state, count in rows if name is channel and state in states)

    gone = set(DeliveryState) - {
        DeliveryState.QUEUED,
        DeliveryState.CANCELLED,
        DeliveryState.EXPIRED,
        DeliveryState.FAILED,
    }
    channels = sorted({channel for channel, _, _ in rows}, key=list(ChannelName).index)
    return tuple(
        (channel, of(channel, set(DeliveryState)), of(channel, gone), of(channel, {DeliveryState.FAILED}))
        for channel in channels
    )


def _left(broadcast: Broadcast, queued: Sequence[tuple[ChannelName, int]], rates: dict[ChannelName, Rate]) -> timedelta:
    longest = max(broadcast.text_zh, broadcast.text_en, key=arithmetic.sms_segments)
    return arithmetic.time_to_finish(arithmetic.units(dict(queued), longest), rates)


def _unreached(session: Session, broadcast_id: int) -> tuple[Left, ...]:
    rows = session.execute(
        select(Contact.id, Contact.name, Contact.title, Contact.vulnerable, BroadcastRecipient.outcome)
        .join(Contact, Contact.id == BroadcastRecipient.contact_id)
        .where(BroadcastRecipient.broadcast_id == broadcast_id, BroadcastRecipient.outcome.in_(UNREACHED))
        .order_by(Contact.vulnerable.desc(), BroadcastRecipient.id)
        .limit(PAGE)
    )
    return tuple(Left(r.id, r.name or r.title, r.vulnerable, r.outcome) for r in rows)


def staff_name(session: Session, staff_id: int | None) -> str | None:
    return session.scalar(select(Staff.name).where(Staff.id == staff_id)) if staff_id is not None else None
