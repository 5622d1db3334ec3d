"""What follow-up plans write instead of calling: reminders, notices about an order, care (REQ-C09, C32..C34)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.words import ChannelName, Purpose
from store.base import Base, BigId, UTCDateTime, held, words


class PlannedState(StrEnum):
    """A planned message waits, and is said once or not at all."""

    SCHEDULED = "scheduled"
    SAID = "said"
    CALLED = "called"  # nothing to write to: a call was booked instead
    CANCELLED = "cancelled"


class PlannedMessage(Base):
    """A message a plan owes somebody. `due_at` is what the heartbeat asks, `not_after` when it is no longer worth
    saying; `why` says what it waits for, or why it was never said. `policies` pins the version it was planned by."""

    __tablename__ = "planned_message"
    __table_args__ = (
        held(PlannedState, "state"),
        held(Purpose, "purpose"),
        held(ChannelName, "channel"),
        Index(
            "ix_planned_message_due_at",
            "due_at",
            sqlite_where=text("state = 'scheduled'"),
            postgresql_where=text("state = 'scheduled'"),
        ),
        Index("ix_planned_message_plan", "plan", "due_at"),
        Index("ix_planned_message_contact_id", "contact_id", "id"),
        Index("ix_planned_message_closed_at", "closed_at"),
        Index("ix_planned_message_event_id", "event_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    dedupe_key: Mapped[str] = mapped_column(String(120), unique=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id"))
    plan: Mapped[str] = mapped_column(String(40))
    step: Mapped[int] = mapped_column(default=0)
    purpose: Mapped[Purpose] = mapped_column(words(Purpose))
    policies: Mapped[str] = mapped_column(String(64))
    state: Mapped[PlannedState] = mapped_column(words(PlannedState), default=PlannedState.SCHEDULED)
    why: Mapped[str | None] = mapped_column(String(40))
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
    not_after: Mapped[datetime] = mapped_column(UTCDateTime)
    channel: Mapped[ChannelName | None] = mapped_column(words(ChannelName))
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversation.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
