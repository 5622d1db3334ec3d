"""Days and moments as addresses and forms carry them."""

from __future__ import annotations

from datetime import date, datetime

from fastapi import Request

from bot.console.door import centre_of

YEARS = range(2000, 2901)  # that somebody may mean; a week more or less stays within what a date can be


def day_of(text: str) -> date | None:
    """A day as an address names it (2026-07-01); None where nobody can mean it."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year in YEARS else None


def moment_of(text: str, request: Request) -> datetime | None:
    """A moment as a form gives it, in the centre's zone where it names none; None where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=centre_of(request).settings.zone)
