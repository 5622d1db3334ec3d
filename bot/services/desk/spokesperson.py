"""What the media ask: for the spokesperson, and in nobody else's lists (REQ-E15)."""

from __future__ import annotations

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from bot.core.words import CaseKind
from store.tables import Case, Conversation

QUEUE = "spokesperson"
LADDER = "media"


def theirs() -> ColumnElement[bool]:
    """Of a Conversation: it waits for the spokesperson, or a case of the media's came of it."""
    enquiry = aliased(Case)
    return or_(
        func.coalesce(Conversation.queue, "") == QUEUE,
        exists().where(enquiry.conversation_id == Conversation.id, enquiry.kind == CaseKind.MEDIA),
    )


def is_asked(session: Session, conversation_id: int) -> bool:
    """Whether this conversation is the spokesperson's."""
    found = select(Conversation.id).where(Conversation.id == conversation_id, theirs())
    return session.scalar(found) is not None
