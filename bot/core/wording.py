"""Wordings: which variant of a response fits, and its text with the {placeholders} filled."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.core.book import Slot, SlotKind, Texts, Variant
from bot.core.conditions import holds
from bot.core.words import Button, Language, Say

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
GAP = re.compile(r" +([ ,.!?])")  # what an empty placeholder leaves behind
HAN_GAP = re.compile(r"(?<=[。！？；，：]) +(?=[\u4e00-\u9fff])")  # Chinese sentences follow without a space
JOINTS = (
    re.compile(r"(?<=\n\n)(?=[^\n])"),
    re.compile(r"(?<=\n)"),
    re.compile(r"(?<=[。！？；])|(?<=[.!?;] )(?=\S)"),
)
"""Where a long answer may be parted, the better place first."""
WEEKDAYS = {
    Language.ZH: ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    Language.EN: ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}


def word(
    key: str,
    variants: Sequence[Variant],
    kinds: Mapping[str, Slot],
    slots: Mapping[str, Any],
    context: Mapping[str, Any],
) -> Say | None:
    """Response `key` in the language of `context`; None where no variant fits (nothing is to be said then)."""
    variant = _fitting(variants, slots, context)
    if variant is None:
        return None
    language = Language(context.get("language", Language.ZH))

    def worded(texts: Texts) -> str:
        return fill(texts.get(language) or texts[Language.ZH], language, kinds, slots, context)

    buttons = tuple(Button(worded(c.titles), _plain(c.payload, slots, context)) for c in variant.choices)
    shown = tuple(b for b in buttons if b.title)  # a choice whose text is not known is not offered
    return Say(worded(variant.texts), shown, key, variant.metadata)


def when(moment: str, language: Language) -> str:
    """An ISO moment as people say it, in its own offset.

    >>> when("2026-07-02T15:00:00+08:00", Language.ZH)
    '7月2日（周四）15:00'
    """
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    weekday = WEEKDAYS[language][at.weekday()]
    if language is Language.ZH:
        return f"{at.month}月{at.day}日（{weekday}）{at:%H:%M}"
    return f"{weekday} {at.day} {at:%b}, {at:%H:%M}"


def pieces(text: str, limit: int) -> list[str]:
    """A long answer as several messages of at most `limit` columns' worth, a Han character being one and a Latin letter
    half (REQ-B06): parted at paragraphs, else lines, else sentences; a sentence longer than the limit stays whole.

    >>> pieces("第一句。第二句！第三句。", 8)
    ['第一句。第二句！', '第三句。']
    """
    if _length(text) <= limit:
        return [text]
    for joint in JOINTS:
        parts = [part for part in joint.split(text) if part.strip()]
        if len(parts) > 1:
            return [piece.strip() for part in _packed(parts, limit) for piece in pieces(part, limit)]
    return [text]


def _packed(parts: Sequence[str], limit: int) -> list[str]:
    packed = [parts[0]]
    for part in parts[1:]:
        if _length(packed[-1] + part) <= limit:
            packed[-1] += part
        else:
            packed.append(part)
    return packed


def _length(text: str) -> float:
    return sum(1.0 if ord(c) > 0x2E7F else 0.5 for c in text.strip())


def value_of(name: str, slots: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
    """What a placeholder stands for: the slot, else the context, else None."""
    found = slots.get(name)
    return context.get(name) if found is None else found


def _fitting(variants: Sequence[Variant], slots: Mapping[str, Any], context: Mapping[str, Any]) -> Variant | None:
    channel = context.get("channel")
    fits = [
        v
        for v in variants
        if v.channel in (None, channel) and (v.condition is None or holds(v.condition, slots, context))
    ]
    return max(fits, key=lambda v: (v.channel is not None, v.condition is not None), default=None)


def fill(
    text: str,
    language: Language,
    kinds: Mapping[str, Slot],
    slots: Mapping[str, Any],
    context: Mapping[str, Any],
) -> str:
    """The text with each {placeholder} as people write its value in this language."""
    if "{" not in text:
        return text

    def shown(found: re.Match[str]) -> str:
        name = found[1]
        slot = kinds.get(name)
        return _show(value_of(name, slots, context), slot.kind if slot else SlotKind.TEXT, language)

    filled = GAP.sub(r"\1", PLACEHOLDER.sub(shown, text)).strip()
    return HAN_GAP.sub("", filled) if language is Language.ZH else filled


def _show(value: Any, kind: SlotKind, language: Language) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return {Language.ZH: ("否", "是"), Language.EN: ("no", "yes")}[language][value]
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    if kind is SlotKind.DATETIME:
        return when(str(value), language)
    if kind is SlotKind.PHONE:
        return str(value).removeprefix("+86")
    return str(value)


def _plain(payload: str, slots: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    def known(found: re.Match[str]) -> str:
        value = value_of(found[1], slots, context)
        return "" if value is None else str(value)

    return PLACEHOLDER.sub(known, payload)
