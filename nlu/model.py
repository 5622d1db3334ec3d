"""The trained classifier: numbers, and the arithmetic that turns a text into calibrated probabilities.

Only numpy is needed here; scikit-learn is imported where a model is fitted (fit.py), which a cached start never does.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlu.engine import OUT_OF_SCOPE
from nlu.features import grams

Floats = NDArray[np.float32]

FORMAT = "8"
"""Changes whenever a stored model of before could not be read or would mean something else."""

EXPECTED = math.log(3.0)
"""What an open question adds to the log-odds of the answers it expects: three times as likely as by the words alone."""


class BadModel(ValueError):  # noqa: N818 - what the file is
    """The file holds no model this version can read."""


@dataclass(frozen=True, slots=True)
class Block:
    """One kind of feature: for each known gram the number of its row in the model's table.

    A text's known grams, by their weights, are scaled to length `share`: a long text shouts no louder than a short one.
    """

    rows: dict[str, int]
    share: float


@dataclass(frozen=True, slots=True)
class Table:
    """What each gram (row) says for each intent, in single bytes of the row's `steps`, and the `squares` of its weight.

    Single bytes take a quarter of the memory and give no different an answer.
    """

    says: NDArray[np.int8]
    steps: list[float]
    squares: list[float]

    @classmethod
    def of(cls, says: Floats, weights: Floats) -> Table:
        """The table of `says` (grams × intents) brought into steps."""
        steps = np.maximum(np.abs(says).max(axis=1, initial=0.0), 1e-9) / 127
        return cls(np.rint(says / steps[:, None]).astype(np.int8), steps.tolist(), (weights**2).tolist())


@dataclass(frozen=True, slots=True)
class Detector:
    """Tells texts that no intent covers from those one does: a logistic regression over `Reading`s."""

    weights: Floats
    bias: float
    threshold: float

    def in_scope(self, reading: Floats) -> float:
        """0..1; below `threshold` nothing fits."""
        return float(1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, float(reading @ self.weights) + self.bias)))))


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ranking` is best first over the candidates and sums to 1; `in_scope` says how surely any of them fits at all."""

    ranking: tuple[tuple[str, float], ...]
    in_scope: float
    fits: bool


