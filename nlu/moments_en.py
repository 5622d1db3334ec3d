"""Dates and times as English says them, piece by piece; moments.py joins the pieces."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta

from nlu.calendar_pieces import (
    LATER,
    SOON,
    Piece,
    away,
    date_of,
    day_of_month,
    kind_of,
    month_day,
    months_on,
    weekday_of,
)
from nlu.numerals import EN, value_of

_PARTS = {
    "morning": 9, "noon": 12, "midday": 12, "afternoon": 14, "evening": 18, "tonight": 19, "night": 20, "midnight": 0,
}  # fmt: skip
_WEEK = {
    word[:3]: n for n, word in enumerate(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
}
_MONTHS = {
    word: n
    for n, word in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
_DAYS = {
    "day before yesterday": -2, "yesterday": -1, "today": 0, "day after tomorrow": 2, "tomorrow": 1,
    "tmrw": 1, "tmr": 1,
}  # fmt: skip

PIECE = re.compile(
    rf"""
    \b(?:
    (?P<away>(?:in\s+)?(?P<away_n>half\s+an?|an?\s+couple\s+of|a\s+few|an?|\d+(?:\.\d+)?|{EN})\s*(?:more\s+)?
        (?P<away_unit>min(?:ute)?s?|hours?|hrs?|days?|weeks?|months?|years?)(?:\s+(?P<away_way>ago|later|from\s+now|before))?)
    |(?P<soon>in\s+a\s+(?:bit|moment|while|minute|sec(?:ond)?)|shortly|soon)
    |(?P<later>later(?:\s+(?:on|today))?)
    |(?P<iso>\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}})
    |(?P<dom_of>(?:the\s+)?(?P<dom1>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<mon1>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?
        (?:,?\s+(?P<year1>20\d\d))?)
    |(?P<of_dom>(?P<mon2>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?P<dom2>\d{{1,2}})(?:st|nd|rd|th)?\b
        (?:,?\s+(?P<year2>20\d\d))?)
    |(?P<domonly>the\s+\d{{1,2}}(?:st|nd|rd|th))
    |(?P<day>(?:the\s+)?day\s+(?:after\s+tomorrow|before\s+yesterday)|today|tomorrow|yesterday|tmrw|tmr)
    |(?P<week>(?:(?P<which>next|this|last|coming)\s+)?(?P<weekday>(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|satur|sun)day|weekend))
    |(?P<bareweek>(?:next|this|last)\s+week)
    |(?P<month>(?:next|this|last)\s+month)
    |(?P<monthend>(?:the\s+)?end\s+of\s+(?:the|this)\s+month)
    |(?P<half>(?P<half_word>half|(?:a\s+)?quarter)\s+(?P<half_way>past|to|after)\s+(?P<half_hour>\d{{1,2}}|{EN})(?:\s*(?P<half_m>[ap]\.?m\b\.?))?)
    |(?P<clock>(?:[01]?\d|2[0-3])[:.][0-5]\d(?!\d)(?:\s*(?P<clock_m>[ap]\.?m\b\.?))?)
    |(?P<hour>(?:(?P<at>at|after|before|around|about|by|until|till|from)\s+)?(?P<hour_n>1[0-2]|0?[1-9]|{EN})
        (?:\s*(?P<hour_m>[ap]\.?m\b\.?)|\s*(?P<oclock>o'?\s?clock))?)
    |(?P<part>(?:in\s+the\s+|this\s+|at\s+)?(?:morning|afternoon|evening|noon|midday|midnight|tonight|night))
    )(?!\w)
    """,
    re.VERBOSE,
)
GLUE = re.compile(r"[\s,]*(?:\b(?:at|on|in|the|around|about|by|of|after|before)\b\s*)*")


def read(m: re.Match[str], now: datetime, past: bool) -> Piece | None:
    it = Piece(m.start(), m.end())
    kind = kind_of(m)
    today = now.date()
    match kind:
        case "away":
            way = m["away_way"] or ("in" if m["away"].startswith("in") else "")
            if not way:
                return None  # "two days" alone is a length, not a moment
            it.exact = away(now, m["away_n"], m["away_unit"], False, way in {"ago", "before"})
        case "soon":
            it.exact = now + SOON
        case "later":
            it.exact = now + LATER
        case "iso":
            year, month, dom = (int(n) for n in re.findall(r"\d+", m["iso"]))
            it.day = date_of(year, month, dom)
        case "dom_of" | "of_dom":
            n = "1" if kind == "dom_of" else "2"
            month, dom = _MONTHS[m[f"mon{n}"]], int(m[f"dom{n}"])
            year_ = m[f"year{n}"]
            it.day = date_of(int(year_), month, dom) if year_ else month_day(month, dom, today, past)
        case "domonly":
            it.day = day_of_month(int(re.sub(r"\D", "", m["domonly"])), today, past)
        case "day":
            it.day = today + timedelta(days=_DAYS[re.sub(r"\s+", " ", m["day"]).removeprefix("the ")])
        case "week":
            weekday = 5 if m["weekday"] == "weekend" else _WEEK[m["weekday"][:3]]
            which = m["which"] or ""
            if which == "last":
                it.day = weekday_of(today, weekday, None, past=True)
            else:
                it.day = weekday_of(today, weekday, 1 if which == "next" else 0 if which == "this" else None, past)
        case "bareweek" | "month" if m[kind]:
            step = {"next": 1, "this": 0, "last": -1}[m[kind].split()[0]]
            it.day = weekday_of(today, 0, step, past) if kind == "bareweek" else months_on(today.replace(day=1), step)
        case "monthend":
            it.day = today.replace(day=monthrange(today.year, today.month)[1])
        case "half":
            hour = int(value_of(m["half_hour"]) or 0)
            minutes = 30 if m["half_word"] == "half" else 15
            it.hour, it.minute = (hour, minutes) if m["half_way"] != "to" else ((hour - 1) or 12, 60 - minutes)
            it.pm = _meridiem(m["half_m"])
            return it
        case "clock":
            it.hour, it.minute = (int(n) for n in re.findall(r"\d+", m["clock"]))
            it.pm = _meridiem(m["clock_m"])
            return it
        case "hour":
            if not (m["at"] or m["hour_m"] or m["oclock"]):
                return None
            it.hour, it.pm = int(value_of(m["hour_n"]) or 0), _meridiem(m["hour_m"])
            return it if 0 < it.hour <= 12 else None
        case _:
            it.part = _PARTS[m["part"].split()[-1]]
            return it
    return it if it.day or it.exact else None


def _meridiem(text: str | None) -> bool | None:
    return None if not text else text.startswith("p")
