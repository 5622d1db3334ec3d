"""Staff, their roles and sessions, and the audit (REQ-A22, G03). Sessions and links live in machine time."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bot.core.words import Language, Presence, Role
from store.base import Base, BigId, Json, UTCDateTime, append_only, held, words


class Staff(Base):
    """A signed-in person; no shared accounts. `capacity` caps conversations held at once; `queues` and `languages` are
    what they may be given (none: all), `given_at` when they were last. `seen_at` (machine time) is when an open console
    of theirs was last heard of."""

    __tablename__ = "staff"
    __table_args__ = (
        held(Language, "language"),
        held(Presence, "presence"),
        Index("uq_staff_telegram_id", "telegram_id", unique=True),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    username: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(60))
    password_hash: Mapped[str | None] = mapped_column(String(200))
    language: Mapped[Language] = mapped_column(words(Language), default=Language.ZH)
    presence: Mapped[Presence] = mapped_column(words(Presence), default=Presence.OFFLINE)
    capacity: Mapped[int] = mapped_column(default=5)
    queues: Mapped[list[str]] = mapped_column(Json, default=list, server_default=text("'[]'"))
    languages: Mapped[list[str]] = mapped_column(Json, default=list, server_default=text("'[]'"))
    seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    given_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    active: Mapped[bool] = mapped_column(default=True)
    demo: Mapped[bool] = mapped_column(default=False)
    address_id: Mapped[int | None] = mapped_column(ForeignKey("address.id"))  # where alerts go
    telegram_id: Mapped[int | None] = mapped_column(ForeignKey("address.id"))  # and their own Telegram chat
    totp_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)  # the second factor's secret
    totp_since: Mapped[datetime | None] = mapped_column(UTCDateTime)  # when it was proved; before that it asks nothing
    totp_step: Mapped[int | None] = mapped_column(BigId)  # of the last code taken, so that none is taken twice
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)

    roles: Mapped[list[StaffRole]] = relationship(lazy="selectin", cascade="all, delete-orphan")


class StaffRole(Base):
    """A role somebody holds."""

    __tablename__ = "staff_role"
    __table_args__ = (held(Role, "role"),)

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    role: Mapped[Role] = mapped_column(words(Role), primary_key=True)


class NumberKind(StrEnum):
    """Which of somebody's telephones a number is; the first is tried first."""

    MOBILE = "mobile"
    OFFICE = "office"


class StaffNumber(Base):
    """A telephone of somebody of the staff, for alerts and the contact list (REQ-F03). Only a mobile takes texts."""

    __tablename__ = "staff_number"
    __table_args__ = (held(NumberKind, "kind"), UniqueConstraint("staff_id", "kind"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    kind: Mapped[NumberKind] = mapped_column(words(NumberKind))
    voice_id: Mapped[int] = mapped_column(ForeignKey("address.id"))
    sms_id: Mapped[int | None] = mapped_column(ForeignKey("address.id"))
    all_hours: Mapped[bool] = mapped_column(default=False)  # switched on 24 h (REQ-B25)
    verified_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class StaffSession(Base):
    """A signed-in browser. Only the hash of its cookie is kept."""

    __tablename__ = "staff_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    csrf: Mapped[str] = mapped_column(String(64))
    browser: Mapped[str] = mapped_column(String(60), default="")
    network: Mapped[str] = mapped_column(String(45), default="")
    seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)


class SignInLink(Base):
    """A one-time sign-in link. Only its hash is kept."""

    __tablename__ = "sign_in_link"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class RecoveryCode(Base):
    """A one-time stand-in for the second factor, for who lost their phone. Only its hash is kept."""

    __tablename__ = "recovery_code"

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ChatLink(Base):
    """A one-time code by which somebody of the staff ties their own Telegram chat to their account. Only its hash."""

    __tablename__ = "chat_link"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)


class SignInAttempt(Base):
    """A try to sign in, counted per name and per network address (as keyed hashes)."""

    __tablename__ = "sign_in_attempt"
    __table_args__ = (Index("ix_sign_in_attempt_who", "who", "at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    who: Mapped[str] = mapped_column(String(64))
    ok: Mapped[bool]
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class AuditEntry(Base):
    """Who did what to which row, when. Append-only. `staff_id` None is the program itself."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_subject", "subject", "subject_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(40), default="")
    subject_id: Mapped[int | None] = mapped_column(BigId)
    details: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    note: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class AuditSeal(Base):
    """A batch of the audit's entries, as they were: `rows` holds [id, keyed digest] of each, `digest` chains them to
    the seal before (`previous`, "" for the first; UNIQUE, so that the chain has one end). It holds no personal
    data. Append-only."""

    __tablename__ = "audit_seal"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    last_id: Mapped[int] = mapped_column(BigId)
    rows: Mapped[list[list[Any]]] = mapped_column(Json)
    previous: Mapped[str] = mapped_column(String(43), unique=True)
    digest: Mapped[str] = mapped_column(String(43))
    sealed_at: Mapped[datetime] = mapped_column(UTCDateTime)


append_only(AuditEntry.__table__, for_ever=True)
append_only(AuditSeal.__table__, for_ever=True)
