"""Height and weight as people write them."""

from __future__ import annotations

import pytest

from nlu.entities import extract


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我168，120斤穿多大", {"height": "168", "weight": "60"}),
        ("一米六八一百二十斤穿几号", {"height": "168", "weight": "60"}),
        ("身高1米7 体重65公斤", {"height": "170", "weight": "65"}),
        ("儿子一米四，七十斤", {"height": "140", "weight": "35"}),
        ("180高，要多大", {"height": "180"}),
        ("165/110斤", {"height": "165", "weight": "55"}),
        ("1.75m 70kg", {"height": "175", "weight": "70"}),
        ("I'm 5'7 and 140 lbs", {"height": "170", "weight": "63.5"}),
        ("170 cm and 65 kg", {"height": "170", "weight": "65"}),
        ("1米2宽的窗帘", {}),
        ("买两斤苹果", {}),
        ("3号楼2单元501", {}),
        ("给我来5米线", {}),
    ],
)
def test_measures(text: str, expected: dict[str, str]) -> None:
    found = {e.kind: e.value for e in extract(text) if e.kind in {"height", "weight"}}
    assert found == expected
