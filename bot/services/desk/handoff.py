"""Handing a conversation to people: into the queue with its place, and the ladder started (REQ-D10, E05, INT-03)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, literal, select, tuple_
from sqlalchemy.orm import Session

from bot.core.words import ConversationState, Presence, Role, Urgency
from bot.services.centre import Centre
from bot.services.conversation.conversations import Held
from bot.services.desk import spokesperson
from bot.services.escalation import ladders
from store.base import UTCDateTime
from store.db import touch
from store.tables import Callback, Conversation, Staff, StaffRole

PRIORITY = {Urgency.URGENT: 0, Urgency.ORDINARY: 5}
KEY_ACCOUNT = "key_account"
WAITED = "waited:"  # begins the dedupe key of a callback promised to a conversation in the queue


def to_people(
    session: Session, centre: Centre, held: Held, *, reason: str, urgency: Urgency, queue: str, now: datetime
) -> int:
    """Queues the conversation and starts its ladder; gives its place in the queue, 1 first.

    A complaint or a key account goes before ordinary requests (INT-03); the media go to their spokesperson, whatever
    queue was asked for (REQ-E15).
    """
    for_the_media = queue == spokesperson.QUEUE or spokesperson.is_asked(session, held.id)
    priority = PRIORITY[urgency]
    if KEY_ACCOUNT in held.segments or reason.startswith("complain"):
        priority = min(priority, 2)
    ahead = session.scalar(
        select(func.count())
        .select_from(Conversation)
        .where(Conversation.state == ConversationState.QUEUED, Conversation.priority <= priority)
    )
    held.state = ConversationState.QUEUED
    held.change(
        queue=spokesperson.QUEUE if for_the_media else queue,
        queued_at=_kept_place(session, held) or now,
        priority=priority,
        reason=reason[:60],
        silence_at=None,
        unanswered_since=now,
    )
    ladders.start(
        session,
        centre,
        reason=reason,
        urgency=urgency,
        conversation_id=held.id,
        now=now,
        name=spokesperson.LADDER if for_the_media else None,
    )
    touch(session, "floor")
    return (ahead or 0) + 1


def _kept_place(session: Session, held: Held) -> datetime | None:
    """Since when somebody we call back has been waiting: they gave up a call in the queue and keep its place."""
    if held.callback_id is None:
        return None
    key = session.scalar(select(Callback.dedupe_key).where(Callback.id == held.callback_id))
    if key is None or not key.startswith(WAITED):
        return None
    waited = select(Conversation.queued_at).where(
        Conversation.id == int(key.removeprefix(WAITED)), Conversation.claimed_at.is_(None)
    )
    return session.scalar(waited)


def ahead(session: Session, conversation_id: int) -> int:
    """How many in the queue are answered before this conversation."""
    mine = session.execute(
        select(Conversation.priority, Conversation.queued_at).where(Conversation.id == conversation_id)
    ).one()
    before = tuple_(Conversation.priority, Conversation.queued_at, Conversation.id) < tuple_(
        literal(mine.priority), literal(mine.queued_at, UTCDateTime), literal(conversation_id)
    )
    waiting = Conversation.state == ConversationState.QUEUED, Conversation.id != conversation_id, before
    return session.scalar(select(func.count()).select_from(Conversation).where(*waiting)) or 0


def waits(session: Session, *, now: datetime) -> timedelta:
    """How long the conversations of the last two hours waited for a person, on average; nothing known: zero."""
    rows = session.execute(
        select(Conversation.queued_at, Conversation.claimed_at).where(
            Conversation.claimed_at.is_not(None),
            Conversation.queued_at.is_not(None),
            Conversation.claimed_at > now - timedelta(hours=2),
        )
    ).all()
    if not rows:
        return timedelta(0)
    return sum((r.claimed_at - r.queued_at for r in rows), timedelta(0)) / len(rows)


def agents_open(session: Session) -> int:
    """How many people who handle the queue are online now."""
    return (
        session.scalar(
            select(func.count(func.distinct(Staff.id)))
            .join(StaffRole, StaffRole.staff_id == Staff.id)
            .where(
                Staff.active,
                Staff.presence == Presence.ONLINE,
                StaffRole.role.in_((Role.AGENT, Role.LEADER, Role.SUPERVISOR, Role.MANAGER)),
            )
        )
        or 0
    )
