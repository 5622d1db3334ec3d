"""What people call an intent: the short names of nlu/catalogue.yml."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bot.core.words import Language

CATALOGUE = Path(__file__).parents[2] / "nlu" / "catalogue.yml"


@cache
def _catalogue() -> Mapping[str, Mapping[str, Any]]:
    catalogue: Mapping[str, Mapping[str, Any]] = yaml.load(CATALOGUE.read_bytes(), Loader=yaml.CSafeLoader)
    return catalogue


def intent_name(language: Language, intent: str) -> str:
    """The name of an intent in `language`; the intent itself where the catalogue has none."""
    return str(_catalogue().get(intent, {}).get(language.value, intent))


def known_intents() -> tuple[str, ...]:
    """Every intent of the catalogue, in its order."""
    return tuple(_catalogue())
