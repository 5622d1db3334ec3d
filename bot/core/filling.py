"""What a message gives the slots: the answer to the open question, other slots it happens to name, and corrections.

No language model is involved: entities, intents, choices and, last, the words themselves (Rasa's slot mappings).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.core.book import (
    Book,
    Call,
    Collect,
    Flow,
    FromContext,
    FromEntity,
    FromIntent,
    FromText,
    Link,
    Slot,
    SlotKind,
)
from bot.core.words import Button, Entity, Parse

NUMERIC = frozenset({SlotKind.INT, SlotKind.FLOAT, SlotKind.SCALE})
CUE = re.compile(
    r"不对|不是|错了|说错|写错|打错|填错|更正|改成|改为|改一下|应该是|纠正|换成"
    r"|\bactually\b|\bi meant?\b|\bcorrection\b|\bwrong\b|\bmistake\b|\bsorry,|\bchange (?:it|that|my|the)\b|\bno, ",
    re.IGNORECASE,
)
EARLIER = re.compile(r"刚才|刚刚|前面|上一|之前那|\bearlier\b|\bprevious\b|\blast one\b|\bbefore\b", re.IGNORECASE)
_ORDINALS = {"零": 0, "两": 2} | {digit: n for n, digit in enumerate("一二三四五六七八九十", start=1)}
_NUMBERED = re.compile(
    r"(?:第|选|按|option |number )?\s*([0-9]{1,2}|[一二三四五六七八九十])\s*(?:个|号|项|#|\.|、|\))?"
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
PLACE = re.compile(r"\d|[路街楼栋幢区园村厅层室]|\b(?:road|street|block|floor|building|hall)\b", re.IGNORECASE)
ONLY_ANSWERS = frozenset({"number", "rating", "affirm", "deny", "cancel", "repeat"})  # mean nothing unasked
ANSWER = 0.3  # confidence from which an expected intent is the answer
SHORT_ANSWER = (
    12  # Chinese characters, or twice as many Latin letters; in a longer one a yes or no may belong to something else
)
_EDGES = " \t\r\n。.!！?？,，、~～…"


@dataclass(frozen=True, slots=True)
class Filled:
    """A value a message gives; `entity` is the one it was read from, so that nothing else takes it too."""

    value: Any
    entity: Entity | None = None


def plain(text: str) -> str:
    """A text as choices are compared: full width folded, case folded, without edge punctuation."""
    return unicodedata.normalize("NFKC", text).casefold().strip(_EDGES)


def chosen(text: str, offered: tuple[Button, ...]) -> Button | None:
    """The choice a text names: its number, its title, or a piece of exactly one title."""
    said = plain(text)
    if not said or not offered:
        return None
    if (number := _NUMBERED.fullmatch(said)) is not None:
        index = _ORDINALS.get(number[1]) or (int(number[1]) if number[1].isascii() else 0)
        return offered[index - 1] if 1 <= index <= len(offered) else None
    titles = [plain(b.title) for b in offered]
    if said in titles:
        return offered[titles.index(said)]
    near = [b for b, title in zip(offered, titles, strict=True) if len(said) > 1 and said in title]
    if near:
        return near[0] if len(near) == 1 else None
    begun = [(len(title), b) for b, title in zip(offered, titles, strict=True) if _begins(said, title)]
    return max(begun, key=lambda pair: pair[0], default=(0, None))[1]


def _begins(said: str, title: str) -> bool:
    """A short answer that begins with a choice: "有老人" where "有" is one."""
    rest = said.removeprefix(title)
    return len(said) <= SHORT_ANSWER and rest != said and not (title[-1:].isascii() and rest[:1].isalnum())


def answer(slot: Slot, text: str, parse: Parse) -> Filled | None:
    """The answer to `slot`'s open question, where the message shows one by intent, entity or number."""
    for mapping in slot.mappings:
        match mapping:
            case FromIntent(intent, value) if intent == parse.intent and parse.confidence >= ANSWER:
                return Filled(value)
            case FromEntity(kind):
                for entity in parse.entities:
                    value = coerce(slot, entity.value) if entity.kind == kind else None
                    if value is not None:
                        return Filled(value, entity)
            case _:
                continue
    if slot.kind is SlotKind.BOOL:
        value = yes_or_no(text, parse)
    elif slot.kind in NUMERIC:
        value = coerce(slot, _as_number(text))
    elif slot.kind is SlotKind.CATEGORICAL:
        value = coerce(slot, plain(text))
    else:
        value = None
    return None if value is None else Filled(value)


def words_answer(slot: Slot, text: str, tries: int) -> Filled | None:
    """The customer's own words as the value; beside an entity at once only where they hold a number
    or name a place, otherwise from the second try on."""
    if not text.strip() or not any(isinstance(m, FromText) for m in slot.mappings):
        return None
    if tries == 0 and any(isinstance(m, FromEntity) for m in slot.mappings) and not PLACE.search(text):
        return None
    value = coerce(slot, text.strip())
    return None if value is None else Filled(value)


def accepts_words(slot: Slot) -> bool:
    """Whether the words themselves can be the answer at the first try."""
    return words_answer(slot, "x", 0) is not None


