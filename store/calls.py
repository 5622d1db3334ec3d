"""Events that ask for a follow-up, callbacks, call attempts and answers (requirements C)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.words import CallbackSource, CallbackState, Disposition, FollowUpGroup, Purpose
from store.base import Base, BigId, Json, UTCDateTime, append_only, held, words


class Event(Base):
    """Something that happened to a contact outside (a visit, a purchase, an operation …); known once per source.

    `unplanned` says why no callback could be planned for it, `tried` with which policies and scripts that was found:
    when they change it is tried again, so that nothing is lost to a setting that was missing.
    """

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("ix_event_contact_id", "contact_id", "happened_at"),
        Index(
            "ix_event_unplanned",
            "id",
            sqlite_where=text("unplanned IS NOT NULL"),
            postgresql_where=text("unplanned IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    source: Mapped[str] = mapped_column(String(60))
    external_id: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(40))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    happened_at: Mapped[datetime] = mapped_column(UTCDateTime)
    recorded_at: Mapped[datetime] = mapped_column(UTCDateTime)
    details: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    unplanned: Mapped[str | None] = mapped_column(String(40))
    tried: Mapped[str] = mapped_column(String(80), default="")


class ImportRun(Base):
    """One import of a file: what loaded, what was known already, which lines were refused and why. Append-only."""

    __tablename__ = "import_run"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    filename: Mapped[str] = mapped_column(String(200))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    loaded: Mapped[int]
    known: Mapped[int]
    refused: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class Callback(Base):
    """A call we owe somebody. `due_at` is the truth the heartbeat asks; `policies` pins the version it was planned by.

    While it is dialled, `due_at` is when somebody must look what became of the call. `window_end` closes the window of
    the next try, `late_after` is when it is no longer in time, `not_after` when the plan gives up.
    `plan` is the id of its plan in those policies, `step` which of the plan's contacts it is, from 0.
    `flow` keeps a partly answered questionnaire for the next attempt (REQ-C13); `flags` carry marks such as
    "missed_same_evening" and "provisional" (REQ-C07, DESIGN §6). `waits` says why it was not called when it was last
    looked at (bot/services/calls/waits.py words it); `staff_id` is the agent in whose diary it stands, `booked_by` who
    put it there. `notes` are an agent's key points before dialling, `remarks` what is reported afterwards (REQ-C20,
    C15).
    """

    __tablename__ = "callback"
    __table_args__ = (
        held(CallbackState, "state"),
        held(FollowUpGroup, "follow_up_group"),
        held(Purpose, "purpose"),
        held(CallbackSource, "source"),
        CheckConstraint("state NOT IN ('done', 'given_up', 'cancelled') OR disposition IS NOT NULL", name="ended_with"),
        CheckConstraint("state <> 'scheduled' OR due_at IS NOT NULL", name="scheduled_when"),
        Index(
            "ix_callback_due_at",
            "due_at",
            "id",
            sqlite_where=text("state IN ('scheduled', 'dialling')"),
            postgresql_where=text("state IN ('scheduled', 'dialling')"),
        ),
        Index(
            "ix_callback_moved",
            "priority",
            "due_at",
            "id",
            sqlite_where=text("state IN ('scheduled', 'dialling') AND priority <> 0"),
            postgresql_where=text("state IN ('scheduled', 'dialling') AND priority <> 0"),
        ),
        Index(
            "ix_callback_staff_id",
            "staff_id",
            "due_at",
            sqlite_where=text("staff_id IS NOT NULL"),
            postgresql_where=text("staff_id IS NOT NULL"),
        ),
        Index("ix_callback_case_id", "case_id"),
        Index("ix_callback_plan", "plan", "due_at"),
        Index("ix_callback_closed_at", "closed_at"),
        Index("ix_callback_contact_id", "contact_id", "id"),
        Index(
            "ix_callback_event_id",
            "event_id",
            sqlite_where=text("event_id IS NOT NULL"),
            postgresql_where=text("event_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    dedupe_key: Mapped[str] = mapped_column(String(120), unique=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    event_id: Mapped[int | None] = mapped_column(ForeignKey("event.id"))
    case_id: Mapped[int | None] = mapped_column(ForeignKey("case_file.id"))
    address_id: Mapped[int | None] = mapped_column(ForeignKey("address.id"))  # the number the person asked for
    follow_up_group: Mapped[FollowUpGroup] = mapped_column(words(FollowUpGroup))
    plan: Mapped[str] = mapped_column(String(40))
    step: Mapped[int] = mapped_column(default=0)
    purpose: Mapped[Purpose] = mapped_column(words(Purpose))
    policies: Mapped[str] = mapped_column(String(64))
    flow_id: Mapped[str] = mapped_column(String(80))
    flow: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    topic: Mapped[str] = mapped_column(Text, default="")
    source: Mapped[CallbackSource] = mapped_column(words(CallbackSource), default=CallbackSource.PLAN)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    booked_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    waits: Mapped[str | None] = mapped_column(String(24))
    state: Mapped[CallbackState] = mapped_column(words(CallbackState), default=CallbackState.SCHEDULED)
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    window_end: Mapped[datetime | None] = mapped_column(UTCDateTime)
    late_after: Mapped[datetime | None] = mapped_column(UTCDateTime)
    not_after: Mapped[datetime | None] = mapped_column(UTCDateTime)
    priority: Mapped[int] = mapped_column(default=0)
    flags: Mapped[list[str]] = mapped_column(Json, default=list)
    disposition: Mapped[Disposition | None] = mapped_column(words(Disposition))
    remarks: Mapped[str] = mapped_column(Text, default="")
    notes: Mapped[str] = mapped_column(Text, default="", server_default="")
    revision: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class PausedPlan(Base):
    """A follow-up plan whose calls wait until it goes on. `plan` is its id, as `Callback.plan` has it."""

    __tablename__ = "paused_plan"

    plan: Mapped[str] = mapped_column(String(60), primary_key=True)
    why: Mapped[str] = mapped_column(Text)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class PlanOwner(Base):
    """The person a follow-up plan is assigned to, instead of everybody of the role its file names."""

    __tablename__ = "plan_owner"

    plan: Mapped[str] = mapped_column(String(60), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    assigned_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class BlockedDay(Base):
    """A day, in the calendar of whoever is called, on which nobody is called but in an emergency."""

    __tablename__ = "blocked_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    why: Mapped[str] = mapped_column(Text)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class CallAttempt(Base):
    """One dialling of a callback. `rang` tells an attempt that reached a telephone from one that never left."""

    __tablename__ = "call_attempt"
    __table_args__ = (
        held(Disposition, "disposition"),
        UniqueConstraint("callback_id", "number"),
        Index("ix_call_attempt_delivery_id", "delivery_id"),
        Index("ix_call_attempt_conversation_id", "conversation_id"),
        Index("ix_call_attempt_started_at", "started_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    callback_id: Mapped[int] = mapped_column(ForeignKey("callback.id"))
    number: Mapped[int]
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"))
    delivery_id: Mapped[int | None] = mapped_column(BigId)
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversation.id"))
    window: Mapped[str] = mapped_column(String(40), default="")
    rang: Mapped[bool] = mapped_column(default=False)
    answered_by: Mapped[str | None] = mapped_column(String(12))
    disposition: Mapped[Disposition | None] = mapped_column(words(Disposition))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Answer(Base):
    """One answered question of a questionnaire, kept as soon as it is given (REQ-C13, C15). Append-only: the latest
    row of a question counts, the earlier ones stay legible (REQ-G02)."""

    __tablename__ = "answer"
    __table_args__ = (Index("ix_answer_callback_id", "callback_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    callback_id: Mapped[int] = mapped_column(ForeignKey("callback.id"))
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversation.id"))
    question: Mapped[str] = mapped_column(String(80))
    answer: Mapped[str] = mapped_column(Text)
    score: Mapped[int | None]
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class NextStep(Base):
    """What a report owner asks a named person to do about a follow-up (REQ-C17). `due_on` and `reminded_on`, when its
    owner was last reminded, are days of the centre."""

    __tablename__ = "next_step"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'done')", name="state"),
        Index("ix_next_step_callback_id", "callback_id"),
        Index("ix_next_step_due_on", "state", "due_on"),
        Index("ix_next_step_owner_id", "owner_id", "state"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    callback_id: Mapped[int] = mapped_column(ForeignKey("callback.id"))
    owner_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    what: Mapped[str] = mapped_column(Text)
    due_on: Mapped[date]
    state: Mapped[str] = mapped_column(String(12), default="open")
    result: Mapped[str] = mapped_column(Text, default="")
    created_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    reminded_on: Mapped[date | None]
    done_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


append_only(ImportRun.__table__)
append_only(Answer.__table__)