@dataclass(frozen=True, slots=True)
class Model:
    """A linear model over the blocks of features, a temperature that makes its scores probabilities, and a detector.

    `dense` (dimensions × intents) weighs an encoder's embedding, where one was used.
    """

    intents: tuple[str, ...]
    answer_only: frozenset[str]
    blocks: tuple[Block, ...]
    table: Table
    bias: Floats
    temperature: float
    detector: Detector
    dense: Floats | None = None

    def judge(
        self,
        text: str,
        enabled: frozenset[str] | None = None,
        expecting: frozenset[str] = frozenset(),
        best: int = 10,
        embedding: Floats | None = None,
    ) -> Verdict:
        """The candidates for `text`, at most `best` of them. No candidate at all is out of scope.

        `embedding` is the encoder's row for `text`, where the model was trained with one.
        """
        scores, known = self.scores(text)
        if self.dense is not None and embedding is not None:
            scores += embedding @ self.dense
        candidates = scores + self.temperature * _odds(self.intents, self.answer_only, enabled, expecting)
        order = np.argsort(-candidates)[:best]
        if not math.isfinite(candidates[order[0]]):
            return Verdict((), 0.0, fits=False)
        chances = np.exp((candidates - candidates[order[0]]) / self.temperature)
        shares = (chances[order] / chances.sum()).tolist()
        ranking = tuple((self.intents[i], p) for i, p in zip(order.tolist(), shares, strict=True) if p > 0)
        outside = float(scores[self.outside]) if self.outside is not None else None
        in_scope = self.detector.in_scope(reading(candidates[order[:3]], outside, known))
        return Verdict(ranking, in_scope, fits=in_scope >= self.detector.threshold)

    def scores(self, text: str) -> tuple[Floats, tuple[float, ...]]:
        """Each intent's raw score, and for each block how much of the text is known, 0..1."""
        steps, squares = self.table.steps, self.table.squares
        rows: list[int] = []
        shares: list[float] = []
        known = []
        for block, found in zip(self.blocks, grams(text), strict=True):
            mine = [block.rows[gram] for gram in found & block.rows.keys()]
            known.append(len(mine) / len(found) if found else 0.0)
            if mine:
                scale = block.share / math.sqrt(sum([squares[row] for row in mine]))
                rows += mine
                shares += [scale * steps[row] for row in mine]
        if not rows:
            return self.bias.copy(), tuple(known)
        said = self.table.says[np.array(rows)].astype(np.float32)
        return np.array(shares, np.float32) @ said + self.bias, tuple(known)

    @property
    def outside(self) -> int | None:
        """The number of the label of texts that no intent covers, where the examples have one."""
        return self.intents.index(OUT_OF_SCOPE) if OUT_OF_SCOPE in self.intents else None

    def save(self, path: Path) -> None:
        """Writes the model whole or not at all."""
        meta = {
            "format": FORMAT,
            "intents": self.intents,
            "answer_only": sorted(self.answer_only),
            "temperature": self.temperature,
            "shares": [block.share for block in self.blocks],
            "detector": [self.detector.bias, self.detector.threshold],
        }
        arrays: dict[str, Any] = {
            "bias": self.bias,
            "says": self.table.says,
            "steps": np.array(self.table.steps, np.float32),
            "squares": np.array(self.table.squares, np.float32),
            "detector": self.detector.weights,
            "meta": _packed(json.dumps(meta)),
        }
        if self.dense is not None:
            arrays["dense"] = self.dense
        for n, block in enumerate(self.blocks):
            arrays[f"grams{n}"] = _packed("\n".join(block.rows))
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez(file, **arrays)
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Model:
        """Reads what `save` wrote. Raises BadModel for anything else, a half-written file included."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                meta = json.loads(_unpacked(stored["meta"]))
                if meta["format"] != FORMAT:
                    raise BadModel(f"{path.name} is of format {meta['format']}, not {FORMAT}")
                blocks, first = [], 0
                for n, share in enumerate(meta["shares"]):
                    names = _unpacked(stored[f"grams{n}"])
                    known = names.split("\n") if names else []
                    blocks.append(Block(dict(zip(known, range(first, first + len(known)), strict=True)), share))
                    first += len(known)
                bias, threshold = meta["detector"]
                return cls(
                    intents=tuple(meta["intents"]),
                    answer_only=frozenset(meta["answer_only"]),
                    blocks=tuple(blocks),
                    table=Table(stored["says"], stored["steps"].tolist(), stored["squares"].tolist()),
                    bias=stored["bias"],
                    temperature=meta["temperature"],
                    detector=Detector(stored["detector"], bias, threshold),
                    dense=stored.get("dense"),
                )
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise BadModel(f"{path.name}: {error}") from error


@lru_cache(256)
def _odds(
    intents: tuple[str, ...], answer_only: frozenset[str], enabled: frozenset[str] | None, expecting: frozenset[str]
) -> Floats:
    """What to add to the log-odds so that only candidates can win. Out of scope is none: the detector says so."""
    never = answer_only | {OUT_OF_SCOPE}
    return np.array(
        [
            EXPECTED
            if intent in expecting
            else -np.inf
            if intent in never or (enabled is not None and intent not in enabled)
            else 0.0
            for intent in intents
        ],
        np.float32,
    )


def reading(best: Floats, outside: float | None, known: Sequence[float]) -> Floats:
    """What the detector looks at: the best score, its lead over the second, the third and out of scope, and how many of
    the text's words, pairs and pieces are known (`known` is by block)."""
    top, *others = best.tolist()
    leads = [top - other if math.isfinite(other) else 0.0 for other in (*others, math.inf, math.inf)[:2]]
    over = top - outside if outside is not None else 0.0
    return np.array((top, *leads, over, *known[:3]), np.float32)


def _packed(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _unpacked(stored: NDArray[np.uint8]) -> str:
    return stored.tobytes().decode()