def volunteered(book: Book, flow: Flow, parse: Parse, known: Mapping[str, Any], used: Entity | None) -> dict[str, Any]:
    """Slots the flow will ask for and the message already names, each entity for one slot only."""
    found: dict[str, Any] = {}
    free = [e for e in parse.entities if e.kind not in ONLY_ANSWERS and not _overlap(e, used)]
    for collect in collects(book, flow):
        slot = book.slots[collect.slot]
        if collect.ask_before_filling or known.get(slot.name) is not None or slot.name in found:
            continue
        for entity in free:
            if FromEntity(entity.kind) in slot.mappings:
                value = coerce(slot, entity.value)
                if value is not None:
                    found[slot.name] = value
                    free.remove(entity)
                    break
    return found


def _overlap(one: Entity, other: Entity | None) -> bool:
    return other is not None and one.start < other.end and other.start < one.end


@dataclass(frozen=True, slots=True)
class Correction:
    """Slot `slot` was wrong; `value` None: the customer says so without saying what is right."""

    slot: Slot
    value: Any


def correction(
    book: Book, filled: Iterable[str], open_slot: Slot | None, text: str, parse: Parse, slots: Mapping[str, Any]
) -> Correction | None:
    """What the message corrects among the slots already `filled`, latest first: it takes a cue and an entity, or a cue
    and the slot's own name."""
    earlier = EARLIER.search(text) is not None
    if not earlier and CUE.search(text) is None:
        return None
    open_kinds = {m.entity for m in open_slot.mappings if isinstance(m, FromEntity)} if open_slot else set()
    for name in filled:
        slot = book.slots[name]
        if slots.get(name) is None or (open_slot is not None and name == open_slot.name):
            continue
        for entity in parse.entities:
            if FromEntity(entity.kind) in slot.mappings and (earlier or entity.kind not in open_kinds):
                value = coerce(slot, entity.value)
                if value is not None and value != slots[name]:
                    return Correction(slot, value)
        if CUE.search(text) and any(label.casefold() in text.casefold() for label in slot.labels.values()):
            return Correction(slot, None)
    return None


def known_already(slot: Slot, context: Mapping[str, Any]) -> Any:
    """A value the context holds for the slot, or None."""
    for mapping in slot.mappings:
        if isinstance(mapping, FromContext) and context.get(mapping.key) is not None:
            return coerce(slot, context[mapping.key])
    return None


def coerce(slot: Slot, raw: Any) -> Any:
    """`raw` as a value of the slot's kind and range, or None where it is none."""
    if raw is None:
        return None
    match slot.kind:
        case SlotKind.BOOL:
            return raw if isinstance(raw, bool) else {"true": True, "false": False}.get(str(raw).casefold())
        case SlotKind.CATEGORICAL:
            same = [v for v in slot.values if plain(v) == plain(str(raw))]
            return same[0] if same else None
        case SlotKind.INT | SlotKind.FLOAT | SlotKind.SCALE:
            return _number(slot, raw)
        case SlotKind.ANY:
            return raw
        case _:
            return str(raw)


def collects(book: Book, flow: Flow) -> Iterator[Collect]:
    """The questions of a flow and of the flows it calls or links, in order."""
    seen: set[str] = set()
    ahead = [flow]
    while ahead:
        current = ahead.pop(0)
        if current.id in seen:
            continue
        seen.add(current.id)
        for node in current.nodes.values():
            if isinstance(node, Collect):
                yield node
            elif isinstance(node, Call | Link) and node.flow in book.flows:
                ahead.append(book.flows[node.flow])


def intents_of(slot: Slot) -> frozenset[str]:
    """The intents that can answer the slot's question."""
    return frozenset(m.intent for m in slot.mappings if isinstance(m, FromIntent))


def _number(slot: Slot, raw: Any) -> float | int | None:
    if isinstance(raw, bool):
        return None
    try:
        number = float(raw)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(number):
        return None
    if slot.kind is SlotKind.SCALE and slot.high == 5 and 5 < number <= 10:
        number = float(math.ceil(number / 2))  # "eight out of ten" said to a question that asked for one to five
    if (slot.low is not None and number < slot.low) or (slot.high is not None and number > slot.high):
        return None
    if slot.kind is SlotKind.FLOAT:
        return number
    return int(number) if number.is_integer() else None


PLAIN_YES = re.compile(
    r"^(?:我|我们|咱|家|家里|这边|这儿)*(?:都|也|确实|刚好)?(?:有|是|会|能|要|在)"
    r"|^(?:i|we|there) ?(?:'s|'re|is|are|have|do|am)\b"
)
PLAIN_NO = re.compile(
    r"没|无|不(?!清楚|知道|确定|好说|一定|晓得|记得)|\b(?:no|not(?! sure)|none|nobody|never)\b|n't\b(?! know)"
)
QUESTION = re.compile(r"[?？]|[吗呢么][。.]?$|有没有|是不是|能不能")


def yes_or_no(text: str, parse: Parse) -> bool | None:
    """Yes or no found in a short answer, whatever its intent: "对的", and "家里有老人" to whether there is one."""
    if columns(text) > 2 * SHORT_ANSWER or QUESTION.search(text):
        return None
    said = {e.kind for e in parse.entities} & {"affirm", "deny"}
    if len(said) == 1:
        return "affirm" in said
    words = text.strip().casefold()
    if said or PLAIN_NO.search(words):
        return None if said else False
    return True if PLAIN_YES.search(words) else None


def _as_number(text: str) -> float | None:
    said = plain(text).rstrip("#分个件号 ")
    if said in _ORDINALS:
        return float(_ORDINALS[said])
    return float(said) if _NUMBER.fullmatch(said) else None


def columns(text: str) -> int:
    """How wide a text is: a Chinese character takes two columns, a Latin letter one."""
    return sum(2 if ord(c) > 0x2E7F else 1 for c in text)
