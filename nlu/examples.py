"""Training and test examples: read from Rasa's YAML or text<TAB>intent lines, hashed, and compared for leaks.

Rasa's training format, version "3.1": `nlu: - intent: name  examples: |  - text`. Entity annotations such as
`[Chengdu](city)` are read as their plain text.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bot.core.words import Language
from nlu.features import language_of, normalise

NEAR_DUPLICATE = 0.8
"""Texts whose character 3-grams overlap (Jaccard) at least so much say the same in the same words."""

_QUOTED = re.compile(r'「([^」\n]+)」|"([^"\n]+)"')
_ANNOTATION = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\{[^}]*\})")


class BadExamples(ValueError):  # noqa: N818 - what the file holds
    """A file does not hold examples; the message names the file and says what is wrong."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled utterance and where it stands."""

    text: str
    intent: str
    file: str = ""

    @property
    def language(self) -> Language:
        return language_of(self.text)


@dataclass(frozen=True, slots=True)
class Near:
    """Two examples that are the same, or nearly (`similarity` 0..1)."""

    left: Example
    right: Example
    similarity: float


def files(place: Path) -> list[Path]:
    """The example files at `place` (a file, or a folder of .yml and .tsv files), sorted; none where nothing is."""
    if place.is_file():
        return [place]
    return sorted(p for p in place.glob("*") if p.suffix in {".yml", ".yaml", ".tsv"})


def read(*places: Path) -> list[Example]:
    """All examples at `places`, in file order. Raises BadExamples."""
    return [example for place in places for path in files(place) for example in _read(path)]


def digest(paths: Iterable[Path], *also: str) -> str:
    """A hash of the files' contents and of `also`; file names and times do not matter."""
    total = hashlib.sha256()
    for part in also:
        total.update(part.encode() + b"\0")
    for path in paths:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:24]


def _read(path: Path) -> list[Example]:
    text = path.read_text("utf-8")
    if path.suffix == ".tsv":
        rows = [line.rsplit("\t", 1) for line in text.splitlines() if line.strip()]
        if any(len(row) != 2 for row in rows):
            raise BadExamples(f"{path.name}: every line must be text<TAB>intent")
        return [Example(row[0].strip(), row[1].strip(), path.name) for row in rows]
    try:
        data: Any = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except yaml.YAMLError as error:
        raise BadExamples(f"{path.name}: {error}") from error
    blocks = data.get("nlu") if isinstance(data, dict) else None
    if not isinstance(blocks, list):
        raise BadExamples(f"{path.name}: no list under `nlu:`")
    found = []
    for block in blocks:
        if not isinstance(block, dict) or "intent" not in block:
            continue  # Rasa also knows synonyms, lookups and regexes
        lines = str(block.get("examples") or "").splitlines()
        texts = (_ANNOTATION.sub(r"\1", line.strip()[1:]).strip() for line in lines if line.strip().startswith("-"))
        found += [Example(text, str(block["intent"]), path.name) for text in texts if text]
    return found


def quoted(place: Path) -> list[Example]:
    """What the Markdown at `place` (a file, or a folder) has in 「」 or "": what no example may repeat."""
    pages = [place] if place.is_file() else sorted(place.rglob("*.md"))
    if not pages:
        raise BadExamples(f"{place}: no Markdown there")
    return [
        Example((chinese or english).strip(), "", page.name)
        for page in pages
        for chinese, english in _QUOTED.findall(page.read_text("utf-8"))
    ]


def near_duplicates(left: Sequence[Example], right: Sequence[Example]) -> list[Near]:
    """Pairs across the two sets that are the same or nearly the same text, the most alike first.

    Two sets are kept apart by this (training, test, and the catalogue's own utterances). Given the same list twice it
    finds the repetitions inside it, each pair once.
    """
    within = left is right
    ours = [_shingles(example.text) for example in left]
    theirs = ours if within else [_shingles(example.text) for example in right]
    counts = Counter(gram for grams in (ours if within else [*ours, *theirs]) for gram in grams)
    rare = [_rarest(grams, counts) for grams in ours]
    holders: dict[str, list[int]] = defaultdict(list)
    for index, few in enumerate(rare if within else [_rarest(grams, counts) for grams in theirs]):
        for gram in few:
            holders[gram].append(index)
    found = []
    for at, example in enumerate(left):
        grams = ours[at]
        for index in {index for gram in rare[at] for index in holders.get(gram, ())}:
            common = len(grams & theirs[index])
            similarity = common / (len(grams) + len(theirs[index]) - common)
            if similarity >= NEAR_DUPLICATE and (not within or at < index):
                found.append(Near(example, right[index], similarity))
    return sorted(found, key=lambda near: -near.similarity)


def _rarest(grams: frozenset[str], counts: Counter[str]) -> list[str]:
    """So many of the rarest that two texts as alike as NEAR_DUPLICATE must share one of them."""
    ordered = sorted(grams, key=lambda gram: (counts[gram], gram))
    return ordered[: len(grams) - math.ceil(NEAR_DUPLICATE * len(grams)) + 1]


def _shingles(text: str) -> frozenset[str]:
    """Character 3-grams of the letters and digits alone: punctuation, case and width make no difference.

    A text without any is compared whole.
    """
    bare = "".join(ch for ch in normalise(text) if ch.isalnum())
    plain = f"^{bare or text}$"
    return frozenset(plain[i : i + 3] for i in range(max(1, len(plain) - 2)))
