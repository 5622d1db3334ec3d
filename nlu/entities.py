"""Values in a text: numbers of every kind, moments, places in a building, ratings, and plain yes, no, cancel, repeat.

Kinds and their normalised `value`:

    phone        E.164, "+8613800001234" (phonenumbers decides what is one; a number without a country is Chinese)
    case_no      "C20261121-0042"          order_no, tracking_no   as written, upper case
    datetime     ISO 8601 with offset; a day without a time is its midnight (see moments.py for what is filled in)
    money        plain decimal in the currency's unit: "三百五十块" is "350"
    height, weight   a person's, in centimetres and kilograms: "一米六八" is "168", "120斤" is "60" (measures.py)
    quantity     plain decimal before a measure word: "两件" is "2"
    number       any other number             rating   as the text states it, 1..5 or 0..10; 满意 … 不满意 are 4 … 2
    unit         building-unit-room: "3号楼2单元501" is "3-2-501"
    affirm, deny, cancel, repeat   the word itself, where it is all the text says or what it begins with

Spans do not overlap, but for a text that is a bare number 0..10: it is a number and a rating at once. Each kind is
looked for only where a cheap cue is present, so that a text without values costs a few microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import phonenumbers

from bot.core.words import Entity
from nlu.features import LONGEST
from nlu.measures import measures
from nlu.moments import moments
from nlu.numerals import EN, ZH, plain, value_of

HOME = "CN"
"""Where a phone number without a country code is."""

_WIDTH = {0xFF01 + i: 0x21 + i for i in range(94)} | {0x3000: " "}
_N = rf"(?:\d[\d,]*(?:\.\d+)?[万千]?|[{ZH}]+|半)"
_NUMBER_CUE = re.compile(rf"\d|[{ZH}半]|\b{EN}", re.IGNORECASE)

_CASE = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]\d{8}-\d{3,6}(?!\d)")
_PHONE_CUE = re.compile(r"\d(?:[\s().-]{0,2}\d){6}")
_TRACKING = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:SF|YT|JD|JDV|JT|ZTO|STO|YD|EMS|DB|HT|ZT)\w?\d{9,15}|1Z[A-Z0-9]{16}"
    r"|[A-Z]{2}\d{9}[A-Z]{2})(?![A-Za-z0-9])"
    r"|(?:运单号?|快递单?号?|物流单?号?|tracking(?:\s+(?:number|no\.?|code))?)\s*(?:是|为|is|:|："
    r"|#)?\s*(?P<cued>[A-Za-z0-9]{8,22})",
    re.IGNORECASE,
)
_ORDER = re.compile(
    r"(?:订单编?号?|单号|编号|order(?:\s+(?:number|no\.?|id))?)\s*(?:是|为|is|was|:|：|#"
    r"|尾号)*\s*(?P<cued>#?[A-Za-z]{0,4}-?\d[A-Za-z0-9-]{3,24})"
    r"|(?<![A-Za-z0-9.-])(?P<bare>(?:[A-Za-z]{1,4}-?)?\d{10,24}|#\d{4,20})(?![A-Za-z0-9-])",
    re.IGNORECASE,
)
_MONEY = re.compile(
    rf"(?P<sign>[¥￥$€£]|\bRMB|\bCNY|\bUSD)\s?(?P<a>\d[\d,]*(?:\.\d+)?)"
    rf"|(?P<b>{_N})\s?(?:元|块钱?|圆|RMB|CNY|人民币|yuan\b|dollars?\b|bucks\b|euros?\b|pounds?\b"
    rf"|kuai\b)(?P<tenths>[一二三四五六七八九\d](?!\d))?(?:毛|角)?"
    rf"|(?P<c>[\d一二三四五六七八九]|十)[毛角]钱?",
    re.IGNORECASE,
)
_RATING = re.compile(
    rf"(?P<out>\d{{1,2}}|{EN})\s*(?:/|out\s+of)\s*(?:10|5|ten|five)\b"
    rf"|(?:打|给|评|打个|给个)?\s*(?P<fen>10|\d|十|[{ZH}])\s*(?:分(?![钟之店])|颗?星(?!期))"
    rf"|(?P<stars>[1-5]|one|two|three|four|five)[\s-]*stars?\b"
    rf"|(?:score|rate|rating|give)\D{{0,24}}?(?P<score>10|\d|{EN})\b",
    re.IGNORECASE,
)
_STARS = re.compile(r"[⭐★🌟]{1,5}")
_CONTENT = re.compile(
    r"(?P<n1>(?:非常|很|极其?|太|十分|特别)不满意|very\s+(?:dis|un)satisfied|terrible)"
    r"|(?P<n2>不(?:太|是很|怎么)?满意|(?:dis|un)satisfied|not\s+(?:very\s+|really\s+)?satisfied)"
    r"|(?P<n5>(?:非常|很|极其?|特别|十分|相当)满意|very\s+satisfied|excellent|perfect)"
    r"|(?P<n3>一般般?|还行吧?|马马虎虎|so[- ]so|neutral)"
    r"|(?P<n4>(?:比较|还算|挺)?满意|\bsatisfied)",
    re.IGNORECASE,
)
_MEASURE = "件个台条双套箱盒瓶张只份本部包袋把块辆组根盏桶支枚"
_QUANTITY = re.compile(
    rf"(?P<zh>\d+|[{ZH}]+)\s?[{_MEASURE}](?![月小钟星礼分头人])"
    rf"|\b(?P<en>\d+|{EN})\s+(?:pieces?|items?|pairs?|boxes|box|units?|sets?|bottles?|packs?|bags?|copies)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    rf"(?<![A-Za-z\d.])\d[\d,]*(?:\.\d+)?万?(?![A-Za-z\d])|(?<![{ZH}])[{ZH}]{{2,}}(?![{ZH}])|^\s*(?:[{ZH}]"
    rf"|{EN})\s*$",
    re.IGNORECASE,
)
_B = rf"(?:[A-Za-z]|\d{{1,3}}|[{ZH}]{{1,3}})"
_UNIT = re.compile(
    rf"(?P<b>{_B})\s*(?:号楼|[栋幢座]|号(?=\s*{_B}\s*(?:单元|门)))\s*"
    rf"(?:(?P<u>{_B})\s*(?:单元|门))?\s*(?P<r>\d{{3,4}}|[A-Za-z]\d{{3,4}}|[{ZH}]{{3,6}})\s*(?:室|号房?|户)?"
    rf"|(?P<u2>{_B})\s*单元\s*(?P<r2>\d{{3,4}}|[{ZH}]{{3,6}})\s*(?:室|号房?|户)?"
    rf"|(?P<b5>{_B})\s*(?:号楼|[栋幢座])\s*(?P<u5>{_B})\s*(?:单元|门)"
    rf"|(?<![\d-])(?P<b3>\d{{1,2}})[-–—](?P<u3>\d{{1,2}})[-–—](?P<r3>\d{{3,4}})(?![\d-])"
    r"|\b(?:building|block|tower)\s+(?P<b4>[A-Za-z]|\d{1,3}|one|two|three|four|five|six|seven|eight|nine"
    r"|ten)\b[\s,]*"
    r"(?:(?:unit|entrance)\s+(?P<u4>[A-Za-z]|\d{1,3})\b[\s,]*)?(?:(?:room|flat|apartment|apt\.?|no\.?"
    r"|#)\s*)?(?P<r4>[A-Za-z]?\d{2,5})\b",
    re.IGNORECASE,
)
_UNIT_CUE = re.compile(r"[号栋幢座元室]|\d[-–—]\d|building|block|tower", re.IGNORECASE)

_TAIL = r"(?:[的了啊呀吧呢哦喔哈啦嘛哟滴]|please|thanks|thank you|谢谢|您|你)*"
_ANSWERS = (
    ("repeat", (
        r"(?:请|麻烦)?(?:你|您)?(?:再|重新?)(?:说|讲|来|念|重复)(?:一)?[遍次下](?:行吗|好吗|可以吗)?"
        r"|没听(?:清楚?|见|懂|明白)|没看[懂明]白?|重复一?[下遍]|(?:你|您)?(?:刚才?)?说(?:什么|啥)"
        r"|什么意思|啥意思|(?:say|come) (?:that |it )?again|(?:please )?repeat(?: that| it)?|pardon(?: me)?"
        r"|(?:i )?(?:didn'?t|did not|couldn'?t) (?:hear|catch|get)(?: that| you| it)?"
        r"|what did you say|what was that"
    )),
    ("cancel", (
        r"(?:那)?算了(?:吧)?(?:不(?:弄|办|要|用|搞|问|约|说)了?)?|(?:我)?(?:想|要)?取消(?:吧|掉)?|不(?:弄|办|搞"
        r"|问)了|退出|到此为止"
        r"|(?:please )?cancel(?: (?:that|it|this))?|never ?mind|forget (?:it|about it)|stop(?: (?:it|this))?"
        r"|quit|abort|drop it"
    )),
    ("deny", (
        r"不+|不(?:是|对|要|用|行|可以|好|需要|想|同意|方便|愿意|确定|必|会)(?:的|了)?|没(?:有|了)?|没有的事|别"
        r"|否|错|不是这个|并不是|不太(?:方便|行|好)"
        r"|no+|nope|nah|not? (?:really|now|yet|at all|correct|right|ok|okay|necessary|needed|thanks)"
        r"|no thank(?:s| you)|don'?t|i don'?t(?: think so)?|incorrect|wrong|negative|n"
    )),
    ("affirm", (
        r"[嗯恩哦噢]+|是+|是[的啊]|对+|对的?没错|没错|好+|好[的吧]|行+|可以|可以的|同意|方便|有空|没问题|没事"
        r"|愿意|需要|要|要的|确[定认]|当然|必须的?|有|中|成|妥|得嘞|收到|明白|知道|就这样|就这个|就是"
        r"|y|yes+|yeah|yep|yup|ya|ok(?:ay)?|k|sure|correct|right|of course|certainly|absolutely|definitely|fine"
        r"|alright|all right|go ahead|please do|sounds good|that'?s (?:right|correct|fine)|i do|i am|it is"
        r"|exactly|got it|no problem|confirmed?"
    )),
)  # fmt: skip
_ANSWER = re.compile(
    r"\s*(?:那|就|呃|额|well|um+|uh+|oh)?\s*(?:"
    + "|".join(rf"(?P<{kind}>{words})" for kind, words in _ANSWERS)
    + rf")\s*{_TAIL}\s*(?:$|[,.!?;~\s，。！？；、…～]+)",
    re.IGNORECASE,
)
LONGEST_ANSWER = 60
"""A text longer than this does not begin with a plain yes or no that matters."""

Found = Iterator[Entity]


def extract(text: str, now: datetime | None = None, zone: ZoneInfo | None = None) -> tuple[Entity, ...]:
    """The values in `text`, by position. `now` must be zone-aware; without it the present is used. Never raises."""
    shown = text[:LONGEST]
    flat = shown.translate(_WIDTH)
    if len(flat) != len(shown):
        flat = shown
    present = _present(now, zone)
    taken: list[Entity] = []
    if _NUMBER_CUE.search(flat):
        for kind in (_cases, _phones, _trackings, _orders, _units, _measures, _moneys):
            taken += _free(kind(flat), taken)
    taken += _free(_moments(flat, present), taken)
    if _NUMBER_CUE.search(flat):
        for kind in (_ratings, _quantities, _numbers):
            taken += _free(kind(flat), taken)
        taken += _bare_rating(flat, taken)
    taken += _free(_verdicts(flat), taken)
    taken += _answers(flat)
    return tuple(
        sorted((_as_written(entity, shown) for entity in taken), key=lambda entity: (entity.start, entity.kind))
    )


def _present(now: datetime | None, zone: ZoneInfo | None) -> datetime:
    present = now or datetime.now(UTC)
    if present.tzinfo is None:
        present = present.replace(tzinfo=zone or UTC)
    return present.astimezone(zone) if zone else present


def _free(found: Found, taken: list[Entity]) -> list[Entity]:
    return [new for new in found if all(new.end <= old.start or new.start >= old.end for old in taken)]


def _as_written(entity: Entity, shown: str) -> Entity:
    return Entity(entity.kind, entity.value, shown[entity.start : entity.end], entity.start, entity.end)


def _cases(text: str) -> Found:
    for m in _CASE.finditer(text):
        yield Entity("case_no", m[0].upper(), m[0], m.start(), m.end())


def _phones(text: str) -> Found:
    if _PHONE_CUE.search(text):
        for m in phonenumbers.PhoneNumberMatcher(text, HOME, max_tries=100):
            value = phonenumbers.format_number(m.number, phonenumbers.PhoneNumberFormat.E164)
            yield Entity("phone", value, m.raw_string, m.start, m.end)


def _trackings(text: str) -> Found:
    for m in _TRACKING.finditer(text):
        group: int | str = "cued" if m["cued"] else 0
        if any(ch.isdigit() for ch in m[group]):
            yield Entity("tracking_no", m[group].upper(), m[group], m.start(group), m.end(group))


def _orders(text: str) -> Found:
    for m in _ORDER.finditer(text):
        group = "cued" if m["cued"] else "bare"
        yield Entity("order_no", m[group].upper().lstrip("#"), m[group], m.start(group), m.end(group))


def _units(text: str) -> Found:
    if not _UNIT_CUE.search(text):
        return
    for m in _UNIT.finditer(text):
        parts = [
            m[name] for name in ("b", "u", "r", "u2", "r2", "b5", "u5", "b3", "u3", "r3", "b4", "u4", "r4") if m[name]
        ]
        values = [part.upper() if (number := value_of(part)) is None else plain(number) for part in parts]
        yield Entity("unit", "-".join(values), m[0], m.start(), m.end())


def _measures(text: str) -> Found:
    for kind, value, start, end in measures(text):
        yield Entity(kind, plain(value), text[start:end], start, end)


def _moneys(text: str) -> Found:
    for m in _MONEY.finditer(text):
        word = m["a"] or m["b"] or m["c"]
        number = value_of(word) if word != "半" else None
        if number is None:
            continue
        if m["c"]:
            number /= 10
        elif m["tenths"]:
            number += (value_of(m["tenths"]) or Decimal(0)) / 10
        yield Entity("money", plain(number), m[0], m.start(), m.end())


def _moments(text: str, now: datetime) -> Found:
    try:
        found = moments(
            text.lower() if text.isascii() else "".join(ch.lower() if ch.isascii() else ch for ch in text), now
        )
    except OverflowError:  # a distance no calendar holds
        return
    for moment in found:
        yield Entity("datetime", moment.when.isoformat(timespec="seconds"), "", moment.start, moment.end)


def _ratings(text: str) -> Found:
    for m in _RATING.finditer(text):
        word = m["out"] or m["fen"] or m["stars"] or m["score"]
        number = value_of(word)
        if number is not None and 0 <= number <= 10:
            yield Entity("rating", plain(number), m[0], m.start(), m.end())


def _verdicts(text: str) -> Found:
    for m in _STARS.finditer(text):
        yield Entity("rating", str(len(m[0])), m[0], m.start(), m.end())
    for m in _CONTENT.finditer(text):
        yield Entity("rating", str(m.lastgroup)[1:], m[0], m.start(), m.end())


def _quantities(text: str) -> Found:
    for m in _QUANTITY.finditer(text):
        number = value_of(m["zh"] or m["en"])
        if number is not None:
            yield Entity("quantity", plain(number), m[0], m.start(), m.end())


def _numbers(text: str) -> Found:
    for m in _NUMBER.finditer(text):
        number = value_of(m[0])
        if number is not None:
            word = m[0].strip()
            start = m.start() + m[0].index(word)
            yield Entity("number", plain(number), word, start, start + len(word))


def _bare_rating(text: str, taken: list[Entity]) -> list[Entity]:
    bare = [e for e in taken if e.kind == "number" and e.text == text.strip(" .。!！") and len(e.value) <= 2]
    return [Entity("rating", e.value, e.text, e.start, e.end) for e in bare if 0 <= int(e.value) <= 10]


def _answers(text: str) -> list[Entity]:
    m = _ANSWER.match(text) if len(text) <= LONGEST_ANSWER else None
    if not m or not m.lastgroup:
        return []
    word = m[m.lastgroup]
    return [Entity(m.lastgroup, word.lower(), word, m.start(m.lastgroup), m.end(m.lastgroup))]
