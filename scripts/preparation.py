"""What an agent should know before dialling, by follow-up plan (scripts/preparation.yml; REQ-C20)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.core.policy import Preparation
from bot.core.words import FollowUpGroup
from scripts.policies import PolicyError
from scripts.typed import Decoder, Report, merged, read_yaml

FILE = "preparation.yml"

Preparations = Mapping[FollowUpGroup, Preparation]


def load_preparations(roots: Sequence[Path]) -> Preparations:
    """The cards these folders hold, later ones over earlier ones. Raises PolicyError with every problem."""
    report = Report()
    plain: dict[str, Any] = {}
    for path in (root / FILE for root in roots if (root / FILE).is_file()):
        plain = merged(plain, read_yaml(path, report))
    found = Decoder(report, strict=True).value(plain, Mapping[FollowUpGroup, Preparation], ())
    if report.problems or found is None:
        raise PolicyError(report.problems)
    cards: Preparations = found
    return cards
