"""Dates and times in Chinese and English, resolved against a given present.

A text is read as pieces (a day, a part of the day, a time of the clock, a distance from now) and pieces that stand
together make one moment: "明天下午三点", "3pm on Friday", "in half an hour". Two libraries were measured first, on 21
everyday phrases: dateparser read 10 of them and "明天下午三点" was not among them; Recognizers-Text read 12, at
1–11 ms a text and 45 MB, and starts only beside a library release of 2022. So the pieces are ours.

What people leave out is filled in for a service centre's day: a bare hour is the next one between 7 and 21 o'clock, a
part of the day is its usual beginning, a day alone is its midnight, a date without a year is the nearest one (the last
one where the text speaks of the past), "later" is two hours away and "in a moment" half an hour.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from nlu.numerals import EN, ZH, value_of

SOON = timedelta(minutes=30)
LATER = timedelta(hours=2)
FIRST_HOUR, LAST_HOUR = 7, 21

_PARTS = {
    "凌晨": 2, "半夜": 23, "夜里": 22, "深夜": 23, "清早": 7, "一早": 8, "早上": 8, "早晨": 8, "早": 8, "上午": 9,
    "中午": 12, "正午": 12, "午后": 13, "下午": 14, "傍晚": 17, "晚上": 19, "晚间": 19, "晚": 19,
    "morning": 9, "noon": 12, "midday": 12, "afternoon": 14, "evening": 18, "tonight": 19, "night": 20, "midnight": 0,
}  # fmt: skip
_ZH_WEEK = {ch: n for n, ch in enumerate("一二三四五六日")} | {"天": 6, "末": 5} | {str(n + 1): n for n in range(7)}
_EN_WEEK = {
    word[:3]: n for n, word in enumerate(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
}
_MONTHS = {
    word: n
    for n, word in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
_ZH_DAYS = {
    "大前天": -3, "前天": -2, "昨天": -1, "昨日": -1, "昨儿": -1, "昨": -1, "今天": 0, "今日": 0, "今儿": 0, "当天": 0,
    "今": 0, "明天": 1, "明日": 1, "明儿": 1, "明": 1, "大后天": 3, "后天": 2, "后日": 2,
}  # fmt: skip
_EN_DAYS = {
    "day before yesterday": -2, "yesterday": -1, "today": 0, "day after tomorrow": 2, "tomorrow": 1,
    "tmrw": 1, "tmr": 1,
}  # fmt: skip

_N = rf"(?:\d+(?:\.\d+)?|[{ZH}]+)"
_ZH_PIECE = re.compile(
    rf"""
    (?P<away>(?:再?过|等)?(?P<away_n>半|\d+(?:\.\d+)?|[{ZH}]+|几)(?:个)?(?P<away_half>半)?
        (?P<away_unit>分钟|小时|钟头|刻钟|天|周|星期|礼拜|月|年)(?P<away_more>半)?(?P<away_way>之?以?[后内]|之?以?前))
    |(?P<ahead>再?过(?P<ahead_n>半|{_N}|几)(?:个)?(?P<ahead_half>半)?(?P<ahead_unit>分钟|小时|钟头|天|周|星期|礼拜|月)(?P<ahead_more>半)?)
    |(?P<soon>[过等待呆][一]?会儿?|一会儿|稍[后候等])
    |(?P<later>晚[点些]儿?(?!到|来|了|的)|迟点|回头(?=再|联系|打))
    |(?P<iso>\d{{4}}[-/.年]\d{{1,2}}[-/.月]\d{{1,2}}[日号]?)
    |(?P<month>下下?个?月|上上?个?月|这个?月|本月|\d{{1,2}}月份?|(?:十[一二]?|[一二三四五六七八九])月份?)
        (?P<dom>底|初|\d{{1,2}}[日号]?|[一二三]?十[一二三四五六七八九]?[日号]?|[一二三四五六七八九][日号])?
    |(?P<monthend>月底|月末)
    |(?P<day>大前天|大后天|前天|昨[天日儿]|今[天日儿]|明[天日儿]|后[天日]|当天|[昨今明](?=[早晚]|上午|下午|中午))
    |(?P<week>(?P<which>下下|下|上上|上|这|本)?个?(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天末1-6])(?!\s*[岁年个]))
    |(?P<bareweek>(?:下下|下|上|这|本)个?(?:周|星期|礼拜))
    |(?P<domonly>(?<![\d.])(?:[12]\d|3[01]|[1-9]|[一二三]?十[一二三四五六七八九]?)[号日](?![楼线栋门院座桌位机码]|\s*\d))
    |(?P<part>凌晨|半夜|夜里|深夜|清早|一早|早上|早晨|上午|中午|正午|午后|下午|傍晚|晚上|晚间|(?<=[今明昨])[早晚])
    |(?P<hour>(?<![\d.第])(?:[01]?\d|2[0-4])|[一二两三四五六七八九]|十[一二]?)点(?!\d{{3}}|[赞子数儿评击心个都也名点]|东西|意见|问题|建议|要求|疑问)
        钟?(?P<minute>半|一刻|三刻|整|[0-5]?\d分?|[一二三四五]?十[一二三四五六七八九]?分?|零?[一二三四五六七八九]分)?(?:[之以]?[后前]|左右|多)?
    |(?P<clock>(?<![\d:.])(?:[01]?\d|2[0-3]):[0-5]\d(?![\d:]))
    """,
    re.VERBOSE,
)
_EN_PIECE = re.compile(
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
_ZH_GLUE = re.compile(r"[\s的,，]*(?:大概|大约|差不多)?")
_EN_GLUE = re.compile(r"[\s,]*(?:\b(?:at|on|in|the|around|about|by|of|after|before)\b\s*)*")
_PAST = re.compile(
    r"买的|购|拍的|下的?单|了的|手术|出院|开始|当时|那天|\b(?:bought|since|was|were|ago|ordered|purchased|did|had)\b"
)
_CUE = re.compile(
    r"\d|[点号日天周月年会晚后前早稍迟]|礼拜|星期|回头|小时|钟头|分钟|中午|正午|午后|下午|上午|半夜|夜里|傍晚"
    r"|\b(?:in|at|on|to|past|after|before|later|soon|shortly|today|tonight|tomorrow|tmr|tmrw|yesterday|morning|afternoon|evening|night"
    r"|noon|midday|midnight|ago|now|week|weekend|month|o'?clock|(?:mon|tue|tues|wednes|thurs|fri|satur|sun)day|am|pm)\b",
)
_HAN = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True, slots=True)
class Moment:
    """When `text`[start:end] is, zone-aware."""

    when: datetime
    start: int
    end: int


@dataclass(slots=True)
class _Reading:
    """The pieces that make one moment."""

    start: int
    end: int
    exact: datetime | None = None
    day: date | None = None
    hour: int | None = None
    minute: int = 0
    part: int | None = None
    pm: bool | None = None


def moments(text: str, now: datetime) -> list[Moment]:
    """Every moment `text` (lower case) speaks of, in `now`'s zone. Impossible dates such as 2月30号 are left out."""
    if not _CUE.search(text):
        return []
    found = []
    for reading in _readings(text, now):
        when = _resolve(reading, now)
        if when is not None:
            found.append(Moment(when, reading.start, reading.end))
    return found


