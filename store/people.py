"""Contacts, their addresses and consents, and what corrections replaced (REQ-A01, G02, G14)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.words import ChannelName, Language
from store.base import Base, BigId, Json, UTCDateTime, append_only, held, words


class Contact(Base):
    """A person. `timezone` is an IANA name; `building` is the plain location key that broadcasts filter by, while the
    full unit ("3-2-501") is an address and therefore encrypted."""

    __tablename__ = "contact"
    __table_args__ = (
        held(Language, "language"),
        CheckConstraint("merged_into_id IS NULL OR merged_into_id <> id", name="merged_elsewhere"),
        Index("ix_contact_building", "building"),
        Index(
            "ix_contact_merged_into_id",
            "merged_into_id",
            sqlite_where=text("merged_into_id IS NOT NULL"),
            postgresql_where=text("merged_into_id IS NOT NULL"),
        ),
        Index("ix_contact_birthday", "birthday"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(120), default="")
    title: Mapped[str] = mapped_column(String(40), default="")
    language: Mapped[Language] = mapped_column(words(Language), default=Language.ZH)
    timezone: Mapped[str] = mapped_column(String(64))
    segments: Mapped[list[str]] = mapped_column(Json, default=list)  # classes that policies know
    tags: Mapped[list[str]] = mapped_column(Json, default=list, server_default=text("'[]'"))  # staff's free labels
    building: Mapped[str | None] = mapped_column(String(40))
    unit_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    vulnerable: Mapped[bool] = mapped_column(default=False)
    birth_year: Mapped[int | None]
    interests: Mapped[str] = mapped_column(String(200), default="", server_default="")
    not_before: Mapped[str | None] = mapped_column(String(5))  # local HH:MM the person asked for
    not_after: Mapped[str | None] = mapped_column(String(5))
    birthday: Mapped[str | None] = mapped_column(String(5))  # MM-DD, for the wishes of the day (REQ-C09)
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("contact.id"))
    erased_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # at their wish; what is left names nobody
    revision: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Address(Base):
    """One way to reach a contact. `sealed` is the encrypted value, `blind` its keyed index (UNIQUE per channel).
    `claimed`: a number somebody only typed in conversation; whoever writes or calls from it is not taken for them.

    Staff's own addresses, for alerts, belong to no contact.
    """

    __tablename__ = "address"
    __table_args__ = (
        held(ChannelName, "channel"),
        UniqueConstraint("channel", "blind"),
        Index("ix_address_contact_id", "contact_id"),
        CheckConstraint("(channel = 'staff') = (contact_id IS NULL)", name="staff_or_contact"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contact.id"))
    channel: Mapped[ChannelName] = mapped_column(words(ChannelName))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    blind: Mapped[str] = mapped_column(String(43))
    hint: Mapped[str] = mapped_column(String(16), default="")  # the masked form people see
    reachable: Mapped[bool] = mapped_column(default=True)
    claimed: Mapped[bool] = mapped_column(default=False)
    rank: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Consent(Base):
    """A consent given or withdrawn; the latest row of a scope counts (REQ-C39, G19). Append-only.

    `scope` is a purpose of the permission table, `recording`, or `all`.
    """

    __tablename__ = "consent"
    __table_args__ = (Index("ix_consent_contact_id", "contact_id", "scope", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    scope: Mapped[str] = mapped_column(String(24))
    granted: Mapped[bool]
    source: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class Revision(Base):
    """What a correction replaced: old value, new value, who, when, why. Append-only (REQ-G02)."""

    __tablename__ = "revision"
    __table_args__ = (Index("ix_revision_subject", "subject", "subject_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subject: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int] = mapped_column(BigId)
    field: Mapped[str] = mapped_column(String(60))
    old: Mapped[Any] = mapped_column(Json)
    new: Mapped[Any] = mapped_column(Json)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    why: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class MergeState(StrEnum):
    """What became of the thought that two contacts are one person."""

    OPEN = "open"
    MERGED = "merged"
    DECLINED = "declined"  # different people: not thought of again


class Merge(Base):
    """Two contacts who may be one person: why somebody thinks so, and what a person decided (DESIGN §2).

    `kept_id` is the earlier contact, which a merge keeps; `other_id` becomes it. `moved` are the addresses a merge took
    along, to be given back when it is undone.
    """

    __tablename__ = "merge"
    __table_args__ = (
        held(MergeState, "state"),
        UniqueConstraint("kept_id", "other_id"),
        CheckConstraint("kept_id < other_id", name="earlier_kept"),
        Index("ix_merge_other_id", "other_id"),
        Index("ix_merge_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kept_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    other_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    why: Mapped[str] = mapped_column(String(24))
    hint: Mapped[str] = mapped_column(String(16), default="")  # the masked number both gave
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversation.id"))
    state: Mapped[MergeState] = mapped_column(words(MergeState), default=MergeState.OPEN)
    moved: Mapped[list[int]] = mapped_column(Json, default=list)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


append_only(Consent.__table__)
append_only(Revision.__table__)
