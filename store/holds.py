"""Legal holds, and the one way past the guard of append-only rows (REQ-G08, G11)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from bot.core.retention import HoldSubject
from store.base import UNLOCKED, Base, BigId, UTCDateTime, held, words


class LegalHold(Base):
    """Stops the disposal and the erasure of a thing and of what hangs together with it (bot/services/records/holds.py),
    until somebody lifts it and says why. A thing may be held for several reasons at once."""

    __tablename__ = "legal_hold"
    __table_args__ = (
        held(HoldSubject, "subject"),
        CheckConstraint("reason <> ''", name="reason"),
        CheckConstraint("lifted_at IS NULL OR (lifted_by IS NOT NULL AND lifted_why <> '')", name="lifted"),
        Index("ix_legal_hold_subject", "subject", "subject_id"),
        Index(
            "ix_legal_hold_open",
            "id",
            sqlite_where=text("lifted_at IS NULL"),
            postgresql_where=text("lifted_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subject: Mapped[HoldSubject] = mapped_column(words(HoldSubject))
    subject_id: Mapped[int] = mapped_column(BigId)
    reason: Mapped[str] = mapped_column(Text)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    lifted_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    lifted_why: Mapped[str] = mapped_column(Text, default="", server_default="")
    lifted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Unlocked(Base):
    """While a transaction has a row here, it may change and delete rows that are otherwise append-only, but for the
    audit and what is pinned. The row is gone before the commit, so that nobody else ever sees one."""

    __tablename__ = UNLOCKED

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    why: Mapped[str] = mapped_column(String(60))


@contextmanager
def unlocked(session: Session, why: str) -> Iterator[None]:
    """What is done inside may destroy or blacken append-only rows: a disposal that two people approved, the erasure of
    a person. `why` is a short code."""
    permit = Unlocked(why=why)
    session.add(permit)
    session.flush()
    yield
    session.flush()
    session.delete(permit)
    session.flush()