def _readings(text: str, now: datetime) -> Iterator[_Reading]:
    """Pieces joined where only glue stands between them and neither says what the other has said."""
    chinese = bool(_HAN.search(text))
    piece, glue = (_ZH_PIECE, _ZH_GLUE) if chinese else (_EN_PIECE, _EN_GLUE)
    past = bool(_PAST.search(text))
    open_: _Reading | None = None
    for match in piece.finditer(text):
        new = (_zh_piece if chinese else _en_piece)(match, now, past)
        if new is None:
            continue
        joint = open_ and glue.fullmatch(text, open_.end, new.start)
        if open_ and joint and _fits(open_, new):
            open_ = _join(open_, new)
            continue
        if open_ and not _is_a_little(open_, text):
            yield open_
        open_ = new
    if open_ and not _is_a_little(open_, text):
        yield open_


def _is_a_little(reading: _Reading, text: str) -> bool:
    """一点 by itself is "a bit", not one o'clock."""
    return text[reading.start : reading.end] == "一点"


def _fits(a: _Reading, b: _Reading) -> bool:
    return not (
        a.exact or b.exact or (a.day and b.day) or (a.hour is not None and b.hour is not None)
        or (a.part is not None and b.part is not None)
    )  # fmt: skip


def _join(a: _Reading, b: _Reading) -> _Reading:
    clock = a if a.hour is not None else b
    return _Reading(
        a.start,
        b.end,
        None,
        a.day or b.day,
        clock.hour,
        clock.minute,
        a.part if a.part is not None else b.part,
        clock.pm,
    )


