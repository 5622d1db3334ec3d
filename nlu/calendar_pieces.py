"""What both languages' dates are made of: one piece of a moment, and the calendar's arithmetic."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from nlu.numerals import value_of

SOON = timedelta(minutes=30)
LATER = timedelta(hours=2)


@dataclass(slots=True)
class Piece:
    """What a text says of one moment, from `start` to `end`: one thing, or several that were joined."""

    start: int
    end: int
    exact: datetime | None = None
    day: date | None = None
    hour: int | None = None
    minute: int = 0
    part: int | None = None
    pm: bool | None = None


_KINDS = (
    "away", "ahead", "soon", "later", "iso", "dom_of", "of_dom", "month", "monthend", "day", "week", "bareweek",
    "domonly", "half", "part", "clock", "hour",
)  # fmt: skip


def kind_of(match: re.Match[str]) -> str:
    """Which alternative of a language's pattern matched."""
    return next(name for name in _KINDS if name in match.re.groupindex and match[name])


def away(now: datetime, amount: str, unit: str, half: bool, back: bool) -> datetime | None:
    """`now` and so many units further, or back."""
    words = amount.split()
    if amount.startswith("半") or words[0] == "half":
        number = Decimal("0.5")
    elif amount == "几" or amount.endswith("few"):
        number = Decimal(3)
    elif amount.endswith("couple of"):
        number = Decimal(2)
    else:
        number = value_of("1" if amount in {"a", "an"} else amount) or Decimal(0)
    if half:
        number += Decimal("0.5")
    count = float(-number if back else number)
    if abs(count) > 10_000:
        return None
    if unit.startswith("月") or unit.startswith("month"):
        return datetime.combine(months_on(now.date(), round(count)), now.timetz())
    if unit.startswith("年") or unit.startswith("year"):
        return datetime.combine(months_on(now.date(), round(12 * count)), now.timetz()) if abs(count) < 100 else None
    hours = {
        "分": 1 / 60,
        "mi": 1 / 60,
        "刻": 0.25,
        "小": 1,
        "钟": 1,
        "h": 1,
        "天": 24,
        "d": 24,
        "周": 168,
        "星": 168,
        "礼": 168,
        "w": 168,
    }
    return now + timedelta(hours=count * next(h for start, h in hours.items() if unit.startswith(start)))


def date_of(year: int, month: int, dom: int) -> date | None:
    if not (1 <= month <= 12 and 1900 <= year <= 2200 and 1 <= dom <= monthrange(year, month)[1]):
        return None
    return date(year, month, dom)


def month_day(month: int, dom: int, today: date, past: bool) -> date | None:
    """The nearest such date; the last one when the text speaks of the past."""
    days = [day for year in (today.year - 1, today.year, today.year + 1) if (day := date_of(year, month, dom))]
    if past:
        days = [day for day in days if day <= today] or days
    return min(days, key=lambda day: abs(day - today), default=None)


def day_of_month(dom: int, today: date, past: bool) -> date | None:
    first = today.replace(day=1)
    near = [months_on(first, n) for n in ((0, -1, -2) if past else (0, 1, 2))]
    days = [day for month in near if (day := date_of(month.year, month.month, dom))]
    return next((day for day in days if (day <= today if past else day >= today)), None)


def weekday_of(today: date, weekday: int, weeks: int | None, past: bool) -> date:
    """That day of this week and so many on; without `weeks` the next one, or the last one for the past."""
    if weeks is not None:
        return today - timedelta(days=today.weekday()) + timedelta(days=weekday, weeks=weeks)
    return (
        today - timedelta(days=(today.weekday() - weekday) % 7)
        if past
        else today + timedelta(days=(weekday - today.weekday()) % 7)
    )


def months_on(day: date, months: int | None) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + (months or 0), 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
