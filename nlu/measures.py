"""A person's height and weight as people write them: "一米六八", "168", "5'7", "一百二十斤", "65kg".

Height comes in centimetres, weight in kilograms; what no grown or growing person measures is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from nlu.numerals import ZERO_TO_NINE, ZH, value_of

Measure = tuple[str, Decimal, int, int]
"""Kind, value, start and end of the words."""

CUE = re.compile(
    rf"[斤米高重厘公磅]|\d\s*(?:cm|m\b|kg|kilo|lb|pound|f(?:oo|ee)?t|')|\btall\b|\bweigh|[{ZH}]米", re.IGNORECASE
)
_HEIGHT = re.compile(
    rf"(?P<m>[12一二])\s*[米mM]\s*(?P<cm>\d{{1,2}}|[{ZERO_TO_NINE}]{{1,2}})?(?![\da-zA-Z长宽深])(?!(?<=米)[{ZERO_TO_NINE}])"
    r"|(?P<metres>[12]\.\d{1,2})\s*(?:米|m\b|metres?\b|meters?\b)?(?![\d长宽深])"
    r"|(?P<feet>[4-6])\s*(?:'|’|ft\.?|foot|feet)\s*(?P<inches>1[01]|\d)?(?:\s*(?:\"|”|in(?:ches|\.)?))?(?!\d)"
    r"|(?P<whole>1\d\d|2[01]\d|[89]\d)\s*(?:cm\b|厘米|公分|centimet)"
    r"|(?:身?高|height|tall)\D{0,8}?(?P<told>1\d\d|2[01]\d)(?!\d)"
    r"|(?<!\d)(?P<bare>1[3-9]\d|20\d)(?=\s*(?:[,，、/ ]|和|and)\s*(?:体重)?\s*\d{2,3}\s*(?:斤|公斤|kg|千克|lb))"
    r"|(?<!\d)(?P<before>1[3-9]\d|20\d)\s*(?:tall\b|高|的?个子?)",
    re.IGNORECASE,
)
_WEIGHT = re.compile(
    rf"(?P<kg>\d{{2,3}}(?:\.\d)?|[{ZH}]{{2,5}})\s*(?:公斤|千克|kg\b|kgs\b|kilos?\b|kilograms?\b)"
    rf"|(?P<jin>\d{{2,3}}(?:\.\d)?|[{ZH}]{{2,5}})\s*斤"
    r"|(?P<lb>\d{2,3})\s*(?:lbs?\b|pounds\b|磅)",
    re.IGNORECASE,
)
_LB = Decimal("0.4536")


def measures(text: str) -> Iterator[Measure]:
    """Heights and weights in `text`, heights first.

    >>> [(kind, str(value)) for kind, value, _, _ in measures("我一米六八，一百二十斤")]
    [('height', '168'), ('weight', '60')]
    """
    if not CUE.search(text):
        return
    for m in _HEIGHT.finditer(text):
        if (height := _height(m)) is not None and 50 <= height <= 250:
            yield "height", height, m.start(), m.end()
    for m in _WEIGHT.finditer(_HEIGHT.sub(lambda m: " " * len(m[0]), text)):
        if (weight := _weight(m)) is not None and 5 <= weight <= 300:
            yield "weight", weight, m.start(), m.end()


def _height(m: re.Match[str]) -> Decimal | None:
    if m["m"]:
        rest = value_of(m["cm"]) if m["cm"] else Decimal(0)
        metres = value_of(m["m"])
        if rest is None or metres is None or rest >= 100:
            return None
        return metres * 100 + (rest * 10 if m["cm"] and len(m["cm"]) == 1 else rest)
    if m["metres"]:
        return Decimal(m["metres"]) * 100
    if m["feet"]:
        return Decimal(round(Decimal(m["feet"]) * Decimal("30.48") + Decimal(m["inches"] or 0) * Decimal("2.54")))
    return value_of(m["whole"] or m["told"] or m["bare"] or m["before"])


def _weight(m: re.Match[str]) -> Decimal | None:
    number = value_of(m["kg"] or m["jin"] or m["lb"])
    if number is None:
        return None
    if m["jin"]:
        return number / 2
    return round(number * _LB, 1) if m["lb"] else number
