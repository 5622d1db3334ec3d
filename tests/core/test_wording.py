"""Long answers in several messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.wording import pieces


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("短。", 10, ["短。"]),
        ("", 10, [""]),
        ("一二三四。五六七八。九十。", 10, ["一二三四。五六七八。", "九十。"]),
        ("甲甲甲\n\n乙乙乙乙乙乙乙乙乙。", 10, ["甲甲甲", "乙乙乙乙乙乙乙乙乙。"]),
        ("没有句号的一句很长很长的话", 5, ["没有句号的一句很长很长的话"]),
        ("Come at 9. Bring the card. Ask for Li.", 10, ["Come at 9.", "Bring the card.", "Ask for Li."]),
        (
            "Costs 3.50 each, see example.com/a.b?c=d for more",
            10,
            ["Costs 3.50 each, see example.com/a.b?c=d for more"],
        ),
    ],
)
def test_parted_at_the_best_place(text: str, limit: int, expected: list[str]) -> None:
    assert pieces(text, limit) == expected


@given(st.text(alphabet="好a。. \n!", max_size=80), st.integers(2, 20))
def test_nothing_is_lost_or_empty(text: str, limit: int) -> None:
    parts = pieces(text, limit)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert len(parts) == 1 or all(part.strip() for part in parts)
