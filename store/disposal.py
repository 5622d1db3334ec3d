"""Disposals: what is proposed, who approved it, what was destroyed and what was not (REQ-G08)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.policy import RecordKind, RetentionClass
from bot.core.retention import Why
from store.base import Base, BigId, Json, JsonOrNull, UTCDateTime, append_only, held, words


class DisposalState(StrEnum):
    """A list is proposed, approved by two people and carried out, or sent back."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    DONE = "done"
    DECLINED = "declined"


class Disposal(Base):
    """A list of records whose time is over. Nothing is destroyed before two people approved it.

    `proposed_by` None: the nightly look. The list grows until the first approval, `frozen_at`, whose `digest` it
    keeps. `certificate` is what was done, as a value (bot/services/records/certificates.py), `sealed` its digest.
    """

    __tablename__ = "disposal"
    __table_args__ = (
        held(DisposalState, "state"),
        CheckConstraint("state IN ('proposed', 'declined') OR frozen_at IS NOT NULL", name="frozen_first"),
        CheckConstraint("(state = 'done') = (certificate IS NOT NULL)", name="certified"),
        Index("ix_disposal_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    state: Mapped[DisposalState] = mapped_column(words(DisposalState), default=DisposalState.PROPOSED)
    proposed_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    frozen_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    digest: Mapped[str] = mapped_column(String(64), default="")
    declined_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    declined_why: Mapped[str] = mapped_column(Text, default="")
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    certificate: Mapped[dict[str, Any] | None] = mapped_column(JsonOrNull)
    sealed: Mapped[str] = mapped_column(String(64), default="")


class DisposalApproval(Base):
    """Somebody looked through a list and agreed to its destruction; `decides`: as general manager, of whom one must be
    among the two. Append-only."""

    __tablename__ = "disposal_approval"
    __table_args__ = (UniqueConstraint("disposal_id", "staff_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    disposal_id: Mapped[int] = mapped_column(ForeignKey("disposal.id"))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    decides: Mapped[bool]
    note: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class ItemState(StrEnum):
    """Waits, is gone, or stayed after all."""

    WAITING = "waiting"
    DESTROYED = "destroyed"
    KEPT = "kept"


class DisposalItem(Base):
    """One record of a list, by what names it without naming a person. `since`, `due` and `cls` are as they were judged;
    `kept_why` says why it stayed, `counts` how many rows of which table went with it."""

    __tablename__ = "disposal_item"
    __table_args__ = (
        held(RecordKind, "kind"),
        held(RetentionClass, "cls"),
        held(Why, "why"),
        held(ItemState, "state"),
        UniqueConstraint("disposal_id", "kind", "record_id"),
        Index("ix_disposal_item_record", "kind", "record_id"),
        Index(
            "ix_disposal_item_waiting",
            "disposal_id",
            "id",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    disposal_id: Mapped[int] = mapped_column(ForeignKey("disposal.id"))
    kind: Mapped[RecordKind] = mapped_column(words(RecordKind))
    record_id: Mapped[int] = mapped_column(BigId)
    title: Mapped[str] = mapped_column(String(80))
    cls: Mapped[RetentionClass] = mapped_column(words(RetentionClass))
    why: Mapped[Why] = mapped_column(words(Why))
    since: Mapped[datetime] = mapped_column(UTCDateTime)
    due: Mapped[datetime] = mapped_column(UTCDateTime)
    state: Mapped[ItemState] = mapped_column(words(ItemState), default=ItemState.WAITING)
    kept_why: Mapped[str] = mapped_column(String(24), default="")
    counts: Mapped[dict[str, int]] = mapped_column(Json, default=dict)
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class FileRemoval(Base):
    """A file under HOTLINE_DATA_DIR/media whose row is destroyed; it goes from the disk after that commit, and is
    asked for again until it is gone. `disposal_id` None: the erasure of a person."""

    __tablename__ = "file_removal"
    __table_args__ = (
        Index(
            "ix_file_removal_waiting",
            "id",
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    disposal_id: Mapped[int | None] = mapped_column(ForeignKey("disposal.id"))
    file: Mapped[str] = mapped_column(String(80), unique=True)
    removed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


append_only(DisposalApproval.__table__)
