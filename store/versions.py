"""Scripts, policies and plans by version: a pin survives an edited file, a restart and another host (DESIGN §4)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base, BigId, Json, UTCDateTime, append_only, held, words


class VersionKind(StrEnum):
    """What a version is of."""

    BOOK = "book"
    POLICIES = "policies"
    PLAN = "plan"


class Version(Base):
    """A frozen body under the hash of its content. Append-only."""

    __tablename__ = "version"
    __table_args__ = (held(VersionKind, "kind"), UniqueConstraint("kind", "hash"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[VersionKind] = mapped_column(words(VersionKind))
    hash: Mapped[str] = mapped_column(String(64))
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)


append_only(Version.__table__, for_ever=True)
