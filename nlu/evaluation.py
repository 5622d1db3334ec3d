"""Measures an engine on a split: right or wrong, how honest its confidence is, what it turns away, how fast it is.

A test example whose intent no training example has is out of scope, as is one labelled so. An answer-only intent is
judged as it is met: with the open question expecting it.
"""

from __future__ import annotations

import asyncio
import html
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bot.core.words import Parse
from nlu import encoder as encoders
from nlu import fit, rasa_project
from nlu.embedded import ROOT, Embedded
from nlu.engine import OUT_OF_SCOPE
from nlu.examples import Example
from nlu.ready import memory_of
from nlu.server import RasaServer

BINS = 15
CONFUSIONS = 20
RASA_PORT = 5155

Ask = Callable[[str, frozenset[str]], Parse]
"""One text and what the open question expects; the parse."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One test example and what the engine said: `best` of the ranking, `given` the intent acted on ("" none)."""

    example: Example
    best: str
    given: str
    confidence: float
    in_scope: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Outside:
    """AUROC of the scores, share of strangers caught, share of rightly understood in-scope texts lost to that."""

    examples: int
    auroc: float
    caught: float
    lost: float
    caught_at_3_percent: float


@dataclass(frozen=True, slots=True)
class Figures:
    """`accuracy`, `macro_f1` and `ece` are over in-scope examples, before anything is turned away."""

    engine: str
    train: int
    test: int
    intents: int
    accuracy: float
    macro_f1: float
    macro_f1_by_language: dict[str, float]
    ece: float
    out_of_scope: Outside | None
    p50_ms: float
    p99_ms: float
    train_s: float
    ready_s: float
    memory_mb: float
    model_mb: float
    detail: str
    confusions: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """An engine to ask, and what it cost to have it."""

    ask: Ask
    train_s: float
    ready_s: float
    memory_mb: float
    model_mb: float
    detail: str = ""


def hold_out(examples: Sequence[Example], share: float, seed: int) -> list[Example]:
    """`examples` without a seeded share of the intents, which so become out of scope."""
    intents = sorted({example.intent for example in examples} - {OUT_OF_SCOPE})
    left_out = set(random.Random(seed).sample(intents, round(share * len(intents))))  # noqa: S311 - a seeded split
    return [example for example in examples if example.intent not in left_out]


def evaluate(
    engine: str,
    train: Sequence[Example],
    test: Sequence[Example],
    *,
    answer_only: frozenset[str] = frozenset(),
    home: Path | None = None,
    epochs: int | None = None,
    encoder: str | None = None,
) -> tuple[Figures, list[Answered]]:
    """Trains `engine` ("embedded", "rasa" or "encoder") on `train` and asks it all of `test`.

    `home` is where Rasa's environment lies or is made; `encoder` a folder or a name for the encoder's library.
    """
    with ExitStack() as stack:
        if engine == "rasa":
            ready = stack.enter_context(_rasa(train, answer_only, home or ROOT / ".hotline" / "rasa", epochs))
        elif engine == "encoder":
            ready = stack.enter_context(_encoder(train, answer_only, encoder or ""))
        else:
            ready = stack.enter_context(_embedded(train, answer_only))
        for example in test[:20]:
            ready.ask(example.text, frozenset())
        answered = [_answer(ready.ask, example, answer_only) for example in test]
    return _figures(engine, train, answered, ready), answered


def _answer(ask: Ask, example: Example, answer_only: frozenset[str]) -> Answered:
    expecting = answer_only & {example.intent}
    started = time.perf_counter()
    parse = ask(example.text, expecting)
    seconds = time.perf_counter() - started
    best = parse.ranking[0][0] if parse.ranking else ""
    return Answered(example, best, parse.intent, parse.confidence, parse.in_scope, seconds)


@contextmanager
def _embedded(train: Sequence[Example], answer_only: frozenset[str]) -> Iterator[Ready]:
    started = time.perf_counter()
    trained = fit.fit(train, answer_only).model
    train_s = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        trained.save(path)
        run = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "nlu.ready", str(path)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        cost = json.loads(run.stdout)
        engine = Embedded(type(trained).load(path))
        size = path.stat().st_size / 1e6
        yield Ready(
            lambda text, expecting: engine.parse(text, expecting=expecting),
            train_s,
            cost["ready_s"],
            cost["memory_mb"],
            size,
        )


