"""Visits at home: the slots of a day, and the one a customer's wish means (REQ-D29, INT-32, INT-33).

A wish is a moment as the understanding gives it: midnight means the whole day, any other time the slot it lies in. A
wish that cannot be kept is answered with why, and with the free slots nearest to it; nobody is put into a span of time
they did not name. Instants are UTC; `zone` is the centre's, where engineers drive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from bot.core.policy import Visits
from bot.core.windows import Calendar, local_date, spans

OFFERED = 2


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A span somebody may be promised, `end` not included."""

    start: datetime
    end: datetime

    def overlaps(self, other: Slot) -> bool:
        return self.start < other.end and other.start < self.end


class Why(StrEnum):
    """Why a wish cannot be kept."""

    FULL = "full"
    CLOSED = "closed"
    TOO_SOON = "too_soon"
    PAST = "past"
    TOO_FAR = "too_far"


class Notice(StrEnum):
    """What a customer is yet to be told about a visit."""

    REMINDER = "reminder"
    CHANGED = "changed"  # by us
    CANCELLED = "cancelled"  # by us
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Offer:
    """Not then; `slots` are free, the nearest to the wish, in order. None where nothing is free at all."""

    why: Why
    slots: tuple[Slot, ...]


def day_slots(day: date, visits: Visits, calendar: Calendar, zone: str) -> list[Slot]:
    """A local day's slots; what is left of a window and shorter than a slot is not used."""
    calendar = calendar.without_holidays() if visits.on_holidays else calendar
    found = []
    for start, end in spans(day, (visits.hours,), calendar, zone):
        while start + visits.slot <= end:
            found.append(Slot(start.astimezone(UTC), (start + visits.slot).astimezone(UTC)))
            start += visits.slot
    return found


def find(
    wish: datetime | None, now: datetime, visits: Visits, calendar: Calendar, zone: str, taken: Sequence[Slot]
) -> Slot | Offer:
    """The slot a wish means (None: as soon as may be), else what is free near it; `taken` are the visits booked."""
    open_slots = free_slots(now, visits, calendar, zone, taken)
    if wish is None:
        return open_slots[0] if open_slots else Offer(Why.FULL, ())
    meant = _meant(wish, visits, calendar, zone)
    fitting = next((slot for slot in meant if slot in open_slots), None)
    if fitting is not None:
        return fitting
    centre = wish + timedelta(hours=12) if _whole_day(wish, zone) else wish
    nearest = sorted(open_slots, key=lambda slot: (abs(slot.start - centre), slot))[:OFFERED]
    return Offer(_why(wish, meant, now, visits, zone), tuple(sorted(nearest)))


def free_slots(now: datetime, visits: Visits, calendar: Calendar, zone: str, taken: Sequence[Slot]) -> list[Slot]:
    """Every slot that may be booked now and has a place left, in order."""
    earliest, latest = now + visits.notice, now + visits.ahead
    return [
        slot
        for slot in _slots(now, latest, visits, calendar, zone)
        if earliest <= slot.start <= latest and sum(slot.overlaps(other) for other in taken) < visits.capacity
    ]


def reminder_at(starts_at: datetime, visits: Visits, now: datetime) -> datetime | None:
    """When to remind of a visit agreed now; None for one so near that its agreement is the reminder."""
    at = starts_at - visits.remind_before
    return at if at > now else None


def _slots(now: datetime, latest: datetime, visits: Visits, calendar: Calendar, zone: str) -> Iterator[Slot]:
    day, last = local_date(now, zone), local_date(latest, zone)
    while day <= last:
        yield from day_slots(day, visits, calendar, zone)
        day += timedelta(days=1)


def _meant(wish: datetime, visits: Visits, calendar: Calendar, zone: str) -> list[Slot]:
    slots = day_slots(local_date(wish, zone), visits, calendar, zone)
    return slots if _whole_day(wish, zone) else [slot for slot in slots if slot.start <= wish < slot.end]


def _whole_day(wish: datetime, zone: str) -> bool:
    return wish.astimezone(ZoneInfo(zone)).time() == time(0)


def _why(wish: datetime, meant: Sequence[Slot], now: datetime, visits: Visits, zone: str) -> Why:
    earliest, latest = now + visits.notice, now + visits.ahead
    if local_date(wish, zone) < local_date(now, zone) or (not _whole_day(wish, zone) and wish < now):
        return Why.PAST
    if wish > latest or (meant and meant[0].start > latest):
        return Why.TOO_FAR
    if not meant:
        return Why.CLOSED
    return Why.TOO_SOON if all(slot.start < earliest for slot in meant) else Why.FULL
