"""Staff, their roles and sessions, and the audit (REQ-A22, G03). Sessions and links live in machine time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bot.core.words import Language, Presence, Role
from store.base import Base, BigId, Json, UTCDateTime, append_only, held, words


class Staff(Base):
    """A signed-in person; no shared accounts. `capacity` caps conversations held at once."""

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
    active: Mapped[bool] = mapped_column(default=True)
    demo: Mapped[bool] = mapped_column(default=False)
    address_id: Mapped[int | None] = mapped_column(ForeignKey("address.id"))  # where alerts go
    telegram_id: Mapped[int | None] = mapped_column(ForeignKey("address.id"))  # and their own Telegram chat
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)

    roles: Mapped[list[StaffRole]] = relationship(lazy="selectin", cascade="all, delete-orphan")


class StaffRole(Base):
    """A role somebody holds."""

    __tablename__ = "staff_role"
    __table_args__ = (held(Role, "role"),)

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    role: Mapped[Role] = mapped_column(words(Role), primary_key=True)


class StaffSession(Base):
    """A signed-in browser. Only the hash of its cookie is kept."""

    __tablename__ = "staff_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)


class SignInLink(Base):
    """A one-time sign-in link. Only its hash is kept."""

    __tablename__ = "sign_in_link"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
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


append_only(AuditEntry.__table__)
