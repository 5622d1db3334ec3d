"""The outbox: every delivery, and who is working on it (DESIGN §4, §5)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.telephone import CallState
from bot.core.words import ChannelName, DeliveryState, Lane, Purpose
from store.base import Base, BigId, Json, JsonOrNull, UTCDateTime, held, words

SLOTS = 64
"""Lanes fall into so many slots, by their address's id; workers lease slots, so two workers never claim from the same
lane."""


def _where_there_is_one(name: str, *columns: str) -> Index:
    """An index of the rows whose last column has a value: a row is written at every step of its way, and each index it
    is in with it."""
    there_is = text(f"{columns[-1]} IS NOT NULL")
    return Index(name, *columns, sqlite_where=there_is, postgresql_where=there_is)


class Delivery(Base):
    """One thing to send to one address. `not_before` and `expires_at` are domain time, `lease_until` machine time.

    `lane` is "<address id>:<class>"; one row of a lane is in flight at a time (UNIQUE while sending). `body` holds
    text, language, buttons and metadata as Outgoing wants them.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        held(ChannelName, "channel"),
        held(DeliveryState, "state"),
        held(Purpose, "purpose"),
        held(Lane, "lane_class"),
        CheckConstraint(f"slot BETWEEN 0 AND {SLOTS - 1}", name="slot"),
        CheckConstraint("state <> 'sending' OR lease_until IS NOT NULL", name="sending_leased"),
        CheckConstraint("attempt >= 0", name="attempt"),
        Index(
            "uq_delivery_lane_in_flight",
            "lane",
            unique=True,
            sqlite_where=text("state = 'sending'"),
            postgresql_where=text("state = 'sending'"),
        ),
        Index(
            "ix_delivery_queued",
            "channel",
            "priority",
            "not_before",
            "id",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
        Index(
            "ix_delivery_lane_queued",
            "lane",
            "priority",
            "not_before",
            "id",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
        _where_there_is_one("ix_delivery_escalation_id", "escalation_id"),
        Index(
            "ix_delivery_lease_until",
            "lease_until",
            sqlite_where=text("state = 'sending'"),
            postgresql_where=text("state = 'sending'"),
        ),
        Index(
            "ix_delivery_unknown",
            "changed_at",
            sqlite_where=text("state = 'unknown'"),
            postgresql_where=text("state = 'unknown'"),
        ),
        Index(
            "ix_delivery_calls_up",
            "changed_at",
            sqlite_where=text("channel = 'voice' AND state IN ('sending', 'accepted', 'delivered')"),
            postgresql_where=text("channel = 'voice' AND state IN ('sending', 'accepted', 'delivered')"),
        ),
        _where_there_is_one("ix_delivery_provider_id", "channel", "provider_id"),
        _where_there_is_one("ix_delivery_message_id", "message_id"),
        Index("ix_delivery_contact_id", "contact_id", "created_at"),
        _where_there_is_one("ix_delivery_recipient_id", "recipient_id"),
        _where_there_is_one("ix_delivery_callback_id", "callback_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    dedupe_key: Mapped[str] = mapped_column(String(160), unique=True)
    lane: Mapped[str] = mapped_column(String(40))
    lane_class: Mapped[Lane] = mapped_column(words(Lane), default=Lane.CHAT)
    slot: Mapped[int]
    priority: Mapped[int] = mapped_column(default=5)  # 0 first
    purpose: Mapped[Purpose] = mapped_column(words(Purpose))
    channel: Mapped[ChannelName] = mapped_column(words(ChannelName))
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contact.id"))
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversation.id"))
    message_id: Mapped[int | None] = mapped_column(BigId)
    callback_id: Mapped[int | None] = mapped_column(BigId)
    recipient_id: Mapped[int | None] = mapped_column(BigId)  # broadcast_recipient
    escalation_id: Mapped[int | None] = mapped_column(BigId)
    drill: Mapped[bool] = mapped_column(default=False)
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    not_before: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    state: Mapped[DeliveryState] = mapped_column(words(DeliveryState), default=DeliveryState.QUEUED)
    attempt: Mapped[int] = mapped_column(default=0)
    asked: Mapped[int] = mapped_column(default=0)  # the attempt the provider was asked about, while unknown
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    lease_owner: Mapped[str | None] = mapped_column(String(60))
    provider_id: Mapped[str | None] = mapped_column(String(120))
    provider_seq: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Worker(Base):
    """A living process: its heartbeat in machine time. The number of living workers splits a channel's rate."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    beat_at: Mapped[datetime] = mapped_column(UTCDateTime)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)


class SlotLease(Base):
    """Which worker may claim from a slot, until when (machine time)."""

    __tablename__ = "slot_lease"

    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    worker: Mapped[str] = mapped_column(String(60))
    until: Mapped[datetime] = mapped_column(UTCDateTime)


class Poll(Base):
    """Who asks a provider for what came in, until when, since when, and what went wrong last (all machine time).

    A provider gives its updates to one asker at a time, so the asker holds a lease. `url` is set where the provider
    brings them by itself instead (a webhook).
    """

    __tablename__ = "poll"
    __table_args__ = (held(ChannelName, "channel"),)

    channel: Mapped[ChannelName] = mapped_column(words(ChannelName), primary_key=True)
    worker: Mapped[str] = mapped_column(String(60))
    until: Mapped[datetime] = mapped_column(UTCDateTime)
    since: Mapped[datetime] = mapped_column(UTCDateTime)
    heard_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    error: Mapped[str | None] = mapped_column(Text)
    error_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    url: Mapped[str | None] = mapped_column(Text)


class SandboxCall(Base):
    """A call on the sandbox carrier's phone page: its state survives a restart (DESIGN §8).

    `direction` is "out" where we ring the phone, "in" where it rings us; `script` is what is being played
    (bot/services/sandbox/sandbox.py). `sequence` counts its steps, so that a step is taken once. `started_at` is domain
    time, `changed_at` machine time.
    """

    __tablename__ = "sandbox_call"
    __table_args__ = (
        held(CallState, "state"),
        CheckConstraint("direction IN ('in', 'out')", name="direction"),
        Index("ix_sandbox_call_phone", "phone_blind", "id"),
        Index(
            "uq_sandbox_call_busy",
            "phone_blind",
            unique=True,
            sqlite_where=text("state IN ('ringing', 'in-progress')"),
            postgresql_where=text("state IN ('ringing', 'in-progress')"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    delivery_id: Mapped[int | None] = mapped_column(BigId, unique=True)
    phone_blind: Mapped[str] = mapped_column(String(43))
    direction: Mapped[str] = mapped_column(String(8))
    state: Mapped[CallState] = mapped_column(words(CallState))
    script: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    sequence: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)


class SandboxText(Base):
    """An SMS the sandbox carrier delivered to ("out"), or took from ("in"), a phone page. `client_id` is the page's own
    id of a text it sent, so that one sent again is taken once; `file` a picture's or document's link, name and type."""

    __tablename__ = "sandbox_text"
    __table_args__ = (
        CheckConstraint("direction IN ('in', 'out')", name="direction"),
        Index("ix_sandbox_text_phone", "phone_blind", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    delivery_id: Mapped[int | None] = mapped_column(BigId, unique=True)
    client_id: Mapped[str | None] = mapped_column(String(120), unique=True)
    phone_blind: Mapped[str] = mapped_column(String(43))
    direction: Mapped[str] = mapped_column(String(8))
    text: Mapped[str] = mapped_column(Text)
    file: Mapped[dict[str, str] | None] = mapped_column(JsonOrNull)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
