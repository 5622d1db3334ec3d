"""Cuts a long text into the pieces a channel carries, at the ends of paragraphs, sentences or words, in order.

Lengths are UTF-16 code units, as Telegram counts them (Bot API, "4096 characters after entities parsing"); a character
outside the basic plane counts two and is never cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

BREAKS = (
    re.compile(r"\n\s*\n"),  # paragraph
    re.compile(r"\n"),
    re.compile(r"[。！？!?；;…]+[”’」』）)\"']*|\.(?=\s)"),  # sentence
    re.compile(r"[，,、\s]+"),
)
LEAST = 0.25  # of the limit a piece fills before a nicer break is given up for a poorer one


def units(text: str) -> int:
    """UTF-16 code units.

    >>> units("a你😀")
    4
    """
    return len(text) + sum(c > "\uffff" for c in text)


def cut(text: str, limit: int) -> list[str]:
    """The text in pieces of at most `limit` units, none empty; a short text is one piece, as it is.

    >>> cut("第一句。第二句。第三句。", 8)
    ['第一句。第二句。', '第三句。']
    """
    if units(text) <= limit:
        return [text]
    return list(_parts(text, limit))


def _parts(text: str, limit: int) -> Iterator[str]:
    rest = text
    while units(rest) > limit:
        at = _break(rest, _fitting(rest, limit))
        if piece := rest[:at].rstrip():
            yield piece
        rest = rest[at:].lstrip()
    if rest:
        yield rest


def _fitting(text: str, limit: int) -> int:
    """How many characters fit into `limit` units; at least one, so that cutting goes on."""
    used = 0
    for at, c in enumerate(text):
        used += 2 if c > "\uffff" else 1
        if used > limit:
            return max(at, 1)
    return len(text)


def _break(text: str, fitting: int) -> int:
    """Where to cut: behind the last break among the first `fitting` characters that is not too early."""
    window = text[: fitting + 1]
    for pattern in BREAKS:
        ends = [m.end() for m in pattern.finditer(window) if m.end() <= fitting]
        if ends and ends[-1] >= fitting * LEAST:
            return ends[-1]
    return fitting
