"""What an incident's plan leaves behind: its steps, who was told, what customers reported, calls written by hand, and
seats given up meanwhile (requirements F, REQ-A22)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.words import StepKind, StepState
from store.base import Base, BigId, Json, UTCDateTime, held, words


class IncidentStep(Base):
    """A step of an incident's plan, its words and figures frozen as the catalogue had them when it was made.

    `plan` is "own" (the type's), a plan's or grade's name, or "after" (what the review asks for, which has an owner);
    `within` counts seconds from when `after` happened. `notified` only grows; `remind_at` is when to look at it next.
    """

    __tablename__ = "incident_step"
    __table_args__ = (
        held(StepKind, "kind"),
        held(StepState, "state"),
        UniqueConstraint("incident_id", "plan", "key"),
        Index(
            "ix_incident_step_remind_at",
            "remind_at",
            sqlite_where=text("remind_at IS NOT NULL"),
            postgresql_where=text("remind_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    plan: Mapped[str] = mapped_column(String(12))
    key: Mapped[str] = mapped_column(String(40))
    kind: Mapped[StepKind] = mapped_column(words(StepKind))
    text_zh: Mapped[str] = mapped_column(Text)
    text_en: Mapped[str] = mapped_column(Text)
    refs: Mapped[list[str]] = mapped_column(Json, default=list)
    roles: Mapped[list[str]] = mapped_column(Json, default=list)
    tell: Mapped[list[str]] = mapped_column(Json, default=list)
    within: Mapped[int | None]
    after: Mapped[str] = mapped_column(String(40))
    state: Mapped[StepState] = mapped_column(words(StepState), default=StepState.WAITING)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    notified: Mapped[int] = mapped_column(default=0)
    notified_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    remind_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    done_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    result: Mapped[str] = mapped_column(Text, default="")


class IncidentTold(Base):
    """Somebody of the staff was told of an incident by a step, and whether they said so; `over_at` is when they were
    told that it is over (REQ-F14, F43, F60)."""

    __tablename__ = "incident_told"
    __table_args__ = (UniqueConstraint("step_id", "staff_id"), Index("ix_incident_told_incident_id", "incident_id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    step_id: Mapped[int] = mapped_column(ForeignKey("incident_step.id"))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    told_at: Mapped[datetime] = mapped_column(UTCDateTime)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    over_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class CustomerReport(Base):
    """A customer told of something that may be an incident: each is a sensor (REQ-D31, E25, F20). `place` is a
    building, or empty where the matter has none."""

    __tablename__ = "customer_report"
    __table_args__ = (
        Index("ix_customer_report_burst", "intent", "place", "at"),
        Index("ix_customer_report_incident_id", "incident_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    intent: Mapped[str] = mapped_column(String(40))
    place: Mapped[str] = mapped_column(String(40), default="")
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversation.id"))
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incident.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class ManualRecord(Base):
    """A call written down by hand while the system was down (REQ-F13). `key` is the form's own, so that a file brought
    in twice counts once; the caller's number is kept with their contact."""

    __tablename__ = "manual_record"
    __table_args__ = (Index("ix_manual_record_incident_id", "incident_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incident.id"))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contact.id"))
    taken_at: Mapped[datetime] = mapped_column(UTCDateTime)
    agent: Mapped[str] = mapped_column(String(60))
    matter: Mapped[str] = mapped_column(Text)
    promise: Mapped[str] = mapped_column(Text, default="")
    wants_callback: Mapped[bool] = mapped_column(default=False)
    callback_id: Mapped[int | None] = mapped_column(BigId)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class SeatLeave(Base):
    """An agent asks to sign out while an incident is open, and what their leader says (REQ-A22, F12)."""

    __tablename__ = "seat_leave"
    __table_args__ = (Index("ix_seat_leave_staff_id", "staff_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    granted: Mapped[bool | None]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
