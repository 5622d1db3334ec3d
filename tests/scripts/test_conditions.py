"""Conditions: what they say of slots and context, half-filled or not."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.conditions import holds
from scripts.grammar import ConditionError, parse_condition

SLOTS: dict[str, Any] = {
    "n": 3,
    "name": "王",
    "yes": True,
    "no": False,
    "kind": "repair",
    "tags": ["a", "b"],
    "empty": "",
}
CONTEXT: dict[str, Any] = {"channel": "voice", "turns": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("slots.n > 2", True),
        ("slots.n >= 3 and slots.n <= 3", True),
        ("slots.n < 3", False),
        ("slots.n = 3.0", True),
        ("slots.n == 3", True),
        ("slots.n != 3", False),
        ("slots.unknown > 2", False),
        ("slots.unknown < 2", False),
        ("slots.unknown is null", True),
        ("slots.name is not null", True),
        ("slots.name > 2", False),
        ("slots.yes = true", True),
        ("slots.yes = 1", False),
        ("slots.no", False),
        ("slots.yes", True),
        ("slots.empty", False),
        ("not slots.empty", True),
        ('context.channel = "voice"', True),
        ('CONTEXT.channel = "voice" AND NOT slots.no', True),
        ('{"repair", "complaint"} contains slots.kind', True),
        ("{1, 2} contains slots.n", False),
        ('slots.tags contains "b"', True),
        ('slots.name contains "王"', True),
        ("slots.unknown contains 'x'", False),
        ('slots.kind matches "^rep"', True),
        ('slots.unknown matches "."', False),
        ("slots.no or slots.yes and slots.no", False),
        ("(slots.no or slots.yes) and not slots.no", True),
        ("not (slots.no or slots.yes)", False),
    ],
)
def test_holds(text: str, expected: bool) -> None:
    assert holds(parse_condition(text), SLOTS, CONTEXT) is expected


@pytest.mark.parametrize(
    "text",
    ["", "n > 2", "slots.n >", "slots.n = ", "slots.n ~ 3", "__import__('os')", 'slots.n matches "("', "slots.a.b = 1"],
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ConditionError):
        parse_condition(text)