def _resolve(it: _Reading, now: datetime) -> datetime | None:
    if it.exact:
        return it.exact
    hour, day = it.hour, it.day
    if hour is not None:
        hour = _hour(it, now)
        if hour is None:
            return None
        if day is None:
            day = now.date()
            if it.part is None and _at(day, hour, it.minute, now) < now:
                day += timedelta(days=1)
                hour = _hour(_Reading(it.start, it.end, day=day, hour=it.hour, pm=it.pm), now)
    elif it.part is not None:
        hour = it.part
    if day is None:
        day = now.date()
    return _at(day, hour or 0, it.minute, now)


def _hour(it: _Reading, now: datetime) -> int | None:
    """The hour of the day a spoken hour means."""
    hour = it.hour
    if hour is None or hour > 24:
        return None
    hour %= 24
    if it.pm is not None:
        return hour % 12 + (12 if it.pm else 0) if hour <= 12 else hour
    if hour > 12 or hour == 0:
        return hour
    if it.part is not None:
        if it.part == 2 and hour == 12:
            return 0
        return hour % 12 + 12 if it.part >= 12 and not (it.part == 12 and hour in (10, 11)) else hour
    choices = [h for h in (hour, hour % 12 + 12) if FIRST_HOUR <= h <= LAST_HOUR] or [hour]
    if it.day is None:
        ahead = [h for h in choices if _at(now.date(), h, it.minute, now) >= now]
        return (ahead or choices)[0]
    return choices[0]


def _at(day: date, hour: int, minute: int, now: datetime) -> datetime:
    return datetime.combine(day, time(hour % 24, minute), now.tzinfo)


def _zh_piece(m: re.Match[str], now: datetime, past: bool) -> _Reading | None:
    it = _Reading(m.start(), m.end())
    kind = next(name for name in _KINDS if name in m.re.groupindex and m[name])
    today = now.date()
    match kind:
        case "away" | "ahead":
            back = kind == "away" and m["away_way"].endswith("前")
            half = bool(m[f"{kind}_half"] or m[f"{kind}_more"])
            it.exact = _away(now, m[f"{kind}_n"], m[f"{kind}_unit"], half, back)
            return it if it.exact else None
        case "soon":
            it.exact = now + SOON
        case "later":
            it.exact = now + LATER
        case "iso":
            year, month, dom = (int(n) for n in re.findall(r"\d+", m["iso"]))
            it.day = _date(year, month, dom)
        case "month":
            it.day = _zh_month(m["month"], m["dom"], today, past)
        case "monthend":
            it.day = today.replace(day=monthrange(today.year, today.month)[1])
        case "day":
            it.day = today + timedelta(days=_ZH_DAYS[m["day"]])
        case "week" | "bareweek":
            word = m["which"] if kind == "week" else m["bareweek"]
            weeks = _weeks(word or "")
            it.day = _weekday(today, _ZH_WEEK[m["weekday"]] if kind == "week" else 0, weeks, past)
        case "domonly":
            it.day = _day_of_month(int(value_of(m["domonly"][:-1]) or 0), today, past)
        case "part":
            it.part = _PARTS[m["part"]]
            return it
        case "clock":
            it.hour, it.minute = (int(n) for n in m["clock"].split(":"))
            return it
        case _:
            it.hour = int(value_of(m["hour"]) or 0)
            it.minute = _minute(m["minute"])
            return it
    return it if it.day or it.exact else None


def _en_piece(m: re.Match[str], now: datetime, past: bool) -> _Reading | None:
    it = _Reading(m.start(), m.end())
    kind = next(name for name in _KINDS if name in m.re.groupindex and m[name])
    today = now.date()
    match kind:
        case "away":
            way = m["away_way"] or ("in" if m["away"].startswith("in") else "")
            if not way:
                return None  # "two days" alone is a length, not a moment
            it.exact = _away(now, m["away_n"], m["away_unit"], False, way in {"ago", "before"})
        case "soon":
            it.exact = now + SOON
        case "later":
            it.exact = now + LATER
        case "iso":
            year, month, dom = (int(n) for n in re.findall(r"\d+", m["iso"]))
            it.day = _date(year, month, dom)
        case "dom_of" | "of_dom":
            n = "1" if kind == "dom_of" else "2"
            month, dom = _MONTHS[m[f"mon{n}"]], int(m[f"dom{n}"])
            year_ = m[f"year{n}"]
            it.day = _date(int(year_), month, dom) if year_ else _month_day(month, dom, today, past)
        case "domonly":
            it.day = _day_of_month(int(re.sub(r"\D", "", m["domonly"])), today, past)
        case "day":
            it.day = today + timedelta(days=_EN_DAYS[re.sub(r"\s+", " ", m["day"]).removeprefix("the ")])
        case "week":
            weekday = 5 if m["weekday"] == "weekend" else _EN_WEEK[m["weekday"][:3]]
            which = m["which"] or ""
            if which == "last":
                it.day = _weekday(today, weekday, None, past=True)
            else:
                it.day = _weekday(today, weekday, 1 if which == "next" else 0 if which == "this" else None, past)
        case "bareweek" | "month" if m[kind]:
            step = {"next": 1, "this": 0, "last": -1}[m[kind].split()[0]]
            it.day = _weekday(today, 0, step, past) if kind == "bareweek" else _months_on(today.replace(day=1), step)
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


