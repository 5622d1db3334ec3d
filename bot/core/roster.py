"""The roster: who has a shift when, where nobody does, and swaps (REQ-F03, F04, F60). Times are instants, in UTC."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ShiftKind(StrEnum):
    """What somebody is down for."""

    DUTY = "duty"  # on a seat
    ON_CALL = "on_call"  # reachable 24 h, wherever they are
    STAND_BY = "stand_by"  # may be called in when a surge grows (REQ-F04)
    LEAVE = "leave"  # on leave or resting


class SwapState(StrEnum):
    """A swap is asked of a colleague, who accepts, and approved by a supervisor."""

    ASKED = "asked"
    ACCEPTED = "accepted"
    APPROVED = "approved"
    DECLINED = "declined"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


SWAPS = {
    SwapState.ASKED: frozenset({SwapState.ACCEPTED, SwapState.DECLINED, SwapState.WITHDRAWN}),
    SwapState.ACCEPTED: frozenset({SwapState.APPROVED, SwapState.REFUSED, SwapState.WITHDRAWN}),
}
"""Where each state of a swap may go; the others are its end."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Somebody is down for `kind` from `start` up to, not including, `end`."""

    staff_id: int
    kind: ShiftKind
    start: datetime
    end: datetime

    def holds(self, at: datetime) -> bool:
        return self.start <= at < self.end


@dataclass(frozen=True, slots=True)
class Gap:
    """Nobody is down for `kind` in this span."""

    kind: ShiftKind
    start: datetime
    end: datetime


def at(shifts: Iterable[Shift], kind: ShiftKind, now: datetime) -> tuple[int, ...]:
    """Who is down for `kind` now and not on leave, each once, whoever began first first."""
    there = [shift for shift in shifts if shift.holds(now)]
    away = {shift.staff_id for shift in there if shift.kind is ShiftKind.LEAVE}
    found = sorted((shift for shift in there if shift.kind is kind), key=lambda shift: (shift.start, shift.staff_id))
    return tuple(dict.fromkeys(shift.staff_id for shift in found if shift.staff_id not in away))


def gaps(
    shifts: Iterable[Shift], kind: ShiftKind, wanted: Sequence[tuple[datetime, datetime]], *, people: frozenset[int]
) -> tuple[Gap, ...]:
    """The parts of the `wanted` spans (in order, apart) in which none of `people` is down for `kind`, or is but on
    leave."""
    covering = [shift for shift in shifts if shift.staff_id in people and shift.kind in (kind, ShiftKind.LEAVE)]
    found: list[Gap] = []
    for start, end in wanted:
        marks = sorted({start, end, *(m for shift in covering for m in (shift.start, shift.end) if start < m < end)})
        for a, b in itertools.pairwise(marks):
            if at(covering, kind, a):
                continue
            if found and found[-1].end == a:
                found[-1] = Gap(kind, found[-1].start, b)
            else:
                found.append(Gap(kind, a, b))
    return tuple(found)


def clashes(shift: Shift, others: Iterable[Shift]) -> bool:
    """Whether this person is already down for the same thing, or on leave, in part of that time; leave clashes with
    every shift."""
    return any(
        other.staff_id == shift.staff_id
        and other.start < shift.end
        and shift.start < other.end
        and (other.kind is shift.kind or ShiftKind.LEAVE in (other.kind, shift.kind))
        for other in others
    )
