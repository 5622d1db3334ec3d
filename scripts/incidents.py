"""The catalogue of incidents and the templates of announcements (scripts/incidents.yml; REQ-F05, F31)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bot.core.policy import Bilingual

SHIPPED = Path(__file__).parent
FILE = "incidents.yml"
UNITS = {"min": "minutes", "h": "hours", "d": "days"}


class CatalogueError(ValueError):
    """incidents.yml cannot be used; names the file and what would be right."""


@dataclass(frozen=True, slots=True)
class IncidentType:
    """`problem` and `advice` are what an announcement says; None: the incident's own title, and no advice."""

    code: str
    name: Bilingual
    problem: Bilingual | None = None
    advice: Bilingual | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """`words` are the frames of announcements, with {placeholders}."""

    types: Mapping[str, IncidentType]
    words: Mapping[str, Bilingual]
    next_update: timedelta


@cache
def load_catalogue(roots: Sequence[Path] = (SHIPPED,)) -> Catalogue:
    """The catalogue of these folders, later ones over earlier ones; `roots` is a tuple. Raises CatalogueError."""
    merged: dict[str, Any] = {}
    for path in (root / FILE for root in roots if (root / FILE).is_file()):
        try:
            merged = _over(merged, yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader) or {})
        except yaml.YAMLError as error:
            raise CatalogueError(f"{path}: {error}") from error
    try:
        number, unit = str(merged["next_update"]).split()
        return Catalogue(
            types={code: _type(code, raw) for code, raw in merged["types"].items()},
            words={name: _both(raw) for name, raw in merged["words"].items()},
            next_update=timedelta(**{UNITS[unit]: float(number)}),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CatalogueError(f"{FILE}: {error!r}; each text wants zh and en, each type a name") from error


def _type(code: str, raw: Mapping[str, Any]) -> IncidentType:
    texts = {field: _both(raw[field]) for field in ("problem", "advice") if field in raw}
    return IncidentType(code, _both(raw["name"]), **texts)


def _both(raw: Mapping[str, str]) -> Bilingual:
    return Bilingual(str(raw["zh"]), str(raw["en"]))


def _over(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = _over(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged
