"""The floor: who waits, who is spoken with, what is open, what climbs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from bot.console.queries.cases import CaseRow, case_rows
from bot.core.words import (
    Author,
    CaseState,
    ChannelName,
    ConversationState,
    EscalationState,
    Language,
    Urgency,
)
from bot.services.cases import OPEN_STATES
from bot.services.permissions import Function
from bot.services.staff import SignedIn
from store.tables import (
    Address,
    Case,
    Contact,
    Conversation,
    Escalation,
    Message,
    Staff,
)

QUEUE_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Waiting:
    """A conversation on the floor. `since` is when the customer began to wait for a person's next word, if they do."""

    id: int
    state: ConversationState
    contact_id: int
    who: str
    channel: ChannelName
    language: Language
    reason: str | None
    urgent: bool
    since: datetime | None
    last_words: str
    agent: str | None
    agent_id: int | None


@dataclass(frozen=True, slots=True)
class Alert:
    """A ladder that still climbs, or has reached its end unheard."""

    id: int
    state: EscalationState
    reason: str
    rung: int
    urgent: bool
    started_at: datetime
    conversation_id: int | None
    case_id: int | None
    case_number: str | None
    incident_id: int | None


@dataclass(frozen=True, slots=True)
class Floor:
    """What one member of staff sees: who waits, what they hold, and for those who supervise, what the others hold."""

    queue: tuple[Waiting, ...]
    mine: tuple[Waiting, ...]
    others: tuple[Waiting, ...]
    cases: tuple[CaseRow, ...]
    alerts: tuple[Alert, ...]


def floor(session: Session, viewer: SignedIn) -> Floor:
    waiting = _conversations(session, Conversation.state.in_((ConversationState.QUEUED, ConversationState.AGENT)))
    supervises = viewer.may(Function.SUPERVISE_FLOOR)
    open_cases = case_rows(
        session,
        Case.state.in_(OPEN_STATES),
        or_(Case.staff_id == viewer.staff_id, and_(Case.staff_id.is_(None), Case.state != CaseState.RESOLVED)),
        limit=30,
    )
    return Floor(
        tuple(row for row in waiting if row.state is ConversationState.QUEUED),
        tuple(row for row in waiting if row.agent_id == viewer.staff_id),
        tuple(row for row in waiting if supervises and row.agent_id not in (None, viewer.staff_id)),
        open_cases,
        _alerts(session),
    )


def _conversations(session: Session, *where: ColumnElement[bool]) -> list[Waiting]:
    last = (
        select(Message.text)
        .where(Message.conversation_id == Conversation.id, Message.author == Author.CUSTOMER)
        .order_by(Message.seq.desc())
        .limit(1)
        .correlate(Conversation)
        .scalar_subquery()
    )
    urgent = exists().where(
        Escalation.conversation_id == Conversation.id,
        Escalation.urgency == Urgency.URGENT,
        Escalation.state != EscalationState.CLOSED,
    )
    rows = session.execute(
        select(Conversation, Contact, Address.hint, Staff.name, last, urgent)
        .join(Contact, Contact.id == Conversation.contact_id)
        .join(Address, Address.id == Conversation.address_id)
        .outerjoin(Staff, Staff.id == Conversation.staff_id)
        .where(*where)
        .order_by(Conversation.priority, Conversation.queued_at, Conversation.id)
        .limit(QUEUE_LIMIT)
    )
    return [
        Waiting(
            c.id,
            c.state,
            contact.id,
            contact.title or contact.name,
            c.channel,
            c.language,
            c.reason,
            is_urgent,
            c.queued_at if c.state is ConversationState.QUEUED else c.unanswered_since,
            (words or "")[:160],
            agent,
            c.staff_id,
        )
        for c, contact, _hint, agent, words, is_urgent in rows
    ]


def _alerts(session: Session) -> tuple[Alert, ...]:
    rows = session.execute(
        select(Escalation, Case.number)
        .outerjoin(Case, Case.id == Escalation.case_id)
        .where(
            or_(
                Escalation.state == EscalationState.EXHAUSTED,
                and_(
                    Escalation.state == EscalationState.RUNNING,
                    or_(Escalation.notified > 1, Escalation.conversation_id.is_(None)),
                ),
            )
        )
        .order_by(Escalation.started_at)
        .limit(QUEUE_LIMIT)
    )
    return tuple(
        Alert(
            e.id,
            e.state,
            e.reason,
            e.notified,
            e.urgency is Urgency.URGENT,
            e.started_at,
            e.conversation_id,
            e.case_id,
            number,
            e.incident_id,
        )
        for e, number in rows
    )
