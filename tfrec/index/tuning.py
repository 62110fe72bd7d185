"""How many cells, and how many of them a query has to look into, for a recall that is wanted.

numbers of cells ─▶ an index each ─▶ probes doubled, then halved in, until half of the queries
reach the target ─▶ the fastest ─▶ its recall on the other half is what is reported
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfrec.errors import DescriptionError
from tfrec.index.cells import default_cells, train_cells
from tfrec.index.exact import ExactIndex
from tfrec.index.index import Index
from tfrec.index.ivf import IvfIndex

__all__ = ["Measured", "Tuning", "recall_of", "tune"]

_BATCH = 64
# Rows asked one at a time to tell how long an answer takes.
_TIMED = 30
# What is tried, as multiples of the default number of cells.
_CELLS = (0.5, 1.0)


@dataclass(frozen=True)
class Measured:
    """One setting of an index.

    Attributes:
        cells: How many there are.
        probes: How many a query looks into.
        recall: Of the k best, against the exact answer.
        milliseconds: Median of one query in this process.
    """

    cells: int
    probes: int
    recall: float
    milliseconds: float


@dataclass(frozen=True)
class Tuning:
    """What was measured and chosen.

    Attributes:
        kind: Of the index.
        k: Items a query asked for.
        target: Recall that was wanted.
        chosen: The fastest setting that reached it; its recall is that of the queries that took no
            part in the choice.
        curve: All that was measured, by cells and probes.
        exact_milliseconds: Median of one query that scores every item.
        memory: Bytes of the index over bytes of the vectors.
    """

    kind: str
    k: int
    target: float
    chosen: Measured
    curve: tuple[Measured, ...]
    exact_milliseconds: float
    memory: float


def tune(
    vectors: np.ndarray,
    queries: np.ndarray,
    excluded: np.ndarray | None = None,
    *,
    kind: str = "ivf",
    target: float = 0.98,
    k: int = 10,
    cells: Sequence[int] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[IvfIndex, Tuning]:
    """Builds the index that answers fastest with the recall that is wanted.

    Args:
        vectors: float32 [N, D].
        queries: float32 [q, D], at least two; like those that will be asked.
        excluded: int32 [q, e], items that a query may not return; -1 is padding.
        kind: `ivf`, `ivf-int8` or `ivf-pq`.
        target: Recall at `k`, above 0 and at most 1.
        k: Items a query asks for.
        cells: Numbers of cells to try; `default_cells` and half of it unless given.
        say: Takes a line on each step.

    Raises:
        DescriptionError: A number is out of bounds, or no setting reaches the target: rounded
            vectors may rank the last few items otherwise whatever is probed.
        ExportError: The vectors are empty or not finite.
    """
    _check(target, k, queries, len(vectors))
    usual = default_cells(len(vectors))
    tried = cells or sorted({max(1, min(round(usual * t), len(vectors))) for t in _CELLS})
    exact = ExactIndex(vectors)
    truth = _answers(exact, queries, excluded, k)
    exact_time = _time(exact, queries, excluded, k)
    del exact
    curve: list[Measured] = []
    best: tuple[IvfIndex, Measured] | None = None
    for count in tried:
        start = time.perf_counter()
        index = IvfIndex(vectors, kind, train_cells(vectors, count), probes=1)
        say(f"{index.cells} cells built in {time.perf_counter() - start:.1f} s")
        measured = _fewest_probes(index, queries, excluded, truth, target, k, say)
        curve += measured
        reached = [point for point in measured if point.recall >= target]
        if reached and (best is None or reached[0].milliseconds < best[1].milliseconds):
            best = index, reached[0]
    if best is None:
        most = max(curve, key=lambda point: point.recall)
        raise DescriptionError(
            "target recall",
            f"an index of kind {kind} has to reach it",
            received=f"{target:g}, while probing {most.probes} of {most.cells} cells gives"
            f" {most.recall:.4f}",
            remedy="Take a lower target, or `ivf`, which keeps the vectors as they are",
        )
    index, point = best
    index.probes = point.probes
    held = slice(1, None, 2)
    answers = _answers(index, queries[held], None if excluded is None else excluded[held], k)
    recall = recall_of(answers, truth[held])
    chosen = Measured(point.cells, point.probes, recall, point.milliseconds)
    curve.sort(key=lambda each: (each.cells, each.probes))
    memory = index.bytes / vectors.nbytes
    return index, Tuning(kind, k, target, chosen, tuple(curve), exact_time, memory)


def recall_of(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of the true items [q, k] that were found [q, k]; -1 is none, and no query's loss.

    Example:
        >>> recall_of(np.array([[1, 2], [3, -1]]), np.array([[2, 5], [3, -1]]))
        0.6666666666666666
    """
    hits = sum(len(set(a) & (set(b) - {-1})) for a, b in zip(found, truth, strict=True))
    return hits / max(int((truth >= 0).sum()), 1)


