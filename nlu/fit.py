"""Fits the embedded classifier: the only module that needs scikit-learn, imported only when something is trained.

With many examples an intent a linear support-vector machine is best, with few a softmax regression. Neither gives
probabilities one may believe, and neither knows what it was never told; both are learnt from rehearsals: the model is
fitted again without some of the examples and without some whole intents, and judged on those as they would be met: an
answer-only intent wins only where it is expected. From the first come the temperature (0.8 is right 80 % of the time)
and the figures of the training report, from the second the detector of texts that no intent covers.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix, diags, hstack
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from nlu.encoder import Encode
from nlu.engine import OUT_OF_SCOPE
from nlu.examples import Example
from nlu.features import grams
from nlu.model import EXPECTED, Block, Detector, Model, Table, reading

FEW = 20
"""Below so many examples an intent (median) a softmax regression is fitted."""

MANY = 6000
"""From so many examples on, grams seen once are left out and one rehearsal is enough."""

SHARES = (1.0, 0.6, 1.0, 0.5, 0.4)
SHARES_OF_FEW = (1.0, 0.6, 1.0, 0.8, 0.5)
"""The length given to words, pairs, pieces, groups and pairs of groups, with many examples an intent and with few: what
words mean counts more the fewer there are. By cross-validation on public training sets."""

DENSE_SHARE = 1.0
"""The length of an encoder's embedding beside them."""

SVM_COST = 0.7
SOFTMAX_COST = 10.0
FOLDS = 3
FOLDS_OF_MANY = 6
"""A rehearsal leaves out a third of the examples, each another; the only one where there are many a sixth: the less is
left out, the more what is judged is like the model that will be asked."""

HELD_OUT_INTENTS = 5
"""A rehearsal leaves out every fifth intent."""

MISLABELLED = 0.02
"""The share of examples taken to be labelled by mistake: a few wild ones must not make the model doubt everything."""

MAY_LOSE = 0.03
"""The share of rightly understood examples the detector may turn away."""

SEED = 20260101

