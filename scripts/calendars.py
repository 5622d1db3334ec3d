"""The holidays library's calendars as the core's value (REQ-C05, REQ-B12)."""

from __future__ import annotations

from datetime import timedelta

import holidays

from bot.core.policy import Holidays
from bot.core.windows import Calendar

# Regions whose days off and make-up working days are decreed anew each year, and a year without its decree is a guess.
DECREED = frozenset({"CN"})


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
    published = None
    if chosen.region in DECREED:
        published = frozenset(years) & frozenset(public.special_public_holidays)
    return Calendar(holidays=frozenset(days_off - workdays), workdays=workdays, published_years=published)