def _check(target: float, k: int, queries: np.ndarray, size: int) -> None:
    wrong = (
        ("target recall", "it is above 0 and at most 1", target, "Take 0.98", not 0 < target <= 1),
        ("k", "it is from 1 to the number of items", k, "Take 10", not 1 <= k <= size),
        ("queries", "there are at least two", len(queries), "Give more", len(queries) < 2),
    )
    for where, rule, received, remedy, broken in wrong:
        if broken:
            raise DescriptionError(where, rule, received=received, remedy=remedy)


def _fewest_probes(
    index: IvfIndex,
    queries: np.ndarray,
    excluded: np.ndarray | None,
    truth: np.ndarray,
    target: float,
    k: int,
    say: Callable[[str], None],
) -> list[Measured]:
    """Settings of one index, the one with fewest probes that reaches the target first."""
    asked = slice(0, None, 2)
    search = _searching(index)
    chosen = queries[asked], None if excluded is None else excluded[asked]

    def measure(probes: int) -> Measured:
        index.probes = probes
        recall = recall_of(_answers(index, *chosen, k, search), truth[asked])
        took = _time(index, *chosen, k, search)
        say(f"  {probes} probes: recall {recall:.4f}, {took:.2f} ms")
        return Measured(index.cells, probes, recall, took)

    measured = [measure(1)]
    while measured[-1].recall < target and measured[-1].probes < index.cells:
        measured.append(measure(min(2 * measured[-1].probes, index.cells)))
    if measured[-1].recall < target:
        return measured
    high = measured[-1]
    low = measured[-2].probes if len(measured) > 1 else 0
    while high.probes - low > max(1, high.probes // 8):
        middle = measure((low + high.probes) // 2)
        measured.append(middle)
        if middle.recall >= target:
            high = middle
        else:
            low = middle.probes
    return [high, *(point for point in measured if point is not high)]


def _searching(index: Index) -> Callable[..., tf.Tensor]:
    width = tf.TensorSpec([None, index.dimension], tf.float32)
    ids = tf.TensorSpec([None, None], tf.int32)

    @tf.function(input_signature=[width, tf.TensorSpec([], tf.int32), ids])
    def search(queries: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor) -> tf.Tensor:
        return index.search(queries, k, excluded).items

    return search


def _answers(
    index: Index,
    queries: np.ndarray,
    excluded: np.ndarray | None,
    k: int,
    search: Callable[..., tf.Tensor] | None = None,
) -> np.ndarray:
    search = search or _searching(index)
    out = np.full((len(queries), 0), -1, np.int32) if excluded is None else excluded
    return np.concatenate(
        [
            search(queries[start : start + _BATCH], k, out[start : start + _BATCH]).numpy()
            for start in range(0, len(queries), _BATCH)
        ]
    )


def _time(
    index: Index,
    queries: np.ndarray,
    excluded: np.ndarray | None,
    k: int,
    search: Callable[..., tf.Tensor] | None = None,
) -> float:
    search = search or _searching(index)
    out = np.full((len(queries), 0), -1, np.int32) if excluded is None else excluded
    times = []
    for row in range(-3, min(_TIMED, len(queries))):
        place = slice(max(row, 0), max(row, 0) + 1)
        query, unwanted = tf.constant(queries[place]), tf.constant(out[place])
        start = time.perf_counter()
        search(query, k, unwanted)
        times.append(time.perf_counter() - start)
    # The first three warm up.
    return float(np.median(times[3:])) * 1e3
