"""Repair orders: how far a repair case is, what it costs and who agreed; and the visits agreed with the customer."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.visits import Notice
from bot.core.words import RepairStage, VisitState
from store.base import Base, BigId, UTCDateTime, held, words


class RepairOrder(Base):
    """A repair case's order (REQ-D26). Amounts are in hundredths of the policies' currency, `total` with everything.

    `charged` None: not decided. `consented_at` is the customer's yes to the present quotation, `consent_how` how they
    gave it (REQ-D28). Tracking numbers are those of the parcel to us and of the one back (REQ-D39).
    """

    __tablename__ = "repair_order"
    __table_args__ = (
        held(RepairStage, "stage"),
        CheckConstraint("consented_at IS NULL OR quoted_at IS NOT NULL", name="consent_to_quotation"),
        CheckConstraint("total >= parts + travel AND parts >= 0 AND travel >= 0", name="amounts"),
    )

    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"), primary_key=True, autoincrement=False)
    stage: Mapped[RepairStage] = mapped_column(words(RepairStage), default=RepairStage.REGISTERED)
    charged: Mapped[bool | None]
    total: Mapped[int | None]
    parts: Mapped[int | None]
    travel: Mapped[int | None]
    quoted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    quoted_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    consented_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    consent_how: Mapped[str] = mapped_column(String(200), default="")
    received_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    tracking_in: Mapped[str] = mapped_column(String(60), default="")
    tracking_out: Mapped[str] = mapped_column(String(60), default="")
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    revision: Mapped[int] = mapped_column(default=0)


class Visit(Base):
    """An agreed visit. A moved one keeps its row and gets a new one in its place.

    `place` numbers the visits of one slot from 0, so that the database itself gives the last one away only once.
    `address_id` is where the customer was when it was agreed; there they are told `notice` at `notice_at`, both empty
    once that is done. `told_at`: last told anything; `confirmed_at`: they said that it suits them.
    """

    __tablename__ = "visit"
    __table_args__ = (
        held(VisitState, "state"),
        held(Notice, "notice"),
        CheckConstraint("starts_at < ends_at", name="span"),
        CheckConstraint("place >= 0", name="place"),
        Index(
            "uq_visit_place",
            "starts_at",
            "place",
            unique=True,
            sqlite_where=text("state = 'booked'"),
            postgresql_where=text("state = 'booked'"),
        ),
        Index(
            "uq_visit_case",
            "case_id",
            unique=True,
            sqlite_where=text("state = 'booked'"),
            postgresql_where=text("state = 'booked'"),
        ),
        Index(
            "ix_visit_notice_at",
            "notice_at",
            sqlite_where=text("notice_at IS NOT NULL"),
            postgresql_where=text("notice_at IS NOT NULL"),
        ),
        Index("ix_visit_starts_at", "starts_at"),
        Index("ix_visit_contact_id", "contact_id"),
        Index("ix_visit_case_id", "case_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case_file.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    address_id: Mapped[int | None] = mapped_column(ForeignKey("address.id"))
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)
    place: Mapped[int]
    state: Mapped[VisitState] = mapped_column(words(VisitState), default=VisitState.BOOKED)
    where_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    technician_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    notice: Mapped[Notice | None] = mapped_column(words(Notice))
    notice_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    told_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    booked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    changed_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
