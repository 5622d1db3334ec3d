"""The default engine: in this process, trained here from the example files, kept beside the data by their hash."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from bot.core.words import Language, Parse
from nlu import encoder as encoders
from nlu import lexicon, model
from nlu.emotion import emotion
from nlu.encoder import Encode
from nlu.entities import extract
from nlu.examples import BadExamples, digest, files
from nlu.features import language_of
from nlu.model import BadModel, Model

ROOT = Path(__file__).resolve().parent.parent

CATALOGUE = "catalogue.yml"
"""The intents' definitions stand beside the data's folder."""


class Embedded:
    """A trained model with entities and emotion around it. Safe to share between threads: nothing in it changes."""

    def __init__(self, trained: Model, encode: Encode | None = None) -> None:
        self.model, self._encode = trained, encode
        self.name = "encoder" if encode else "embedded"

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
        embedding = self._encode([text])[0] if self._encode else None
        verdict = self.model.judge(text, enabled, expecting, embedding=embedding)
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
            in_scope=verdict.in_scope,
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine is trained from and kept; `encoder` is a folder or a name for nlu.encoder."""

    data_dir: Path
    cache_dir: Path
    extra: tuple[Path, ...] = ()
    encoder: str | None = None

    @property
    def model(self) -> Path:
        """The file that holds the model of exactly these examples, whether it was trained yet or not."""
        used = [path for place in (self.data_dir, *self.extra) for path in files(place)]
        used += [path for path in (self.data_dir.parent / CATALOGUE, lexicon.PATH) if path.is_file()]
        return self.cache_dir / f"embedded-{digest(used, model.FORMAT, self.encoder or '')}.npz"


def load(data_dir: Path, cache_dir: Path, extra: Sequence[Path] = (), encoder: str | None = None) -> Embedded:
    """The engine for the examples in `data_dir` and those of `extra` that exist (an operator's own files or folders).

    The model comes from `cache_dir` when one was trained from the very same files, else it is trained and kept there;
    models of older data are removed. Raises nlu.examples.BadExamples when the files cannot be trained from,
    nlu.encoder.NoEncoder when there is none.
    """
    place = Place(data_dir.resolve(), cache_dir.resolve(), tuple(path.resolve() for path in extra), encoder)
    encode = encoders.load(encoder) if encoder else None
    return Embedded(_cached(place) or _trained(place), encode)


def answer_only(data_dir: Path) -> frozenset[str]:
    """The intents that the catalogue calls answers to an open question; none without a catalogue."""
    path = data_dir.parent / CATALOGUE
    if not path.is_file():
        return frozenset()
    catalogue = yaml.safe_load(path.read_text("utf-8"))
    return frozenset(name for name, entry in catalogue.items() if entry.get("answer_only"))


def _cached(place: Place) -> Model | None:
    try:
        return Model.load(place.model)
    except BadModel:
        return None


def _trained(place: Place) -> Model:
    """Trains in a process of its own: what training needs (scikit-learn, 100 MB) never enters the serving one."""
    arguments = ["--data", str(place.data_dir), "--cache", str(place.cache_dir)]
    arguments += [part for path in place.extra for part in ("--extra", str(path))]
    arguments += ["--encoder", place.encoder] if place.encoder else []
    run = subprocess.run(  # noqa: S603 - our own module and our own paths
        [sys.executable, "-m", "nlu", "train", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise BadExamples(run.stderr.strip() or f"training ended with {run.returncode}")
    return Model.load(place.model)
