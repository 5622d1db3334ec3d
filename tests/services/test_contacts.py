"""How people are addressed."""

from __future__ import annotations

import pytest

from bot.services.contacts import addressed


@pytest.mark.parametrize(
    ("name", "title", "said"),
    [
        ("郑晓霜", "女士", "郑女士"),
        ("欧阳明", "先生", "欧阳先生"),
        ("Alex Morgan", "Mr", "Mr Morgan"),
        ("", "女士", "女士"),
        ("郑晓霜", "郑女士", "郑女士"),
        ("郑晓霜", "", ""),
    ],
)
def test_a_person_is_addressed_by_surname_and_title(name: str, title: str, said: str) -> None:
    assert addressed(name, title) == said
