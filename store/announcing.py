"""What announcements are written from and for: templates kept at the console, and audiences saved under a name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.words import BroadcastKind
from store.base import Base, BigId, Json, UTCDateTime, held, words


class AnnouncementTemplate(Base):
    """A text with {placeholders} for a kind of announcement, of one incident type or (`code` empty) of any. What a
    change replaced is kept as revisions; a retired one is offered no more (REQ-F31)."""

    __tablename__ = "announcement_template"
    __table_args__ = (
        held(BroadcastKind, "kind"),
        Index(
            "uq_announcement_template_name",
            "name",
            unique=True,
            sqlite_where=text("retired_at IS NULL"),
            postgresql_where=text("retired_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    code: Mapped[str] = mapped_column(String(8), default="")
    kind: Mapped[BroadcastKind] = mapped_column(words(BroadcastKind))
    text_zh: Mapped[str] = mapped_column(Text)
    text_en: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(default=1)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class SavedAudience(Base):
    """An audience (bot/services/announcements/audience.py) under a name, to be chosen again; who belongs is asked anew
    each time."""

    __tablename__ = "saved_audience"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(60), unique=True)
    audience: Mapped[dict[str, Any]] = mapped_column(Json)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