_KINDS = (
    "away", "ahead", "soon", "later", "iso", "dom_of", "of_dom", "month", "monthend", "day", "week", "bareweek",
    "domonly", "half", "part", "clock", "hour",
)  # fmt: skip


def _meridiem(text: str | None) -> bool | None:
    return None if not text else text.startswith("p")


def _minute(text: str | None) -> int:
    if not text or text == "整":
        return 0
    fixed = {"半": 30, "一刻": 15, "三刻": 45}
    return fixed[text] if text in fixed else int(value_of(text.rstrip("分").lstrip("零")) or 0)


def _away(now: datetime, amount: str, unit: str, half: bool, back: bool) -> datetime | None:
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
        return datetime.combine(_months_on(now.date(), round(count)), now.timetz())
    if unit.startswith("年") or unit.startswith("year"):
        return datetime.combine(_months_on(now.date(), round(12 * count)), now.timetz()) if abs(count) < 100 else None
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


def _date(year: int, month: int, dom: int) -> date | None:
    if not (1 <= month <= 12 and 1900 <= year <= 2200 and 1 <= dom <= monthrange(year, month)[1]):
        return None
    return date(year, month, dom)


def _month_day(month: int, dom: int, today: date, past: bool) -> date | None:
    """The nearest such date; the last one when the text speaks of the past."""
    days = [day for year in (today.year - 1, today.year, today.year + 1) if (day := _date(year, month, dom))]
    if past:
        days = [day for day in days if day <= today] or days
    return min(days, key=lambda day: abs(day - today), default=None)


def _day_of_month(dom: int, today: date, past: bool) -> date | None:
    first = today.replace(day=1)
    near = [_months_on(first, n) for n in ((0, -1, -2) if past else (0, 1, 2))]
    days = [day for month in near if (day := _date(month.year, month.month, dom))]
    return next((day for day in days if (day <= today if past else day >= today)), None)


def _zh_month(word: str, dom: str | None, today: date, past: bool) -> date | None:
    named = re.match(rf"\d+|[{ZH}]+", word)
    if named:
        month = int(value_of(named[0]) or 0)
        if dom is None and not word.endswith("份"):
            dom = "1"
        first = _month_day(month, 1, today, past) if 1 <= month <= 12 else None
        if dom and dom not in {"底", "初"}:
            return _month_day(month, int(value_of(dom.rstrip("日号")) or 0), today, past) if first else None
    else:
        first = _months_on(today.replace(day=1), _weeks(word))
    if first is None:
        return None
    if dom == "底":
        return first.replace(day=monthrange(first.year, first.month)[1])
    return first if dom in {None, "初"} else _date(first.year, first.month, int(value_of(dom.rstrip("日号")) or 0))


def _weeks(word: str) -> int | None:
    """How many weeks (or months) on 下 and 上 mean; None where nothing is said."""
    steps = word.count("下") - word.count("上")
    return steps if steps or word[:1] in {"这", "本"} else None


def _weekday(today: date, weekday: int, weeks: int | None, past: bool) -> date:
    """That day of this week and so many on; without `weeks` the next one, or the last one for the past."""
    if weeks is not None:
        return today - timedelta(days=today.weekday()) + timedelta(days=weekday, weeks=weeks)
    return (
        today - timedelta(days=(today.weekday() - weekday) % 7)
        if past
        else today + timedelta(days=(weekday - today.weekday()) % 7)
    )


def _months_on(day: date, months: int | None) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + (months or 0), 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
