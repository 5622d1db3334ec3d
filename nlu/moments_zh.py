"""Dates and times as Chinese says them, piece by piece; moments.py joins the pieces."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, datetime, timedelta

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
from nlu.numerals import ZH, value_of

_PARTS = {
    "凌晨": 2, "半夜": 23, "夜里": 22, "深夜": 23, "清早": 7, "一早": 8, "早上": 8, "早晨": 8, "早": 8, "上午": 9,
    "中午": 12, "正午": 12, "午后": 13, "下午": 14, "傍晚": 17, "晚上": 19, "晚间": 19, "晚": 19,
}  # fmt: skip
_WEEK = {ch: n for n, ch in enumerate("一二三四五六日")} | {"天": 6, "末": 5} | {str(n + 1): n for n in range(7)}
_DAYS = {
    "大前天": -3, "前天": -2, "昨天": -1, "昨日": -1, "昨儿": -1, "昨": -1, "今天": 0, "今日": 0, "今儿": 0, "当天": 0,
    "今": 0, "明天": 1, "明日": 1, "明儿": 1, "明": 1, "大后天": 3, "后天": 2, "后日": 2,
}  # fmt: skip
_N = rf"(?:\d+(?:\.\d+)?|[{ZH}]+)"
PIECE = re.compile(
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
GLUE = re.compile(r"[\s的,，]*(?:大概|大约|差不多)?")


def read(m: re.Match[str], now: datetime, past: bool) -> Piece | None:
    it = Piece(m.start(), m.end())
    kind = kind_of(m)
    today = now.date()
    match kind:
        case "away" | "ahead":
            back = kind == "away" and m["away_way"].endswith("前")
            half = bool(m[f"{kind}_half"] or m[f"{kind}_more"])
            it.exact = away(now, m[f"{kind}_n"], m[f"{kind}_unit"], half, back)
            return it if it.exact else None
        case "soon":
            it.exact = now + SOON
        case "later":
            it.exact = now + LATER
        case "iso":
            year, month, dom = (int(n) for n in re.findall(r"\d+", m["iso"]))
            it.day = date_of(year, month, dom)
        case "month":
            it.day = _month(m["month"], m["dom"], today, past)
        case "monthend":
            it.day = today.replace(day=monthrange(today.year, today.month)[1])
        case "day":
            it.day = today + timedelta(days=_DAYS[m["day"]])
        case "week" | "bareweek":
            word = m["which"] if kind == "week" else m["bareweek"]
            weeks = _weeks(word or "")
            it.day = weekday_of(today, _WEEK[m["weekday"]] if kind == "week" else 0, weeks, past)
        case "domonly":
            it.day = day_of_month(int(value_of(m["domonly"][:-1]) or 0), today, past)
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


def _minute(text: str | None) -> int:
    if not text or text == "整":
        return 0
    fixed = {"半": 30, "一刻": 15, "三刻": 45}
    return fixed[text] if text in fixed else int(value_of(text.rstrip("分").lstrip("零")) or 0)


def _month(word: str, dom: str | None, today: date, past: bool) -> date | None:
    named = re.match(rf"\d+|[{ZH}]+", word)
    if named:
        month = int(value_of(named[0]) or 0)
        if dom is None and not word.endswith("份"):
            dom = "1"
        first = month_day(month, 1, today, past) if 1 <= month <= 12 else None
        if dom and dom not in {"底", "初"}:
            return month_day(month, int(value_of(dom.rstrip("日号")) or 0), today, past) if first else None
    else:
        first = months_on(today.replace(day=1), _weeks(word))
    if first is None:
        return None
    if dom == "底":
        return first.replace(day=monthrange(first.year, first.month)[1])
    return first if dom in {None, "初"} else date_of(first.year, first.month, int(value_of(dom.rstrip("日号")) or 0))


def _weeks(word: str) -> int | None:
    """How many weeks (or months) on 下 and 上 mean; None where nothing is said."""
    steps = word.count("下") - word.count("上")
    return steps if steps or word[:1] in {"这", "本"} else None
