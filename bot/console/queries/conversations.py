"""One conversation with what its screen shows beside the lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from bot.console.queries.cases import CaseRow, case_rows
from bot.console.queries.people import Card, card, own_contact
from bot.console.queries.timeline import Moment, timeline
from bot.core.words import (
    ChannelName,
    ConversationState,
    Language,
)
from bot.services import contacts
from bot.services.permissions import Function
from bot.services.staff import SignedIn
from store.tables import (
    Case,
    Conversation,
    Message,
    Staff,
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A conversation with what its screen shows beside the lines. `facts` are the slots the flow has filled."""

    id: int
    state: ConversationState
    channel: ChannelName
    language: Language
    reason: str | None
    queued_at: datetime | None
    unanswered_since: datetime | None
    opened_at: datetime
    closed_at: datetime | None
    staff_id: int | None
    agent: str | None
    wrap_up: str | None
    wrap_up_note: str
    rating: int | None
    rating_comment: str
    facts: Mapping[str, Any]
    card: Card
    cases: tuple[CaseRow, ...]
    timeline: tuple[Moment, ...]


def exchange(session: Session, conversation_id: int, viewer: SignedIn) -> Exchange | None:
    row = session.execute(
        select(Conversation, Staff.name)
        .outerjoin(Staff, Staff.id == Conversation.staff_id)
        .where(Conversation.id == conversation_id)
    ).one_or_none()
    if row is None:
        return None
    c, agent = row
    people = contacts.same_person(session, c.contact_id)
    slots = (c.flow or {}).get("state", {}).get("slots", {})
    return Exchange(
        c.id,
        c.state,
        c.channel,
        c.language,
        c.reason,
        c.queued_at,
        c.unanswered_since,
        c.opened_at,
        c.closed_at,
        c.staff_id,
        agent,
        c.wrap_up,
        c.wrap_up_note,
        c.rating,
        c.rating_comment,
        {name: value for name, value in slots.items() if value not in (None, "") and not name.startswith("_")},
        card(session, people[0], viewer, own=c.staff_id == viewer.staff_id),
        case_rows(session, Case.contact_id.in_(people), limit=10),
        timeline(session, people),
    )


def visible(session: Session, conversation_id: int, viewer: SignedIn) -> bool:
    """Whether `viewer` may open this conversation: what waits, what they hold or held, and all for who supervises."""
    if viewer.may(Function.SUPERVISE_FLOOR):
        return True
    c = session.get(Conversation, conversation_id)
    if c is None:
        return False
    spoke = exists().where(Message.conversation_id == conversation_id, Message.staff_id == viewer.staff_id)
    return (
        c.state is ConversationState.QUEUED
        or c.staff_id == viewer.staff_id
        or bool(session.scalar(select(spoke)))
        or own_contact(session, c.contact_id, viewer.staff_id)
    )


def names_of_staff(session: Session) -> dict[int, str]:
    return {row.id: row.name for row in session.execute(select(Staff.id, Staff.name))}
