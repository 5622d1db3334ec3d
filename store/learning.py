"""Messages the bot did not understand, and the intents people gave them (DESIGN §7)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.words import Language
from store.base import Base, BigId, UTCDateTime, held, words


class Misunderstood(Base):
    """One such message. `guess` was the nearest intent; `intent` is what a person says it is, "" that it is no example.

    While `intent` is None it waits for somebody to look at it.
    """

    __tablename__ = "misunderstood"
    __table_args__ = (
        held(Language, "language"),
        Index(
            "ix_misunderstood_waiting",
            "id",
            sqlite_where=text("intent IS NULL"),
            postgresql_where=text("intent IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    message_id: Mapped[int] = mapped_column(BigId, unique=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversation.id"))
    text: Mapped[str] = mapped_column(Text)
    language: Mapped[Language] = mapped_column(words(Language))
    guess: Mapped[str] = mapped_column(String(60), default="")
    intent: Mapped[str | None] = mapped_column(String(60))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
