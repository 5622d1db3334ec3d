"""The default engine: in this process, trained here from the example files, kept beside the data by their hash."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from bot.core.words import Language, Parse
from nlu import lexicon, model
from nlu.emotion import emotion
from nlu.entities import extract
from nlu.examples import BadExamples, digest, files
from nlu.features import language_of
from nlu.model import BadModel, Model

ROOT = Path(__file__).resolve().parent.parent

CATALOGUE = "catalogue.yml"
"""The intents' definitions stand beside the data's folder."""


class Embedded:
    """A trained model with entities and emotion around it. Safe to share between threads: nothing in it changes."""

    name = "embedded"

    def __init__(self, trained: Model) -> None:
        self.model = trained

    def parse(
        self,
        text: str,
        *,
        language: Language | None = None,
        enabled: frozenset[str] | None = None,
        expecting: frozenset[str] = frozenset(),
        now: datetime | None = None,
        zone: ZoneInfo | None = None,
    ) -> Parse:
        """See `nlu.engine.Engine`."""
        verdict = self.model.judge(text, enabled, expecting)
        intent, confidence = verdict.ranking[0] if verdict.ranking else ("", 0.0)
        return Parse(
            text=text,
            intent=intent if verdict.fits else "",
            confidence=confidence,
            ranking=verdict.ranking,
            entities=extract(text, now, zone),
            language=language_of(text, language or Language.ZH),
            emotion=emotion(text),
            engine=self.name,
        )


def load(data_dir: Path, cache_dir: Path, extra: Sequence[Path] = ()) -> Embedded:
    """The engine for the examples in `data_dir` and the files of `extra` that exist (an operator's own).

    The model comes from `cache_dir` when one was trained from the very same files, else it is trained and kept there;
    models of older data are removed. Raises nlu.examples.BadExamples when the files cannot be trained from.
    """
    data_dir, cache_dir, extra = data_dir.resolve(), cache_dir.resolve(), [path.resolve() for path in extra]
    return Embedded(_cached(data_dir, cache_dir, extra) or _trained(data_dir, cache_dir, extra))


def cache_path(data_dir: Path, cache_dir: Path, extra: Sequence[Path] = ()) -> Path:
    """Where the model of exactly these files is kept."""
    used = [path for place in (data_dir, *extra) for path in files(place)]
    used += [path for path in (data_dir.parent / CATALOGUE,) if path.is_file()]
    return cache_dir / f"embedded-{digest([*used, lexicon.PATH], model.FORMAT)}.npz"


def answer_only(data_dir: Path) -> frozenset[str]:
    """The intents that the catalogue calls answers to an open question; none without a catalogue."""
    path = data_dir.parent / CATALOGUE
    if not path.is_file():
        return frozenset()
    catalogue = yaml.safe_load(path.read_text("utf-8"))
    return frozenset(name for name, entry in catalogue.items() if entry.get("answer_only"))


def _cached(data_dir: Path, cache_dir: Path, extra: Sequence[Path]) -> Model | None:
    try:
        return Model.load(cache_path(data_dir, cache_dir, extra))
    except BadModel:
        return None


def _trained(data_dir: Path, cache_dir: Path, extra: Sequence[Path]) -> Model:
    """Trains in a process of its own: what training needs (scikit-learn, 100 MB) never enters the serving one."""
    arguments = [
        "--data",
        str(data_dir),
        "--cache",
        str(cache_dir),
        *(a for path in extra for a in ("--extra", str(path))),
    ]
    run = subprocess.run(  # noqa: S603 - our own module and our own paths
        [sys.executable, "-m", "nlu", "train", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise BadExamples(run.stderr.strip() or f"training ended with {run.returncode}")
    return Model.load(cache_path(data_dir, cache_dir, extra))
