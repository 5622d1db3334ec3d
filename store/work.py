"""Cases (工单) and the escalations that climb until somebody takes them (REQ-E01..E09, E16)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.words import CaseKind, CaseState, EscalationState, Urgency
from store.base import Base, BigId, Json, UTCDateTime, append_only, held, words


class Case(Base):
    """A piece of work with a number the customer knows. It cannot close without a feedback record (REQ-E06).

    `category` refines the kind. `pauses` are the spans it was pending on the customer ([start, end], ISO 8601; the last
    end may be None). `standing` is the worse of its two clocks as last told (bot/core/sla.py), `look_at` when that may
    change next.
    """

    __tablename__ = "case_file"
    __table_args__ = (
        held(CaseKind, "kind"),
        held(CaseState, "state"),
        held(Urgency, "urgency"),
        CheckConstraint("state <> 'closed' OR feedback_at IS NOT NULL", name="closed_with_feedback"),
        CheckConstraint("level BETWEEN 0 AND 3", name="level"),
        Index("ix_case_file_open", "state", "due_at"),
        Index("ix_case_file_contact_id", "contact_id"),
        Index("ix_case_file_closed_at", "closed_at"),
        Index("ix_case_file_conversation_id", "conversation_id"),
        Index(
            "ix_case_file_look_at",
            "look_at",
            sqlite_where=text("look_at IS NOT NULL"),
            postgresql_where=text("look_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    kind: Mapped[CaseKind] = mapped_column(words(CaseKind))
    state: Mapped[CaseState] = mapped_column(words(CaseState), default=CaseState.OPEN)
    urgency: Mapped[Urgency] = mapped_column(words(Urgency), default=Urgency.ORDINARY)
    queue: Mapped[str] = mapped_column(String(40), default="service")
    level: Mapped[int] = mapped_column(default=0)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversation.id"))
    callback_id: Mapped[int | None] = mapped_column(BigId)
    broadcast_id: Mapped[int | None] = mapped_column(BigId)
    subject: Mapped[str] = mapped_column(String(200))
    facts: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    emotion: Mapped[int] = mapped_column(default=0)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    feedback: Mapped[str] = mapped_column(Text, default="")
    feedback_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    opened_at: Mapped[datetime] = mapped_column(UTCDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    category: Mapped[str] = mapped_column(String(40), default="", server_default="")
    urgent_why: Mapped[str] = mapped_column(String(200), default="", server_default="")
    wrap_up: Mapped[str | None] = mapped_column(String(40))
    reopened: Mapped[int] = mapped_column(default=0, server_default="0")
    responded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    pauses: Mapped[list[list[str | None]]] = mapped_column(Json, default=list, server_default="[]")
    standing: Mapped[str] = mapped_column(String(24), default="", server_default="")
    pending_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    look_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revision: Mapped[int] = mapped_column(default=0)


class CaseNote(Base):
    """What happened on a case, in order. Append-only."""

    __tablename__ = "case_note"
    __table_args__ = (Index("ix_case_note_case_id", "case_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    kind: Mapped[str] = mapped_column(String(24))
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class Escalation(Base):
    """An escalation: its ladder frozen by policy version, and how far it has climbed.

    `policy` names the version and the ladder (`instead_of`: of that one, which no policy names); `declined` are the
    staff who handed it on; `notified` counts the notifications made and only grows, the first went to rung
    `first_rung`; `due_at` is when the next one is due.
    """

    __tablename__ = "escalation"
    __table_args__ = (
        held(EscalationState, "state"),
        held(Urgency, "urgency"),
        CheckConstraint(
            "conversation_id IS NOT NULL OR case_id IS NOT NULL OR incident_id IS NOT NULL", name="subject"
        ),
        Index(
            "uq_escalation_conversation",
            "conversation_id",
            unique=True,
            sqlite_where=text("state = 'running' AND conversation_id IS NOT NULL"),
            postgresql_where=text("state = 'running' AND conversation_id IS NOT NULL"),
        ),
        Index(
            "uq_escalation_case",
            "case_id",
            unique=True,
            sqlite_where=text("state = 'running' AND conversation_id IS NULL AND case_id IS NOT NULL"),
            postgresql_where=text("state = 'running' AND conversation_id IS NULL AND case_id IS NOT NULL"),
        ),
        Index(
            "ix_escalation_due_at",
            "due_at",
            sqlite_where=text("state = 'running'"),
            postgresql_where=text("state = 'running'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversation.id"))
    case_id: Mapped[int | None] = mapped_column(ForeignKey("case_file.id"))
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incident.id"))
    policy: Mapped[dict[str, Any]] = mapped_column(Json)
    first_rung: Mapped[int] = mapped_column(default=0)
    notified: Mapped[int] = mapped_column(default=0)
    notified_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    state: Mapped[EscalationState] = mapped_column(words(EscalationState), default=EscalationState.RUNNING)
    urgency: Mapped[Urgency] = mapped_column(words(Urgency), default=Urgency.ORDINARY)
    reason: Mapped[str] = mapped_column(String(60))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    declined: Mapped[list[int]] = mapped_column(Json, default=list, server_default="[]")
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    acknowledged_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Counter(Base):
    """Running numbers, such as the cases of a day."""

    __tablename__ = "counter"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[int] = mapped_column(default=0)


append_only(CaseNote.__table__)
