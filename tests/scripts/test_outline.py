"""Every intent of the catalogue leads somewhere, the page says where, and transcripts show it in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bot.core.book import COMMANDS
from scripts.checker import CATALOGUE
from scripts.loader import SHIPPED, load_book
from scripts.outline import outline, table

PAGE = SHIPPED / "INTENTS.md"
TRANSCRIPTS = Path(__file__).parents[1] / "flows"
NOT_FLOWS = (COMMANDS - {"affirm", "deny"}) | {"out_of_scope"}


def intents() -> frozenset[str]:
    return frozenset(yaml.safe_load(CATALOGUE.read_text(encoding="utf-8")))


def test_every_intent_leads_somewhere() -> None:
    assert {o.intent for o in outline(load_book())} == intents() - NOT_FLOWS


def test_no_intent_ends_in_silence() -> None:
    assert [o.intent for o in outline(load_book()) if not o.ends] == []


def test_the_page_is_true(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden", default=False):
        PAGE.write_text(table(load_book()), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == table(load_book())


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_transcript_shows_every_intent(language: str) -> None:
    shown = {
        str(line).split()[0].removeprefix("/")
        for file in TRANSCRIPTS.glob("*.yml")
        for each in yaml.safe_load(file.read_text(encoding="utf-8")).values()
        if each.get("language", "zh") == language
        for line in each["says"]
        if str(line).startswith("/")
    }
    assert intents() - shown - {"out_of_scope"} == set()
