"""A month of the callback calendar: what each day allows, and how many calls stand on it (REQ-C04, REQ-C05)."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.plan import Trigger
from bot.core.policy import Bilingual, Policies, Season
from bot.core.windows import Calendar, local_midnight, plan_windows, season_on, spans
from bot.services.calls.callbacks import RUNNING
from store.tables import BlockedDay, CallAttempt, Callback, Staff

DAY = 24 * 60  # minutes
UNNAMED = Bilingual("休息日", "Day off")


@dataclass(frozen=True, slots=True)
class Bar:
    """A window as it is drawn on a day of 24 hours: shares of the day in per cent, and the clock as words."""

    left: float
    width: float
    words: str


@dataclass(frozen=True, slots=True)
class Day:
    """One day: `planned` calls wait for it, `called` were placed on it. `holiday` is its name where it is one,
    `make_up` that it is worked though a weekend, `provisional` that its year's holidays are not decreed yet."""

    day: date
    inside: bool
    today: bool
    season: Season | None
    holiday: Bilingual | None
    make_up: bool
    provisional: bool
    blocked: BlockedDay | None
    blocked_by: str | None
    bars: tuple[Bar, ...]
    planned: int
    called: int


def month_of(
    session: Session, policies: Policies, known: Calendar, first: date, zone: str, today: date, plan_id: str
) -> tuple[tuple[Day, ...], ...]:
    """The weeks of the month `first` lies in, Monday first, with the days around it that fill them."""
    weeks = calendar.Calendar().monthdatescalendar(first.year, first.month)
    start, end = weeks[0][0], weeks[-1][-1]
    planned, called = _planned(session, start, end, zone), _called(session, start, end, zone)
    blocked = {
        row.day: (row, name)
        for row, name in session.execute(
            select(BlockedDay, Staff.name)
            .join(Staff, Staff.id == BlockedDay.staff_id)
            .where(BlockedDay.day >= start, BlockedDay.day <= end)
        )
    }
    windows = plan_windows(plan_id, policies)
    counted = known.without_holidays() if policies.plans[plan_id].trigger is Trigger.WISH else known

    def drawn(day: date) -> Day:
        found = spans(day, windows, counted, zone, seasons=policies.seasons)
        row, by = blocked.get(day, (None, None))
        return Day(
            day=day,
            inside=day.month == first.month,
            today=day == today,
            season=season_on(day, policies.seasons),
            holiday=known.names.get(day, UNNAMED) if day in known.holidays else None,
            make_up=day in known.workdays and day.isoweekday() > 5,
            provisional=known.provisional(day),
            blocked=row,
            blocked_by=by,
            bars=tuple(_bar(a.astimezone(ZoneInfo(zone)), b.astimezone(ZoneInfo(zone))) for a, b in found),
            planned=planned.get(day, 0),
            called=called.get(day, 0),
        )

    return tuple(tuple(drawn(day) for day in week) for week in weeks)


def _bar(start: datetime, end: datetime) -> Bar:
    began = start.hour * 60 + start.minute
    lasts = min(DAY - began, int((end - start).total_seconds() // 60))
    return Bar(began / DAY * 100, lasts / DAY * 100, f"{start:%H:%M}–{end:%H:%M}")


def _planned(session: Session, first: date, last: date, zone: str) -> dict[date, int]:
    """Calls that wait, by the centre's own day; counted in the database day by day, along the index."""
    found = {}
    for day in _days(first, last):
        start, end = (local_midnight(day + timedelta(days=n), zone) for n in (0, 1))
        within = (RUNNING, Callback.due_at >= start, Callback.due_at < end)
        found[day] = session.scalar(select(func.count()).select_from(Callback).where(*within)) or 0
    return found


def _called(session: Session, first: date, last: date, zone: str) -> dict[date, int]:
    found = {}
    for day in _days(first, last):
        start, end = (local_midnight(day + timedelta(days=n), zone) for n in (0, 1))
        within = (CallAttempt.started_at >= start, CallAttempt.started_at < end)
        found[day] = session.scalar(select(func.count()).select_from(CallAttempt).where(*within)) or 0
    return found


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
