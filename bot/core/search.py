"""How words are found again: the terms of a text, of a query, and whether and where a text holds what was asked.

Chinese is written without spaces and most of its words have two characters, which trigram indexes miss: each pair of
neighbours is a term of its own, and so is the last character of a run, so that any single one begins some term. Other
scripts are cut into words. The index only proposes; `holds` decides by the text itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUNS = re.compile(rf"([{HAN}]+)|([^\W_{HAN}]+)")
MAX_TERMS = 400  # of one text; a message has 4,000 characters at most, and the end of a very long one is not found
MAX_ASKED = 12  # terms of a query that are looked up; the rest is compared with the text
MAX_QUERY = 100  # characters
MAX_WORD = 40
PREFIX_FROM = 3  # letters from which the beginning of a word finds it
BEFORE, AROUND = 24, 90  # characters of a snippet


def folded(text: str) -> str:
    """Text as it is compared: full-width forms, case and compatibility forms made one."""
    return unicodedata.normalize("NFKC", text).casefold()


def terms(text: str) -> tuple[str, ...]:
    """What a text is found by, each once, in order.

    >>> terms("想退款，订单A-1024")
    ('想退', '退款', '款', '订单', '单', 'a', '1024')
    """
    found: dict[str, None] = {}
    for han, word in _RUNS.findall(folded(text)):
        for term in (*("".join(pair) for pair in pairwise(han)), han[-1]) if han else (word[:MAX_WORD],):
            found[term] = None
        if len(found) >= MAX_TERMS:
            break
    return tuple(found)[:MAX_TERMS]


def asked(query: str) -> tuple[tuple[str, bool], ...]:
    """The terms a query looks up, each with whether it may be the beginning of a longer one; all must be there.

    >>> asked("退款 refu"), asked("煤")
    ((('退款', False), ('refu', True)), (('煤', True),))
    """
    found: dict[tuple[str, bool], None] = {}
    for han, word in _RUNS.findall(folded(query[:MAX_QUERY])):
        if len(han) == 1:
            found[(han, True)] = None
        elif han:
            found |= {("".join(pair), False): None for pair in pairwise(han)}
        else:
            found[(word[:MAX_WORD], len(word) >= PREFIX_FROM)] = None
    return tuple(found)[:MAX_ASKED]


def holds(query: str, text: str) -> bool:
    """Whether a text has every run of the query: Chinese anywhere, words from their beginning."""
    within = folded(text)
    wanted = _RUNS.findall(folded(query[:MAX_QUERY]))
    return bool(wanted) and all(re.search(_pattern(*run), within) for run in wanted)


def snippet(query: str, text: str) -> tuple[tuple[str, bool], ...]:
    """The stretch of a text around its first hit, as (piece, whether it is what was asked)."""
    text = unicodedata.normalize("NFKC", " ".join(text.split()))
    patterns = [_pattern(*run) for run in _RUNS.findall(folded(query[:MAX_QUERY]))]
    hits = sorted(hit.span() for pattern in patterns for hit in re.finditer(pattern, text, re.I))
    start = max(hits[0][0] - BEFORE, 0) if hits else 0
    shown = text[start : start + AROUND]
    return tuple(_pieces(shown, [(a - start, b - start) for a, b in hits], start > 0, start + AROUND < len(text)))


def _pieces(shown: str, hits: list[tuple[int, int]], before: bool, after: bool) -> Iterator[tuple[str, bool]]:
    at = 0
    if before:
        yield "…", False
    for begins, ends in hits:
        if begins >= len(shown) or begins < at:
            continue
        if begins > at:
            yield shown[at:begins], False
        yield shown[begins:ends], True
        at = ends
    if at < len(shown):
        yield shown[at:], False
    if after:
        yield "…", False


def _pattern(han: str, word: str) -> str:
    if han:
        return re.escape(han)
    whole = "" if len(word) >= PREFIX_FROM else rf"(?![^\W_{HAN}])"
    return rf"(?<![^\W_{HAN}]){re.escape(word)}{whole}"
