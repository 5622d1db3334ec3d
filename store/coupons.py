"""Coupons issued to customers (REQ-D22); the campaigns themselves are the operator's facts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base, BigId, UTCDateTime


class Coupon(Base):
    """The `number`th coupon of a campaign that a contact got, from 1; nothing is issued twice."""

    __tablename__ = "coupon"
    __table_args__ = (UniqueConstraint("contact_id", "campaign", "number"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    campaign: Mapped[str] = mapped_column(String(60))
    number: Mapped[int]
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversation.id"))
    code: Mapped[str] = mapped_column(String(200), default="")
    at: Mapped[datetime] = mapped_column(UTCDateTime)