@contextmanager
def _encoder(train: Sequence[Example], answer_only: frozenset[str], source: str) -> Iterator[Ready]:
    started = time.perf_counter()
    encode = encoders.load(source)
    ready_s = time.perf_counter() - started
    before = memory_of("self")
    engine = Embedded(fit.fit(train, answer_only, encode=encode).model, encode)
    train_s = time.perf_counter() - started - ready_s
    yield Ready(
        lambda text, expecting: engine.parse(text, expecting=expecting),
        train_s,
        ready_s,
        memory_of("self") - before,
        0.0,
        source,
    )


@contextmanager
def _rasa(train: Sequence[Example], answer_only: frozenset[str], home: Path, epochs: int | None) -> Iterator[Ready]:
    rasa_project.install(home)
    started = time.perf_counter()
    model = rasa_project.train(home, train, epochs)
    train_s = time.perf_counter() - started
    started = time.perf_counter()
    with rasa_project.serving(home, model, RASA_PORT) as (url, pid), asyncio.Runner() as runner:
        ready_s = time.perf_counter() - started
        server = RasaServer(url, frozenset(example.intent for example in train), answer_only, patience=30.0)

        def ask(text: str, expecting: frozenset[str]) -> Parse:
            return runner.run(server.parse_async(text, expecting=expecting))

        yield Ready(
            ask,
            train_s,
            ready_s,
            memory_of(pid),
            model.stat().st_size / 1e6,
            f"DIET, {epochs or 100} epochs, over HTTP",
        )
        runner.run(server.close())


