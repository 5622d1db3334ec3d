"""What stands beside a case: its links, sub-tasks, a found item's register, hand-overs and warnings to those who abuse
(REQ-E04, E14, E17, E20, B40)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base, BigId, Json, UTCDateTime, append_only, held, words


class LinkKind(StrEnum):
    """What a case may be linked with."""

    CONVERSATION = "conversation"
    INCIDENT = "incident"
    CASE = "case"


class CaseLink(Base):
    """Something else that belongs to a case."""

    __tablename__ = "case_link"
    __table_args__ = (held(LinkKind, "kind"), UniqueConstraint("case_id", "kind", "other_id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    kind: Mapped[LinkKind] = mapped_column(words(LinkKind))
    other_id: Mapped[int] = mapped_column(BigId)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class CaseTask(Base):
    """A department's part of a case with one owner (REQ-E04). `result` says what came of it, with `done_at`."""

    __tablename__ = "case_task"
    __table_args__ = (Index("ix_case_task_case_id", "case_id"), Index("ix_case_task_staff_id", "staff_id", "done_at"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    department: Mapped[str] = mapped_column(String(60))
    what: Mapped[str] = mapped_column(String(200))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    result: Mapped[str] = mapped_column(Text, default="")


class FoundItem(Base):
    """A found item on its way back: counted by one person under camera, confirmed by a second, returned to somebody
    whose identity was checked, who signs (REQ-B40, E20). `signature` is an SVG path."""

    __tablename__ = "found_item"
    __table_args__ = (
        CheckConstraint("confirmed_by IS NULL OR confirmed_by <> counted_by", name="two_people"),
        CheckConstraint("returned_at IS NULL OR confirmed_by IS NOT NULL", name="confirmed_first"),
    )

    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"), primary_key=True)
    what: Mapped[str] = mapped_column(Text)
    where: Mapped[str] = mapped_column(String(120))
    camera: Mapped[str] = mapped_column(String(120))
    kept_at: Mapped[str] = mapped_column(String(120))
    found_at: Mapped[datetime] = mapped_column(UTCDateTime)
    counted_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    counted_at: Mapped[datetime] = mapped_column(UTCDateTime)
    confirmed_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    owner_name: Mapped[str] = mapped_column(String(60), default="")
    identity: Mapped[str] = mapped_column(String(120), default="")  # how it was checked, no document number
    signature: Mapped[str] = mapped_column(Text, default="")
    returned_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    returned_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class HandOver(Base):
    """What one person passes to the next: each item with summary, promise and next due time; the next one confirms
    (REQ-E17)."""

    __tablename__ = "hand_over"
    __table_args__ = (Index("ix_hand_over_to", "to_staff_id", "confirmed_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    from_staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    to_staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    note: Mapped[str] = mapped_column(Text, default="")
    items: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class AbuseStep(StrEnum):
    """How far a conversation with somebody who abuses has come: asked politely, warned, ended (REQ-E14)."""

    ASKED = "asked"
    WARNED = "warned"
    ENDED = "ended"
    THREAT = "threat"  # told to the duty leader at once


class Abuse(Base):
    """A step taken against abuse in a conversation. Append-only; `address_id` makes the number known next time."""

    __tablename__ = "abuse"
    __table_args__ = (
        held(AbuseStep, "step"),
        Index("ix_abuse_conversation_id", "conversation_id"),
        Index("ix_abuse_address_id", "address_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversation.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    step: Mapped[AbuseStep] = mapped_column(words(AbuseStep))
    note: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(UTCDateTime)


append_only(Abuse.__table__)
