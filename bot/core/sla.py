"""Deadlines over business hours, paused while pending on the customer, with a warning before the breach.

A clock is a value: when it started, its pauses, when it stopped. It runs only inside business hours, which keep to the
calendar: holidays do not count, make-up working days do. Seconds in a conversation (REQ-B01, REQ-B02, REQ-B05) run on
plain time: a customer who writes is waiting whatever the hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from bot.core.policy import ALWAYS, Policies, Sla, Windows
from bot.core.windows import HORIZON, Calendar, local_date, spans


@dataclass(frozen=True, slots=True)
class BusinessTime:
    """The hours that count, on their calendar, in the centre's IANA zone."""

    hours: Windows
    calendar: Calendar
    zone: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Pending on the customer from `start` to `end`; None: still."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Clock:
    """A deadline: `target` business time from `started_at`, less the pauses, which are in order and do not overlap."""

    started_at: datetime
    target: timedelta
    pauses: tuple[Pause, ...] = ()
    stopped_at: datetime | None = None


class ClockState(StrEnum):
    RUNNING = "running"
    WARNING = "warning"
    BREACHED = "breached"
    PAUSED = "paused"
    MET = "met"


@dataclass(frozen=True, slots=True)
class Reading:
    """A clock at a moment. `due_at` and `warns_at` (UTC) are None while nobody can know them: paused, or stopped."""

    state: ClockState
    elapsed: timedelta
    remaining: timedelta
    due_at: datetime | None
    warns_at: datetime | None


class Standard(StrEnum):
    """How a first reply kept to its two thresholds (X1)."""

    ON_TARGET = "on_target"
    WITHIN_LIMIT = "within_limit"
    BREACHED = "breached"


def business_time(policies: Policies, calendar: Calendar, segments: frozenset[str] = frozenset()) -> BusinessTime:
    """The hours that count for a customer of these segments: for a key account, every hour (REQ-B09)."""
    if segments & policies.sla.always_open:
        return BusinessTime(ALWAYS, Calendar(), policies.zone)
    return BusinessTime(policies.sla.hours, calendar, policies.zone)


def business_between(start: datetime, end: datetime, time: BusinessTime) -> timedelta:
    """The business time from `start` to `end`; none if `end` is earlier."""
    inside = (min(b, end) - max(a, start) for a, b in _open(start, end, time))
    return sum((each for each in inside if each > timedelta(0)), timedelta(0))


def business_after(start: datetime, duration: timedelta, time: BusinessTime) -> datetime | None:
    """The instant (UTC) at which `duration` of business time has passed; None: not within a year."""
    left = duration
    if left <= timedelta(0):
        return start.astimezone(UTC)
    for a, b in _open(start, start + HORIZON, time):
        a = max(a, start)
        if b - a >= left:
            return (a + left).astimezone(UTC)
        left -= max(b - a, timedelta(0))
    return None


def read(clock: Clock, time: BusinessTime, warn_at: float, now: datetime) -> Reading:
    """How the clock stands at `now`. `warn_at` is the share of the target after which it warns."""
    end = min(clock.stopped_at, now) if clock.stopped_at else now
    elapsed = sum(
        (business_between(a, min(b, end) if b else end, time) for a, b in _running(clock)),
        timedelta(0),
    )
    due_at, warns_at = _reached(clock, clock.target, time), _reached(clock, clock.target * warn_at, time)
    if clock.stopped_at and clock.stopped_at <= now:
        state = ClockState.MET if elapsed <= clock.target else ClockState.BREACHED
    elif due_at and due_at <= now:
        state = ClockState.BREACHED
    elif any(pause.start <= now and (pause.end is None or now < pause.end) for pause in clock.pauses):
        state = ClockState.PAUSED
    elif warns_at and warns_at <= now:
        state = ClockState.WARNING
    else:
        state = ClockState.RUNNING
    return Reading(state, elapsed, max(clock.target - elapsed, timedelta(0)), due_at, warns_at)


def first_reply(waited: timedelta, sla: Sla) -> Standard:
    """How a first reply after so long keeps to target and limit (REQ-B01, REQ-B02)."""
    if waited <= sla.first_reply_target:
        return Standard.ON_TARGET
    return Standard.WITHIN_LIMIT if waited <= sla.first_reply_limit else Standard.BREACHED


def _running(clock: Clock) -> Iterator[tuple[datetime, datetime | None]]:
    """The spans in which the clock runs; the last one open where nothing ends it."""
    start = clock.started_at
    for pause in clock.pauses:
        if clock.stopped_at and pause.start >= clock.stopped_at:
            break
        if pause.start > start:
            yield start, pause.start
        if pause.end is None:
            return
        start = max(start, pause.end)
    if clock.stopped_at is None or start < clock.stopped_at:
        yield start, clock.stopped_at


def _reached(clock: Clock, amount: timedelta, time: BusinessTime) -> datetime | None:
    """When the clock has run so long; None if it stops or pauses before."""
    for start, end in _running(clock):
        at = business_after(start, amount, time)
        if end is None or (at is not None and at <= end):
            return at
        amount -= business_between(start, end, time)
    return None


def _open(start: datetime, end: datetime, time: BusinessTime) -> Iterator[tuple[datetime, datetime]]:
    """The business spans that may touch start … end, in order."""
    day, last = local_date(start, time.zone) - timedelta(days=1), local_date(end, time.zone)
    while day <= last:
        yield from spans(day, (time.hours,), time.calendar, time.zone)
        day += timedelta(days=1)
