"""The holidays library's calendars as the core's value (REQ-C05, REQ-B12)."""

from __future__ import annotations

from datetime import date, timedelta

import holidays

from bot.core.policy import Bilingual, Holidays
from bot.core.windows import Calendar

# Regions whose days off and make-up working days are decreed anew each year, and a year without its decree is a guess.
DECREED = frozenset({"CN"})
INSTEAD = ("休息日", "Day off", "补假", "补休")  # how the library calls a day that makes up for another
RUN = 9  # no break is longer


def knows(region: str) -> bool:
    """Whether this is a region code the library has; "" is none."""
    try:
        return not region or bool(holidays.country_holidays(region).country)  # loads this country alone
    except NotImplementedError:
        return False


def calendar_of(chosen: Holidays, year: int) -> Calendar:
    """The calendar of the years around `year` (one before, two after), with the operator's own days.

    A weekend that touches a public holiday belongs to it, as the decrees count it, unless it is a make-up day.
    """
    if not chosen.region:
        return Calendar(holidays=chosen.days_off, workdays=chosen.workdays)
    years = range(year - 1, year + 3)
    public = holidays.country_holidays(chosen.region, years=years)
    workdays = chosen.workdays | {day for day in public.weekend_workdays if day.year in years}
    days_off = set(public) | chosen.days_off
    for day in sorted(days_off):
        for step in (timedelta(days=1), timedelta(days=-1)):
            beside = day + step
            while beside.weekday() >= 5 and beside not in workdays:
                days_off.add(beside)
                beside += step
    names = _names(chosen.region, years, days_off - workdays)
    published = None
    if chosen.region in DECREED:
        published = frozenset(years) & frozenset(public.special_public_holidays)
    return Calendar(holidays=frozenset(days_off - workdays), workdays=workdays, published_years=published, names=names)


def _names(region: str, years: range, days_off: set[date]) -> dict[date, Bilingual]:
    """What the days off are called; those a break is joined from are called as the festival beside them."""
    known = {language: _named(region, years, language) for language in ("zh_CN", "en_US")}
    names: dict[date, Bilingual] = {}
    for day in sorted(days_off):
        zh, en = (_beside(day, days_off, known[language]) for language in ("zh_CN", "en_US"))
        names[day] = Bilingual(zh, en)
    return names


def _named(region: str, years: range, language: str) -> dict[date, str]:
    """Names in a language, or in the region's own where the library has none in this one; days that only make up for
    another have none."""
    spoken = holidays.country_holidays(region).supported_languages or ()
    found = holidays.country_holidays(region, years=years, language=language if language in spoken else None)
    return {day: name for day, name in found.items() if not name.startswith(INSTEAD)}


def _beside(day: date, days_off: set[date], named: dict[date, str]) -> str:
    """The name of a day, else of the nearest one of the same break."""
    for ahead in range(RUN):
        for beside in (day - timedelta(days=ahead), day + timedelta(days=ahead)):
            between = (min(day, beside) + timedelta(days=n) for n in range(abs((beside - day).days) + 1))
            if beside in named and all(each in days_off for each in between):
                return named[beside].split(";")[0]
    return ""
