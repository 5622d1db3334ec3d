"""What `hotline train` runs: fits the embedded model, keeps it in the cache, and says what an operator should know."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nlu import embedded, fit
from nlu import encoder as encoders
from nlu.engine import OUT_OF_SCOPE
from nlu.examples import Example, near_duplicates, read
from nlu.model import Model

ENOUGH = {"zh": 25, "en": 15}
"""Examples an intent needs in each language."""

SURELY_OTHER = 0.7
"""An unseen example given another intent with at least this confidence looks mislabelled."""

WORST = 10
REPORT = "training.json"


@dataclass(frozen=True, slots=True)
class Confusion:
    """`times` examples of `intent` were taken for `taken_for`; one of them, to read."""

    intent: str
    taken_for: str
    times: int
    example: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """An example that the others contradict."""

    text: str
    intent: str
    rather: str
    confidence: float
    file: str


@dataclass(frozen=True, slots=True)
class Scarce:
    """An intent with fewer examples than it needs, by language ("zh", "en")."""

    intent: str
    has: dict[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """What training told. `accuracy` 0..1 is by cross-validation; the `..._before` are of the training before."""

    examples: int
    intents: int
    accuracy: float
    seconds: float
    confusions: tuple[Confusion, ...] = ()
    scarce: tuple[Scarce, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    repeated: tuple[str, ...] = ()
    accuracy_before: float | None = None
    examples_before: int | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """The model, where it is kept, and the report."""

    model: Model
    path: Path
    report: Report = field(repr=False)


def train(
    data_dir: Path,
    cache_dir: Path,
    extra: Sequence[Path] = (),
    progress: fit.Progress = lambda _what, _far: None,
    encoder: str | None = None,
) -> Trained:
    """Trains from the files in `data_dir` and `extra`, and keeps model and report in `cache_dir`.

    `progress` is called with a word and 0..1. Older models are removed. Raises nlu.examples.BadExamples, ValueError
    (fewer than two intents) or OSError.
    """
    started = time.perf_counter()
    progress("reading", 0.0)
    examples = read(data_dir, *extra)
    path = embedded.Place(data_dir, cache_dir, tuple(extra), encoder).model
    encode = encoders.load(encoder) if encoder else None
    fitted = fit.fit(examples, embedded.answer_only(data_dir), progress, encode)
    fitted.model.save(path)
    for old in cache_dir.glob("embedded-*.npz"):
        if old != path:
            old.unlink(missing_ok=True)
    before = last_report(cache_dir)
    found = _report(examples, fitted.judged, time.perf_counter() - started, before)
    (cache_dir / REPORT).write_text(json.dumps(asdict(found), ensure_ascii=False, indent=1), "utf-8")
    return Trained(fitted.model, path, found)


def last_report(cache_dir: Path) -> dict[str, object]:
    """The report of the last training in `cache_dir`, as JSON; empty where none is readable."""
    try:
        stored = json.loads((cache_dir / REPORT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _report(
    examples: Sequence[Example], judged: Sequence[tuple[int, str, float]], seconds: float, before: dict[str, object]
) -> Report:
    wrong = [(examples[n], guess, confidence) for n, guess, confidence in judged if examples[n].intent != guess]
    pairs = Counter((example.intent, guess) for example, guess, _ in wrong)
    sample = {(example.intent, guess): example.text for example, guess, _ in reversed(wrong)}
    suspects = sorted((row for row in wrong if row[2] >= SURELY_OTHER), key=lambda row: -row[2])
    accuracy_before, examples_before = before.get("accuracy"), before.get("examples")
    return Report(
        examples=len(examples),
        intents=len({example.intent for example in examples}),
        accuracy=1 - len(wrong) / len(judged) if judged else 0.0,
        seconds=round(seconds, 2),
        confusions=tuple(Confusion(a, b, n, sample[a, b]) for (a, b), n in pairs.most_common(WORST)),
        scarce=_scarce(examples),
        suspects=tuple(Suspect(e.text, e.intent, guess, round(sure, 3), e.file) for e, guess, sure in suspects[:20]),
        repeated=tuple(f"{near.left.text} = {near.right.text}" for near in near_duplicates(examples, examples)[:20]),
        accuracy_before=accuracy_before if isinstance(accuracy_before, float) else None,
        examples_before=examples_before if isinstance(examples_before, int) else None,
    )


def _scarce(examples: Sequence[Example]) -> tuple[Scarce, ...]:
    counts: dict[str, Counter[str]] = {}
    for example in examples:
        counts.setdefault(example.intent, Counter())[example.language.value] += 1
    return tuple(
        Scarce(intent, {language: has[language] for language in ENOUGH})
        for intent, has in sorted(counts.items())
        if intent != OUT_OF_SCOPE and any(has[language] < need for language, need in ENOUGH.items())
    )
