"""Which way conversations went through the flows, so that a diagram can say how many took which branch."""

from __future__ import annotations

from datetime import date

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base, BigId, Json


class Passage(Base):
    """What one turn of a conversation passed (bot/services/conversation/branches.py writes and reads `steps`); `day` is
    the centre's. A row a turn rather than a counter a branch: turns at the same branch must not wait for one
    another."""

    __tablename__ = "passage"
    __table_args__ = (Index("ix_passage_day", "day"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversation.id"))
    day: Mapped[date]
    steps: Mapped[list[str]] = mapped_column(Json)
