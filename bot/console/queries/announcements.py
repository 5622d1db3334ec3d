"""What the incident and announcement pages show."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, literal_column, select
from sqlalchemy.orm import Session

from bot.core import broadcast as arithmetic
from bot.core.policy import Rate
from bot.core.words import (
    BroadcastKind,
    BroadcastState,
    ChannelName,
    DeliveryState,
    Outcome,
)
from bot.services.announcements import broadcasts
from store.tables import Broadcast, BroadcastRecipient, Contact, Delivery, Incident, Staff

PAGE = 50
REASONS = 8  # shown of why deliveries failed
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
class Left:
    """Somebody nobody reached, for a person to call."""

    contact_id: int
    name: str
    vulnerable: bool
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Failure:
    """Why deliveries came to nothing, as the provider or the gate said; how many, and the first of the people."""

    why: str
    count: int
    people: tuple[tuple[int, str, ChannelName], ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an announcement has come. `counts` sum to `size`; `by_channel` counts deliveries, of which a person may
    have several; `left` is how long the rows still queued take at the channels' real rates; `failures` says
    why deliveries failed, `lost` how many answers a provider lost, so that it was asked, and `resent` how many of
    these it did not know of, so that they went out again."""

    size: int
    counts: tuple[tuple[Outcome, int], ...]
    by_channel: tuple[tuple[ChannelName, int, int, int], ...]
    left: timedelta
    unreached: tuple[Left, ...]
    replies: tuple[broadcasts.Replies, ...]
    failures: tuple[Failure, ...]
    lost: int
    resent: int


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
        replies=tuple(broadcasts.replies(session, [broadcast.id])),
        failures=_failures(session, broadcast.id),
        lost=_asked_about(session, broadcast.id),
        resent=_asked_about(session, broadcast.id, Delivery.attempt > 1),
    )


def _asked_about(session: Session, broadcast_id: int, *which: ColumnElement[bool]) -> int:
    """Deliveries whose answer was lost, so that the provider was asked."""
    query = (
        select(func.count())
        .select_from(Delivery)
        .join(BroadcastRecipient, BroadcastRecipient.id == Delivery.recipient_id)
        .where(BroadcastRecipient.broadcast_id == broadcast_id, Delivery.asked > 0, *which)
    )
    return session.scalar(query) or 0


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


def _failures(session: Session, broadcast_id: int) -> tuple[Failure, ...]:
    """Why deliveries failed, or the gate held them back, the most frequent first."""
    count, why = func.count(), func.coalesce(Delivery.error, literal_column("''")).label("why")
    gated = (Delivery.state == DeliveryState.CANCELLED) & Delivery.error.is_not(None)
    came_to_nothing = (
        BroadcastRecipient.broadcast_id == broadcast_id,
        (Delivery.state == DeliveryState.FAILED) | gated,
    )
    rows = session.execute(
        select(why, count)
        .join(BroadcastRecipient, BroadcastRecipient.id == Delivery.recipient_id)
        .where(*came_to_nothing)
        .group_by(why)
        .order_by(count.desc(), why)
        .limit(REASONS)
    ).all()
    return tuple(Failure(row[0], row[1], _failed(session, (*came_to_nothing, why == row[0]))) for row in rows)


def _failed(session: Session, where: tuple[ColumnElement[bool], ...]) -> tuple[tuple[int, str, ChannelName], ...]:
    rows = session.execute(
        select(Contact.id, Contact.name, Contact.title, Delivery.channel)
        .join(BroadcastRecipient, BroadcastRecipient.contact_id == Contact.id)
        .join(Delivery, Delivery.recipient_id == BroadcastRecipient.id)
        .where(*where)
        .order_by(Contact.vulnerable.desc(), Delivery.id)
        .limit(PAGE)
    )
    return tuple((row.id, row.name or row.title, row.channel) for row in rows)


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
