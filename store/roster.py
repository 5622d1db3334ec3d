"""The roster, its swaps, and what the floor's occupancy proposed (REQ-F03, F04, F09, F28)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.occupancy import Step
from bot.core.roster import ShiftKind, SwapState
from store.base import Base, BigId, UTCDateTime, held, words


class Shift(Base):
    """Somebody is down for something from `starts_at` to `ends_at`. One taken off the roster stays, cancelled."""

    __tablename__ = "shift"
    __table_args__ = (
        held(ShiftKind, "kind"),
        CheckConstraint("starts_at < ends_at", name="forward"),
        Index("ix_shift_ends_at", "ends_at"),
        Index("ix_shift_staff_id", "staff_id", "starts_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    kind: Mapped[ShiftKind] = mapped_column(words(ShiftKind))
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)
    note: Mapped[str] = mapped_column(String(120), default="")
    cancelled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Swap(Base):
    """A colleague is asked to take over a shift; they accept, a supervisor approves, and the shift is theirs."""

    __tablename__ = "swap"
    __table_args__ = (
        held(SwapState, "state"),
        Index(
            "uq_swap_open",
            "shift_id",
            unique=True,
            sqlite_where=text("state IN ('asked', 'accepted')"),
            postgresql_where=text("state IN ('asked', 'accepted')"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    shift_id: Mapped[int] = mapped_column(ForeignKey("shift.id"))
    asked_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    asked_of: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    state: Mapped[SwapState] = mapped_column(words(SwapState), default=SwapState.ASKED)
    why: Mapped[str] = mapped_column(String(200), default="")
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class FloorWatch(Base):
    """How the floor's occupancy stands: one row. `gap_told_until` is up to where gaps of the roster were told."""

    __tablename__ = "floor_watch"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    busy_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    free_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    proposed: Mapped[Step | None] = mapped_column(words(Step))
    gap_told_until: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ProposalState(StrEnum):
    """What became of a proposal; one whose cause went away is withdrawn."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Proposal(Base):
    """A plan or a surge's next level, proposed by the program; a person decides (REQ-A22, B16, B17)."""

    __tablename__ = "proposal"
    __table_args__ = (
        held(Step, "step"),
        held(ProposalState, "state"),
        Index("ix_proposal_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    step: Mapped[Step] = mapped_column(words(Step))
    state: Mapped[ProposalState] = mapped_column(words(ProposalState), default=ProposalState.OPEN)
    since: Mapped[datetime] = mapped_column(UTCDateTime)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incident.id"))
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    why: Mapped[str] = mapped_column(String(200), default="")


class Surge(Base):
    """A surge of calls at a level, from its start to its end; each level is a row of its own (REQ-F28)."""

    __tablename__ = "surge"
    __table_args__ = (
        CheckConstraint("level BETWEEN 1 AND 3", name="level"),
        Index(
            "uq_surge_open",
            "level",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    level: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    started_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    calm_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    proposed: Mapped[int] = mapped_column(default=0)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    why: Mapped[str] = mapped_column(String(200), default="")
