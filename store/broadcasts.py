"""Incidents, announcements, their frozen audience and its acknowledgements (requirements F)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.words import BroadcastKind, BroadcastState, ChannelName, IncidentSource, IncidentState, Outcome, Purpose
from store.base import Base, BigId, Json, UTCDateTime, append_only, held, words


class Incident(Base):
    """Something that affects many. `wording_*` is the one approved text bot and agents use (REQ-F33).

    `dedupe_key` is the monitor's, the other system's or the burst's, so that the same is opened once; `facts` holds
    what the grade and the reports ask for, by field (bot/services/incidents/incident_record.py).
    """

    __tablename__ = "incident"
    __table_args__ = (
        held(IncidentState, "state"),
        Index("ix_incident_state", "state"),
        Index("uq_incident_dedupe_key", "dedupe_key", unique=True),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(8))  # INC-01 … INC-35
    title: Mapped[str] = mapped_column(String(160))
    state: Mapped[IncidentState] = mapped_column(words(IncidentState), default=IncidentState.SUSPECTED)
    plan: Mapped[str | None] = mapped_column(String(12))  # general | major
    grade: Mapped[str | None] = mapped_column(String(12))
    drill: Mapped[bool] = mapped_column(default=False)
    source: Mapped[IncidentSource] = mapped_column(words(IncidentSource), default=IncidentSource.STAFF)
    dedupe_key: Mapped[str | None] = mapped_column(String(120))
    proposed_plan: Mapped[str | None] = mapped_column(String(12))
    buildings: Mapped[list[str]] = mapped_column(Json, default=list)
    place: Mapped[str] = mapped_column(String(120), default="")
    facts: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    wording_zh: Mapped[str] = mapped_column(Text, default="")
    wording_en: Mapped[str] = mapped_column(Text, default="")
    eta_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    revision: Mapped[int] = mapped_column(default=0)


class IncidentEntry(Base):
    """The incident's timeline. Append-only. A cost has its `amount` in hundredths of the `currency`; what came back, or
    was entered wrongly, is a negative one (REQ-F53)."""

    __tablename__ = "incident_entry"
    __table_args__ = (Index("ix_incident_entry_incident_id", "incident_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    kind: Mapped[str] = mapped_column(String(24))
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    amount: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(String(3))


class NotifyMe(Base):
    """Who asked to be told when it is over (REQ-F25, C29); `settled_at`: they got the all-clear, or are called."""

    __tablename__ = "notify_me"
    __table_args__ = (UniqueConstraint("incident_id", "contact_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Broadcast(Base):
    """An announcement. The author does not approve it, unless `override_reason` says why nobody else could (it also
    says why it went out at night); audience and text are frozen when it is approved.

    `audience` chooses contacts (bot/services/announcements/audience.py), or names the people of the broadcast it
    follows. `amends`: it corrects that one, for whoever was told, and replaces it for the others. `channels` is the
    ladder each recipient climbs; `cursor` is the last recipient fanned out, moved in the transaction of its page.
    `purpose` is the row of the permission table its deliveries go by.
    """

    __tablename__ = "broadcast"
    __table_args__ = (
        held(BroadcastKind, "kind"),
        held(BroadcastState, "state"),
        held(Purpose, "purpose"),
        CheckConstraint(
            "approver_id IS NULL OR approver_id <> author_id OR override_reason <> ''", name="second_person"
        ),
        CheckConstraint("state IN ('draft', 'cancelled') OR approver_id IS NOT NULL", name="approved_by"),
        Index("ix_broadcast_state", "state"),
        Index("ix_broadcast_incident_id", "incident_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    kind: Mapped[BroadcastKind] = mapped_column(words(BroadcastKind))
    follows_id: Mapped[int | None] = mapped_column(ForeignKey("broadcast.id"))
    state: Mapped[BroadcastState] = mapped_column(words(BroadcastState), default=BroadcastState.DRAFT)
    drill: Mapped[bool] = mapped_column(default=False)
    purpose: Mapped[Purpose] = mapped_column(words(Purpose), default=Purpose.EMERGENCY)
    audience: Mapped[dict[str, Any]] = mapped_column(Json)
    channels: Mapped[list[str]] = mapped_column(Json)
    text_zh: Mapped[str] = mapped_column(Text)
    text_en: Mapped[str] = mapped_column(Text)
    author_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    approver_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    audience_size: Mapped[int] = mapped_column(default=0)
    cursor: Mapped[int] = mapped_column(BigId, default=0)
    fanned_out: Mapped[bool] = mapped_column(default=False)
    policies: Mapped[str] = mapped_column(String(64), default="")
    override_reason: Mapped[str] = mapped_column(Text, default="")
    amends: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    approved_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revision: Mapped[int] = mapped_column(default=0)


class BroadcastRecipient(Base):
    """One person of a frozen audience, with exactly one outcome. `step` is the rung of the channel ladder reached;
    `due_at` is when the silent climb on (domain time). `told`: reached by the broadcast that this one corrects."""

    __tablename__ = "broadcast_recipient"
    __table_args__ = (
        held(Outcome, "outcome"),
        UniqueConstraint("broadcast_id", "contact_id"),
        Index("ix_broadcast_recipient_broadcast_id", "broadcast_id", "id"),
        Index(
            "ix_broadcast_recipient_due_at",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcast.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    outcome: Mapped[Outcome] = mapped_column(words(Outcome), default=Outcome.PENDING)
    step: Mapped[int] = mapped_column(default=0)
    told: Mapped[bool] = mapped_column(default=False)
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Acknowledgement(Base):
    """A recipient said they know; once. Append-only."""

    __tablename__ = "acknowledgement"
    __table_args__ = (held(ChannelName, "channel"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    recipient_id: Mapped[int] = mapped_column(ForeignKey("broadcast_recipient.id"), unique=True)
    channel: Mapped[ChannelName] = mapped_column(words(ChannelName))
    text: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class CapAlert(Base):
    """An alert somebody sent us (OASIS CAP 1.2): known by who sent it and its own name, so that none is taken twice.
    `sent` is the sender's time; `kind` is CAP's msgType."""

    __tablename__ = "cap_alert"
    __table_args__ = (UniqueConstraint("sender", "identifier"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sender: Mapped[str] = mapped_column(String(120))
    identifier: Mapped[str] = mapped_column(String(200))
    sent: Mapped[datetime] = mapped_column(UTCDateTime)
    kind: Mapped[str] = mapped_column(String(12))
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incident.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)


append_only(IncidentEntry.__table__)
append_only(Acknowledgement.__table__)
