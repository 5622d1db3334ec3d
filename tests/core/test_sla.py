"""Deadlines over business hours: lunch, nights, weekends, holidays, make-up days, pauses, and the change of clocks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.policy import Window, daily
from bot.core.sla import (
    BusinessTime,
    Clock,
    ClockState,
    Pause,
    Standard,
    business_after,
    business_between,
    business_time,
    first_reply,
    read,
)
from bot.core.windows import Calendar
from bot.core.words import Urgency
from scripts.calendars import calendar_of
from scripts.policies import SHIPPED, load_policies

POLICIES = load_policies([SHIPPED])
HOURS = business_time(POLICIES, calendar_of(POLICIES.holidays, 2026))  # 09:00–12:00 and 13:30–18:00, Monday to Friday
SLA = POLICIES.sla


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(HOURS.zone))


def hours(n: float) -> timedelta:
    return timedelta(hours=n)


ARITHMETIC = [
    ("inside a morning", "2026-07-01 09:30", 2, "2026-07-01 11:30"),
    ("to the very end of the morning", "2026-07-01 09:30", 2.5, "2026-07-01 12:00"),
    ("over lunch", "2026-07-01 11:00", 2, "2026-07-01 14:30"),
    ("from lunch", "2026-07-01 12:30", 1, "2026-07-01 14:30"),
    ("over night", "2026-07-01 17:00", 2, "2026-07-02 10:00"),
    ("before opening", "2026-07-01 06:00", 1, "2026-07-01 10:00"),
    ("over a weekend", "2026-07-03 17:00", 2, "2026-07-06 10:00"),
    ("over National Day", "2026-09-30 17:00", 2, "2026-10-08 10:00"),
    ("a make-up Saturday counts", "2026-10-09 17:00", 2, "2026-10-10 10:00"),
    ("two business days and a bit", "2026-07-01 09:00", 16, "2026-07-03 10:00"),
]


@pytest.mark.parametrize(("start", "spent", "end"), [row[1:] for row in ARITHMETIC], ids=[row[0] for row in ARITHMETIC])
def test_business_time(start: str, spent: float, end: str) -> None:
    assert business_after(at(start), hours(spent), HOURS) == at(end)
    assert business_between(at(start), at(end), HOURS) == hours(spent)


def test_outside_business_hours_nothing_passes() -> None:
    assert business_between(at("2026-10-01 00:00"), at("2026-10-07 23:00"), HOURS) == timedelta(0)
    assert business_between(at("2026-07-02 10:00"), at("2026-07-01 10:00"), HOURS) == timedelta(0)


def test_hours_that_never_come_are_told() -> None:
    never = BusinessTime(
        SLA.hours, Calendar(frozenset(at("2026-07-01 00:00").date() + timedelta(n) for n in range(500))), HOURS.zone
    )
    assert business_after(at("2026-07-01 09:00"), hours(1), never) is None


def test_a_key_account_is_served_at_every_hour() -> None:
    around_the_clock = business_time(POLICIES, HOURS.calendar, frozenset({"key_account"}))
    assert business_after(at("2026-10-01 02:00"), hours(4), around_the_clock) == at("2026-10-01 06:00")


@pytest.mark.parametrize(("day", "length"), [("2026-03-08", 7), ("2026-11-01", 9), ("2026-07-01", 8)])
def test_the_change_of_clocks(day: str, length: int) -> None:
    nights = BusinessTime(daily(Window(time(0), time(8))), Calendar(), "America/New_York")
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("America/New_York"))
    assert business_between(midnight, midnight + timedelta(hours=12), nights) == hours(length)


CLOCK = Clock(at("2026-07-01 09:00"), hours(2))


@pytest.mark.parametrize(
    ("now", "state"),
    [
        ("2026-07-01 09:00", ClockState.RUNNING),
        ("2026-07-01 10:35", ClockState.RUNNING),
        ("2026-07-01 10:36", ClockState.WARNING),  # 80 % of two hours
        ("2026-07-01 10:59", ClockState.WARNING),
        ("2026-07-01 11:00", ClockState.BREACHED),
    ],
)
def test_a_clock_warns_before_it_breaches(now: str, state: ClockState) -> None:
    reading = read(CLOCK, HOURS, SLA.warn_at, at(now))
    assert reading.state is state
    assert (reading.warns_at, reading.due_at) == (at("2026-07-01 10:36"), at("2026-07-01 11:00"))


def test_a_pause_moves_the_deadline_and_hides_it_while_it_lasts() -> None:
    pending = Clock(CLOCK.started_at, CLOCK.target, (Pause(at("2026-07-01 09:30"), None),))
    reading = read(pending, HOURS, SLA.warn_at, at("2026-07-01 16:00"))
    assert (reading.state, reading.elapsed, reading.due_at) == (ClockState.PAUSED, hours(0.5), None)
    going_on = Clock(CLOCK.started_at, CLOCK.target, (Pause(at("2026-07-01 09:30"), at("2026-07-01 16:00")),))
    reading = read(going_on, HOURS, SLA.warn_at, at("2026-07-01 16:30"))
    assert (reading.state, reading.elapsed) == (ClockState.RUNNING, hours(1))
    assert reading.due_at == at("2026-07-01 17:30")


def test_a_breach_is_not_undone_by_a_pause() -> None:
    late = Clock(CLOCK.started_at, CLOCK.target, (Pause(at("2026-07-01 11:30"), None),))
    assert read(late, HOURS, SLA.warn_at, at("2026-07-01 15:00")).state is ClockState.BREACHED


@pytest.mark.parametrize(
    ("stopped", "state"),
    [("2026-07-01 11:00", ClockState.MET), ("2026-07-01 11:01", ClockState.BREACHED)],
)
def test_a_stopped_clock_stands_still(stopped: str, state: ClockState) -> None:
    clock = Clock(CLOCK.started_at, CLOCK.target, stopped_at=at(stopped))
    for now in ("2026-07-01 11:05", "2026-07-20 11:05"):
        reading = read(clock, HOURS, SLA.warn_at, at(now))
        assert reading.state is state
        assert reading.elapsed == at(stopped) - CLOCK.started_at


def test_the_shipped_deadlines_stand_in_business_time() -> None:
    ordinary = Clock(at("2026-07-01 17:00"), SLA.cases[Urgency.ORDINARY].first_response)
    assert read(ordinary, HOURS, SLA.warn_at, ordinary.started_at).due_at == at("2026-07-02 10:00")


@pytest.mark.parametrize(
    ("seconds", "standard"),
    [(0, "on_target"), (10, "on_target"), (10.1, "within_limit"), (15, "within_limit"), (15.1, "breached")],
)
def test_the_first_reply_has_a_target_and_a_limit(seconds: float, standard: str) -> None:
    assert first_reply(timedelta(seconds=seconds), SLA) is Standard(standard)


minutes = st.integers(0, 60 * 24 * 40)
START = datetime(2026, 9, 20, tzinfo=UTC)


@given(minutes, minutes)
def test_there_and_back(begun: int, spent: int) -> None:
    start, duration = START + timedelta(minutes=begun), timedelta(minutes=spent / 10)
    end = business_after(start, duration, HOURS)
    assert end is not None
    assert business_between(start, end, HOURS) == duration


@given(minutes, minutes, minutes)
def test_time_adds_up(a: int, b: int, c: int) -> None:
    first, middle, last = (START + timedelta(minutes=n) for n in sorted((a, b, c)))
    parts = business_between(first, middle, HOURS) + business_between(middle, last, HOURS)
    assert parts == business_between(first, last, HOURS)


@given(st.lists(minutes, unique=True, max_size=8), minutes)
def test_elapsed_never_counts_a_pause_and_the_deadline_agrees(marks: Sequence[int], seen: int) -> None:
    times = [START + timedelta(minutes=n) for n in sorted(marks)]
    pauses = tuple(Pause(a, b) for a, b in zip(times[::2], times[1::2], strict=False))
    clock, now = Clock(START, hours(8), pauses), START + timedelta(minutes=seen)
    reading = read(clock, HOURS, SLA.warn_at, now)
    paused = sum((business_between(p.start, min(p.end or now, now), HOURS) for p in pauses), timedelta(0))
    assert reading.elapsed == business_between(START, now, HOURS) - paused
    assert reading.due_at is not None
    assert (reading.state is ClockState.BREACHED) == (reading.elapsed >= clock.target) == (reading.due_at <= now)
