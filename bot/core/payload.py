"""What a pressed button says: Rasa's payload syntax, `/intent`, `/intent{"entity": "value"}` or `/SetSlots(a=b, …)`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_INTENT = re.compile(r"/([A-Za-z_][\w-]*)\s*(\{.*\})?\s*", re.DOTALL)
_SET = re.compile(r"/SetSlots\((.*)\)\s*", re.DOTALL)
_PAIR = re.compile(r"""\s*([A-Za-z_]\w*)\s*=\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^,]*?)\s*(?:,|$)""")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class IntentPayload:
    intent: str
    entities: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SlotsPayload:
    slots: Mapping[str, Any]


def read_payload(payload: str) -> IntentPayload | SlotsPayload | None:
    """The payload as a value; None for plain text, which is then read as if the customer had typed it.

    >>> read_payload('/SetSlots(convenient=true, at="15:00")')
    SlotsPayload(slots={'convenient': True, 'at': '15:00'})
    """
    if found := _SET.fullmatch(payload):
        return SlotsPayload({m[1]: _value(m[2]) for m in _PAIR.finditer(found[1]) if m[1]})
    if found := _INTENT.fullmatch(payload):
        try:
            entities = json.loads(found[2]) if found[2] else {}
        except ValueError:
            return None
        return IntentPayload(found[1], entities)
    return None


def _value(raw: str) -> Any:
    if raw[:1] in {'"', "'"}:
        return raw[1:-1]
    if raw.casefold() in _WORDS:
        return _WORDS[raw.casefold()]
    return raw or None