Progress = Callable[[str, float], None]
"""Called with what is being done and how far it is, 0..1."""

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a rehearsal said of examples it had not seen: `scores` (examples × intents), and `odds`, what being met in a
    conversation adds to each intent's log-odds.
    """

    examples: Ints
    scores: Doubles
    odds: Doubles
    known: Doubles
    absent: Bools


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model, and what the rehearsals told: for each example judged, its number, the intent given and how surely."""

    model: Model
    judged: tuple[tuple[int, str, float], ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """Examples × grams, one table a block; entries are the grams' weights, before scaling."""

    index: dict[str, int]
    weights: csr_matrix
    idf: Doubles
    total: Ints
    share: float


def fit(
    examples: Sequence[Example],
    answer_only: frozenset[str] = frozenset(),
    progress: Progress = lambda _what, _far: None,
    encode: Encode | None = None,
) -> Fitted:
    """Trains on `examples`, with an encoder's embeddings beside the words if given; needs two intents (ValueError)."""
    with (
        threadpool_limits(limits=1),
        warnings.catch_warnings(),
    ):  # small matrices: more threads only wait for each other
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits do not matter
        return _fit(examples, answer_only, progress, encode)


def _fit(examples: Sequence[Example], answer_only: frozenset[str], progress: Progress, encode: Encode | None) -> Fitted:
    intents = tuple(sorted({example.intent for example in examples}))
    if len(intents) < 2:
        raise ValueError("training needs examples of at least two intents")
    number = {intent: i for i, intent in enumerate(intents)}
    labels = np.array([number[example.intent] for example in examples])
    progress("features", 0.0)
    texts = [example.text for example in examples]
    few = np.median(np.bincount(labels)) < FEW
    if few:  # a name says something too where little else does
        texts += [intent.replace("_", " ") for intent in intents]
        labels = np.concatenate([labels, np.arange(len(intents))])
    tables = _tables(texts, SHARES_OF_FEW if few else SHARES)
    dense = csr_matrix(encode(texts) * DENSE_SHARE) if encode else csr_matrix((len(texts), 0))
    oos = number.get(OUT_OF_SCOPE)
    odds = _odds(intents, answer_only)
    with ThreadPoolExecutor(2) as pool:  # the solver lets other threads run meanwhile
        everything = csr_matrix(hstack([_scaled(tables, np.ones(len(labels), bool))[0], dense]))
        solved = pool.submit(_solve, everything, labels, len(intents))
        rehearsals = []
        rounds, folds = (1, FOLDS_OF_MANY) if len(examples) >= MANY else (FOLDS, FOLDS)
        for n in range(rounds):
            progress("rehearsal", 0.1 + 0.6 * n / rounds)
            rehearsals.append(_rehearse(tables, dense, labels, odds, n, folds))
        progress("fitting", 0.7)
        weights, bias = solved.result()
    progress("calibration", 0.95)
    temperature = _temperature(rehearsals, labels, oos, 0.0 if few else MISLABELLED)
    idf = np.concatenate([table.idf for table in tables])
    model = Model(
        intents=intents,
        answer_only=answer_only & set(intents),
        blocks=_blocks(tables),
        table=Table.of((weights[: len(idf)] * idf[:, None]).astype(np.float32), idf.astype(np.float32)),
        bias=bias.astype(np.float32),
        temperature=temperature,
        detector=_detector(rehearsals, labels, oos, temperature),
        dense=(weights[-dense.shape[1] :] * DENSE_SHARE).astype(np.float32) if encode else None,
    )
    progress("done", 1.0)
    judged = _judged(rehearsals, intents, temperature)
    return Fitted(model, tuple(row for row in judged if row[0] < len(examples)))


def _tables(texts: Sequence[str], shares: Sequence[float]) -> list[_Table]:
    found = [grams(text) for text in texts]
    least = 2 if len(texts) >= MANY else 1
    return [_table([blocks[n] for blocks in found], share, least) for n, share in enumerate(shares)]


def _table(found: Sequence[set[str]], share: float, least: int) -> _Table:
    number: defaultdict[str, int] = defaultdict()
    number.default_factory = number.__len__  # a gram never met before gets the next number
    columns = np.fromiter(chain.from_iterable(map(number.__getitem__, each) for each in found), np.int32)
    total = np.array([len(each) for each in found])
    counts = np.bincount(columns, minlength=len(number))
    index = {gram: n for n, gram in enumerate(sorted(gram for gram, n in number.items() if counts[n] >= least))}
    place = np.full(len(number), -1, np.int32)
    place[[number[gram] for gram in index]] = np.arange(len(index), dtype=np.int32)
    placed = place[columns]
    known = placed >= 0
    ends = np.concatenate([[0], np.cumsum(total)])
    ends = np.concatenate([[0], np.cumsum(known)])[ends]
    df = np.array([counts[number[gram]] for gram in index], float)
    idf = np.log((1 + len(found)) / (1 + df)) + 1
    weights = csr_matrix((idf[placed[known]], placed[known], ends), (len(found), len(index)))
    weights.sort_indices()
    return _Table(index, weights, idf, total, share)


def _scaled(tables: Sequence[_Table], seen: Bools) -> tuple[csr_matrix, Doubles]:
    """Every example over the grams of the `seen` ones, scaled block by block; and how much of each is known."""
    parts, known = [], []
    for table in tables:
        there = np.asarray(table.weights[seen].getnnz(axis=0) > 0, float)
        rows = table.weights if there.all() else csr_matrix(table.weights @ diags(there))
        rows.eliminate_zeros()
        lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
        parts.append(diags(table.share / np.maximum(lengths, 1e-12)) @ rows)
        known.append(rows.getnnz(axis=1) / np.maximum(table.total, 1))
    return csr_matrix(hstack(parts)), np.stack(known, axis=1)


def _rehearse(
    tables: Sequence[_Table], dense: csr_matrix, labels: Ints, odds: Doubles, n: int, folds: int
) -> Rehearsed:
    """Fits without a share of the examples and without some intents, and judges those."""
    intents = len(odds)
    random = np.random.default_rng(SEED + n)
    fold = np.empty(len(labels), int)
    for intent in range(intents):  # every intent is spread evenly over the folds
        mine = np.flatnonzero(labels == intent)
        fold[random.permutation(mine)] = (np.arange(len(mine)) + intent) % folds
    absent_intents = (
        random.permutation(intents) % HELD_OUT_INTENTS == n if intents >= HELD_OUT_INTENTS else np.zeros(intents, bool)
    )
    absent_intents &= np.isfinite(odds.diagonal())  # all but out of scope, which is no intent
    absent = absent_intents[labels]
    seen = (fold != n) & ~absent
    rows, known = _scaled(tables, seen)
    rows = csr_matrix(hstack([rows, dense]))
    present = np.unique(labels[seen])
    weights, bias = _solve(rows[seen], np.searchsorted(present, labels[seen]), len(present))
    judged = np.flatnonzero(~seen)
    scores = np.full((len(judged), intents), -np.inf)
    scores[:, present] = rows[judged] @ weights + bias
    return Rehearsed(judged, scores, odds[labels[judged]], known[judged], absent[judged])


def _solve(rows: csr_matrix, labels: Ints, intents: int) -> tuple[Doubles, Doubles]:
    """Weights (grams × intents) and bias (intents)."""
    few = np.median(np.bincount(labels, minlength=intents)) < FEW
    if few:
        return _softmax(rows, labels)
    machine = LinearSVC(C=SVM_COST, tol=0.3, random_state=SEED).fit(rows, labels)
    weights, bias = machine.coef_.T, machine.intercept_
    return (np.hstack([-weights, weights]), np.hstack([-bias, bias])) if intents == 2 else (weights, bias)


def _softmax(rows: csr_matrix, labels: Ints) -> tuple[Doubles, Doubles]:
    """Softmax regression, solved in the space the few examples span, which is the same and much smaller."""
    values, vectors = np.linalg.eigh((rows @ rows.T).toarray())
    keep = values > 1e-8
    basis = vectors[:, keep] / np.sqrt(values[keep])
    inside = vectors[:, keep] * np.sqrt(values[keep])
    machine = LogisticRegression(C=SOFTMAX_COST, max_iter=300, tol=1e-3).fit(inside, labels)
    weights = np.asarray(rows.T @ (basis @ machine.coef_.T))
    bias = machine.intercept_
    return (np.hstack([-weights, weights]), np.hstack([-bias, bias])) if weights.shape[1] == 1 else (weights, bias)


def _blocks(tables: Sequence[_Table]) -> tuple[Block, ...]:
    blocks, first = [], 0
    for table in tables:
        blocks.append(Block({gram: first + n for gram, n in table.index.items()}, table.share))
        first += len(table.index)
    return tuple(blocks)


def _odds(intents: Sequence[str], answer_only: frozenset[str]) -> Doubles:
    """What nlu.model adds to the log-odds of each intent (column) when an example of each (row) is met."""
    never = np.array([intent in answer_only or intent == OUT_OF_SCOPE for intent in intents])
    odds = np.tile(np.where(never, -np.inf, 0.0), (len(intents), 1))
    expected = np.flatnonzero([intent in answer_only for intent in intents])
    odds[expected, expected] = EXPECTED
    return odds


def _temperature(rehearsals: Sequence[Rehearsed], labels: Ints, oos: int | None, mislabelled: float) -> float:
    """The divisor under which the unseen examples' true intents were most probable."""

    def surprise(log_temperature: float) -> float:
        total = 0.0
        for part in rehearsals:
            mine = ~part.absent & (labels[part.examples] != oos)
            chances = softmax(part.scores[mine] / np.exp(log_temperature) + part.odds[mine], axis=1)
            right = chances[np.arange(len(chances)), labels[part.examples[mine]]]
            total -= float(np.log((1 - mislabelled) * right + (mislabelled or 1e-12) / chances.shape[1]).sum())
        return total

    return float(np.exp(minimize_scalar(surprise, bounds=(-5, 3), method="bounded").x))


def _detector(rehearsals: Sequence[Rehearsed], labels: Ints, oos: int | None, temperature: float) -> Detector:
    """Learnt from unseen examples of known intents against those of absent intents and of the out-of-scope label.

    The two kinds of strangers weigh the same, whatever their number, and together as much as the known.
    """
    readings, kinds, right = [], [], []
    for part in rehearsals:
        true = labels[part.examples]
        met = part.scores + part.odds * temperature
        best, ordered = met.argmax(axis=1), -np.sort(-met, axis=1)[:, :3].astype(np.float32)
        for n in np.flatnonzero(np.isfinite(ordered[:, 0])).tolist():
            outside = None if oos is None else float(part.scores[n, oos])
            readings.append(reading(ordered[n], outside, part.known[n].tolist()))
            kinds.append(2 if true[n] == oos else 1 if part.absent[n] else 0)
            right.append(kinds[-1] == 0 and best[n] == true[n])
    table, kind = np.array(readings), np.array(kinds)
    counts = np.bincount(kind, minlength=3)
    strangers = int((counts[1:] > 0).sum())
    if not strangers or not counts[0]:
        return Detector(np.zeros(table.shape[1], np.float32), 1.0, 0.0)
    spread = table.std(axis=0) + 1e-9
    weigh = np.array([1.0, 1 / strangers, 1 / strangers])[kind] / counts[kind] * len(kind)
    machine = LogisticRegression().fit(table / spread, kind == 0, sample_weight=weigh)
    detector = Detector((machine.coef_[0] / spread).astype(np.float32), float(machine.intercept_[0]), 0.0)
    of_right = [detector.in_scope(row) for row in table[np.array(right)]]
    return replace(detector, threshold=float(np.quantile(of_right, MAY_LOSE)) if of_right else 0.0)


def _judged(
    rehearsals: Sequence[Rehearsed], intents: Sequence[str], temperature: float
) -> tuple[tuple[int, str, float], ...]:
    found: dict[int, tuple[int, str, float]] = {}
    for part in rehearsals:
        chances = np.exp(log_softmax(part.scores / temperature, axis=1))
        for row, example, absent in zip(chances, part.examples.tolist(), part.absent, strict=True):
            if not absent:
                best = int(row.argmax())
                found[example] = (example, intents[best], float(row[best]))
    return tuple(found[example] for example in sorted(found))
