"""A contact's one timeline: chats, cases, callbacks, calls, deliveries, broadcasts, events (PEERS)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import (
    CaseKind,
    Purpose,
)
from store.tables import (
    Acknowledgement,
    Answer,
    Broadcast,
    BroadcastRecipient,
    CallAttempt,
    Callback,
    Case,
    Conversation,
    Delivery,
    Event,
)

TIMELINE_LIMIT = 60


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened with a contact: the one timeline's row. `kind` names the template's branch."""

    at: datetime
    kind: str
    id: int
    title: StrEnum | str
    state: StrEnum | str | None = None
    detail: str = ""
    also: StrEnum | str | None = None


def timeline(session: Session, people: Sequence[int], limit: int = TIMELINE_LIMIT) -> tuple[Moment, ...]:
    """Everything with one person, latest first: chats, cases, callbacks, calls, deliveries, broadcasts, events."""
    moments = [
        *_talks(session, people, limit),
        *_works(session, people, limit),
        *_calls(session, people, limit),
        *_sendings(session, people, limit),
        *_announcements(session, people, limit),
        *_events(session, people, limit),
    ]
    return tuple(sorted(moments, key=lambda moment: (moment.at, moment.id), reverse=True)[:limit])


def _talks(session: Session, people: Sequence[int], limit: int) -> Iterable[Moment]:
    rows = session.scalars(
        select(Conversation).where(Conversation.contact_id.in_(people)).order_by(Conversation.id.desc()).limit(limit)
    )
    return [Moment(c.opened_at, "conversation", c.id, c.channel, c.state, str(c.rating or ""), c.wrap_up) for c in rows]


def _works(session: Session, people: Sequence[int], limit: int) -> Iterable[Moment]:
    media = Case.kind == CaseKind.MEDIA  # the spokesperson's alone (REQ-E15)
    rows = session.scalars(
        select(Case).where(Case.contact_id.in_(people), ~media).order_by(Case.id.desc()).limit(limit)
    )
    return [Moment(c.opened_at, "case", c.id, c.kind, c.state, c.subject, c.number) for c in rows]


def _calls(session: Session, people: Sequence[int], limit: int) -> Iterable[Moment]:
    rows = session.scalars(
        select(Callback).where(Callback.contact_id.in_(people)).order_by(Callback.id.desc()).limit(limit)
    ).all()
    if not rows:
        return []
    ids = [c.id for c in rows]
    answers: dict[int, list[str]] = {}
    for answer in session.scalars(select(Answer).where(Answer.callback_id.in_(ids)).order_by(Answer.id)):
        answers.setdefault(answer.callback_id, []).append(f"{answer.question}: {answer.answer}")
    moments = [
        Moment(
            c.closed_at or c.due_at or c.created_at,
            "callback",
            c.id,
            c.follow_up_group,
            c.disposition or c.state,
            " · ".join([*([c.topic] if c.topic else []), *answers.get(c.id, []), *([c.remarks] if c.remarks else [])]),
        )
        for c in rows
    ]
    attempts = session.scalars(
        select(CallAttempt).where(CallAttempt.callback_id.in_(ids)).order_by(CallAttempt.id.desc()).limit(limit)
    )
    return moments + [Moment(a.started_at, "attempt", a.id, str(a.number), a.disposition) for a in attempts]


def _sendings(session: Session, people: Sequence[int], limit: int) -> Iterable[Moment]:
    """Deliveries that are no replies: those stand in the transcripts."""
    rows = session.scalars(
        select(Delivery)
        .where(
            Delivery.contact_id.in_(people),
            Delivery.purpose != Purpose.REPLY,
            Delivery.callback_id.is_(None),
            Delivery.recipient_id.is_(None),
        )
        .order_by(Delivery.id.desc())
        .limit(limit)
    )
    return [
        Moment(d.created_at, "delivery", d.id, d.channel, d.state, str(d.body.get("text", ""))[:200], d.purpose)
        for d in rows
    ]


def _announcements(session: Session, people: Sequence[int], limit: int) -> Iterable[Moment]:
    rows = session.execute(
        select(BroadcastRecipient, Broadcast, Acknowledgement)
        .join(Broadcast, Broadcast.id == BroadcastRecipient.broadcast_id)
        .outerjoin(Acknowledgement, Acknowledgement.recipient_id == BroadcastRecipient.id)
        .where(BroadcastRecipient.contact_id.in_(people))
        .order_by(BroadcastRecipient.id.desc())
        .limit(limit)
    )
    return [
        Moment(
            b.approved_at or b.created_at,
            "broadcast",
            b.id,
            b.kind,
            recipient.outcome,
            b.text_zh[:200],
            acknowledged.channel if acknowledged else None,
        )
        for recipient, b, acknowledged in rows
    ]


def _events(session: Session, people: Sequence[int], limit: int) -> Iterable[Moment]:
    rows = session.scalars(
        select(Event).where(Event.contact_id.in_(people)).order_by(Event.happened_at.desc()).limit(limit)
    )
    return [Moment(e.happened_at, "event", e.id, e.kind, None, "", e.source) for e in rows]