def _figures(engine: str, train: Sequence[Example], answered: Sequence[Answered], ready: Ready) -> Figures:
    known = {example.intent for example in train} - {OUT_OF_SCOPE}
    inside = [a for a in answered if a.example.intent in known]
    strangers = [a for a in answered if a.example.intent not in known]
    times = sorted(a.seconds * 1000 for a in answered)
    by_language: defaultdict[str, list[Answered]] = defaultdict(list)
    for a in inside:
        by_language[a.example.language.value].append(a)
    wrong = Counter((a.example.intent, a.best) for a in inside if a.best != a.example.intent)
    return Figures(
        engine=engine,
        train=len(train),
        test=len(answered),
        intents=len(known),
        accuracy=sum(a.best == a.example.intent for a in inside) / max(1, len(inside)),
        macro_f1=macro_f1(inside),
        macro_f1_by_language={language: macro_f1(rows) for language, rows in sorted(by_language.items())},
        ece=calibration_error([(a.confidence, a.best == a.example.intent) for a in inside]),
        out_of_scope=_outside(inside, strangers) if strangers and inside else None,
        p50_ms=times[len(times) // 2],
        p99_ms=times[int(len(times) * 0.99)],
        train_s=ready.train_s,
        ready_s=ready.ready_s,
        memory_mb=ready.memory_mb,
        model_mb=ready.model_mb,
        detail=ready.detail,
        confusions=tuple((a, b, n) for (a, b), n in wrong.most_common(CONFUSIONS)),
    )


def macro_f1(answered: Sequence[Answered]) -> float:
    """The mean over the true intents of the harmonic mean of precision and recall."""
    right = Counter(a.best for a in answered if a.best == a.example.intent)
    given, true = Counter(a.best for a in answered), Counter(a.example.intent for a in answered)
    return sum(2 * right[intent] / (given[intent] + true[intent]) for intent in true) / max(1, len(true))


def calibration_error(judged: Sequence[tuple[float, bool]]) -> float:
    """Expected calibration error: how far confidence and success lie apart, over 15 bins of equal width."""
    bins: defaultdict[int, list[tuple[float, bool]]] = defaultdict(list)
    for confidence, right in judged:
        bins[min(BINS - 1, int(confidence * BINS))].append((confidence, right))
    gaps = (abs(sum(c for c, _ in rows) - sum(r for _, r in rows)) for rows in bins.values())
    return sum(gaps) / max(1, len(judged))


def auroc(inside: Sequence[float], outside: Sequence[float]) -> float:
    """The chance that one of `inside` scores above one of `outside`; ties count half."""
    ranked = sorted([(score, 1) for score in inside] + [(score, 0) for score in outside])
    wins, below, at = 0.0, 0, 0
    while at < len(ranked):
        upto = at
        while upto < len(ranked) and ranked[upto][0] == ranked[at][0]:
            upto += 1
        here = sum(kind for _, kind in ranked[at:upto])
        wins += here * (below + (upto - at - here) / 2)
        below += upto - at - here
        at = upto
    return wins / (len(inside) * len(outside))


def _outside(inside: Sequence[Answered], strangers: Sequence[Answered]) -> Outside:
    right = [a for a in inside if a.best == a.example.intent]
    limit = sorted(a.in_scope for a in right)[int(0.03 * len(right))] if right else 0.0
    return Outside(
        examples=len(strangers),
        auroc=auroc([a.in_scope for a in inside], [a.in_scope for a in strangers]),
        caught=sum(not a.given for a in strangers) / len(strangers),
        lost=sum(not a.given for a in right) / max(1, len(right)),
        caught_at_3_percent=sum(a.in_scope < limit for a in strangers) / len(strangers),
    )


def as_text(figures: Figures) -> str:
    """The figures for a terminal."""
    f, o = figures, figures.out_of_scope
    languages = "  ".join(f"{language} {value:.3f}" for language, value in f.macro_f1_by_language.items())
    lines = [
        f"{f.engine}: {f.train} training and {f.test} test examples, {f.intents} intents  {f.detail}",
        f"accuracy {f.accuracy:.4f}   macro-F1 {f.macro_f1:.4f} ({languages})   ECE {f.ece:.3f}",
        f"p50 {f.p50_ms:.3f} ms   p99 {f.p99_ms:.3f} ms   training {f.train_s:.1f} s   ready {f.ready_s:.2f} s   "
        f"memory {f.memory_mb:.0f} MB   model {f.model_mb:.1f} MB",
    ]
    if o:
        lines.append(
            f"out of scope ({o.examples}): AUROC {o.auroc:.3f}   caught {o.caught:.1%} at {o.lost:.1%} lost   "
            f"({o.caught_at_3_percent:.1%} at 3 % lost)"
        )
    lines += [f"  {n:3d}  {true} -> {best or '(none)'}" for true, best, n in f.confusions]
    return "\n".join(lines)


def as_json(figures: Figures) -> str:
    return json.dumps(asdict(figures), ensure_ascii=False, indent=1)


def as_picture(answered: Sequence[Answered]) -> str:
    """The confusion matrix as SVG: rows are true intents, columns what was given; only wrong cells are coloured red."""
    counts = Counter((a.example.intent or OUT_OF_SCOPE, a.given or OUT_OF_SCOPE) for a in answered)
    names = sorted({name for pair in counts for name in pair})
    place = {name: i for i, name in enumerate(names)}
    rows: Counter[str] = Counter()
    for (true, _), n in counts.items():
        rows[true] += n
    cell, margin = 11, 190
    side = margin + cell * len(names) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" font-family="sans-serif" font-size="8">',
        f'<rect width="{side}" height="{side}" fill="#fff"/>',
    ]
    for name, i in place.items():
        at, label = margin + i * cell, html.escape(name)
        parts.append(f'<text x="{margin - 4}" y="{at + 8}" text-anchor="end">{label}</text>')
        parts.append(f'<text transform="translate({at + 8},{margin - 4}) rotate(-90)">{label}</text>')
    for (true, given), n in sorted(counts.items()):
        share = n / rows[true]
        colour = "#2b7a4b" if true == given else "#c0392b"
        x, y = margin + place[given] * cell, margin + place[true] * cell
        title = f"<title>{html.escape(true)} → {html.escape(given)}: {n}</title>"
        parts.append(
            f'<rect x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" fill="{colour}" '
            f'opacity="{0.2 + 0.8 * share:.2f}">{title}</rect>'
        )
    return "\n".join([*parts, "</svg>"])
