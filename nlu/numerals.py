"""Numbers as people write them in words: 三百五十, 一万二, 五零一, twenty-five."""

from __future__ import annotations

import re
from decimal import Decimal

ZERO_TO_NINE = "零一二三四五六七八九"
_DIGITS = {ch: i for i, ch in enumerate(ZERO_TO_NINE)} | {"〇": 0, "○": 0, "两": 2, "俩": 2, "幺": 1}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_WORDS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS = {
    word: 10 * n
    for n, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}

ZH = "零〇○一二两俩三四五六七八九十百千万幺"
"""The characters of a number in Chinese."""

EN = rf"(?:(?:{'|'.join(_TENS)})(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?\b|(?:{'|'.join(_WORDS)})\b)"
"""A number up to 99 in English words, as a pattern."""

_ARABIC = re.compile(r"[0-9][0-9,]*(?:\.[0-9]+)?")


def value_of(text: str) -> Decimal | None:
    """The number `text` is, in digits or in the words of either language; None where it is none.

    >>> [str(value_of(word)) for word in ("1,200.50", "三百五", "十二", "一万二", "五零一", "twenty-five", "1.5万")]
    ['1200.50', '350', '12', '12000', '501', '25', '15000']
    """
    word = text.strip().lower()
    if _ARABIC.fullmatch(word):
        return Decimal(word.replace(",", ""))
    if word[-1:] in {"万", "千"} and _ARABIC.fullmatch(word[:-1]):
        return (Decimal(word[:-1].replace(",", "")) * (10_000 if word[-1] == "万" else 1000)).normalize() + 0
    if word and all(ch in ZH for ch in word):
        return _chinese(word)
    tens, _, ones = word.replace("-", " ").partition(" ")
    if tens in _TENS:
        return Decimal(_TENS[tens] + _WORDS.get(ones, 0))
    return Decimal(_WORDS[word]) if word in _WORDS else None


def plain(number: Decimal) -> str:
    """Without exponent and trailing zeros.

    >>> plain(Decimal("350.50")), plain(Decimal("1E+2"))
    ('350.5', '100')
    """
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _chinese(word: str) -> Decimal | None:
    """Positional (三百零五) or digit by digit (五零一); a last digit after a unit counts tenths of it (三百五)."""
    if all(ch in _DIGITS for ch in word):
        return Decimal("".join(str(_DIGITS[ch]) for ch in word))
    total = section = 0
    digit: int | None = None
    last, zero = 1, False
    for ch in word:
        if ch in _DIGITS:
            if digit:
                return None
            digit, zero = _DIGITS[ch], zero or _DIGITS[ch] == 0
        elif ch == "万":
            total, section, digit, last, zero = (total + section + (digit or 0)) * 10_000, 0, None, 10_000, False
        else:
            last = _UNITS[ch]
            section += (1 if digit is None else digit) * last
            digit, zero = None, False
    if digit and last > 10 and not zero:
        digit *= last // 10
    return Decimal(total + section + (digit or 0))
