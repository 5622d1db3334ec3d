"""Silence in a chat: one reminder, then a kind word and the end (policy `chat.remind_after`, `chat.close_after`)."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import ConversationState
from bot.services.centre import Centre
from bot.services.conversation import talk
from bot.services.conversation.conversations import hold, save
from store.tables import Conversation

log = structlog.get_logger()
PAGE = 50


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Gives each conversation whose customer has been silent long enough its word."""
    due = session.scalars(
        select(Conversation.id)
        .where(Conversation.silence_at.is_not(None), Conversation.silence_at <= now)
        .limit(PAGE)
        .with_for_update(skip_locked=True)
    ).all()
    chat = centre.library.current.policies.chat
    for conversation_id in due:
        held = hold(session, conversation_id)
        held.change(silence_at=None)
        if held.state is ConversationState.BOT:
            try:
                with session.begin_nested():
                    talk.silence(session, centre, held, now)
            except talk.StuckError:
                log.exception("silences.stuck", conversation=conversation_id)
        if held.state is ConversationState.BOT and held.changes.get("silence_at"):
            held.change(silence_at=now + chat.close_after)
        save(session, held)
    return len(due)


def next_due(session: Session, now: datetime) -> datetime | None:
    return session.scalar(
        select(Conversation.silence_at)
        .where(Conversation.silence_at.is_not(None), Conversation.silence_at > now)
        .order_by(Conversation.silence_at)
        .limit(1)
    )
