"""Balanced k-means cells of item vectors: spherical, trained in TensorFlow, bounded in size.

Inner product becomes an angle first: a vector is lengthened by one coordinate so that all are of
one length (Bachrach et al. 2014, "Speeding up the Xbox recommender system", section 3.1), which
leaves vectors of equal length as they are.

    vectors ─▶ directions ─▶ k-means on a sample ─▶ nearest centroid of each ─▶ cells beyond the
    bound cut in halves along their widest direction, until none is left
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfrec.errors import DescriptionError

__all__ = ["Cells", "default_cells", "train_cells"]

# Vectors compared with the centroids in one step: 8,192 x 4,096 products are 128 MB.
_BLOCK = 8192
# Lloyd steps, and vectors a cell that they see. At 1M x 64 and 4,096 cells, 10 steps on 64 a cell
# found no more than this does at the same number of probes, in half the time.
_STEPS = 8
_SAMPLE_PER_CELL = 40
# No cell holds more than this many times the average: a probe costs what a cell holds.
BOUND = 2.0
# Items longer than all but one in a hundred count as that long when cells are drawn: one item of
# ten times the usual length would push all others into one corner.
_LONGEST = 0.99


@dataclass(frozen=True)
class Cells:
    """Which cell each vector is in.

    Attributes:
        centroids: float32 [C, D], the mean of each cell's vectors.
        directions: float32 [C, D], what queries are compared with to choose cells.
        assignment: int32 [N].
    """

    centroids: np.ndarray
    directions: np.ndarray
    assignment: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """How many vectors each cell holds; int64 [C]."""
        return np.bincount(self.assignment, minlength=len(self.centroids))


def default_cells(size: int) -> int:
    """Four times the root of the number of vectors: 4,000 for a million.

    Comparing a query with all centroids then costs as much as looking into 16 cells.
    """
    return max(1, min(size, round(4 * size**0.5)))


def train_cells(
    vectors: np.ndarray, cells: int | None = None, *, bound: float = BOUND, seed: int = 0
) -> Cells:
    """Divides vectors into cells of alike ones.

    Args:
        vectors: float32 [N, D].
        cells: How many to begin with; cutting large ones makes more. `default_cells` unless given.
        bound: Greatest size of a cell, in averages.
        seed: Of the sample and the first centroids.

    Raises:
        DescriptionError: `cells` is not from 1 to N, or `bound` less than 1.
    """
    size = len(vectors)
    cells = default_cells(size) if cells is None else cells
    if not 1 <= cells <= size:
        raise DescriptionError(
            "index",
            "`cells` is from 1 to the number of items",
            received=f"{cells} cells for {size} items",
            remedy=f"Take about {default_cells(size)}",
        )
    if bound < 1:
        raise DescriptionError(
            "index",
            "the `bound` of a cell's size is at least 1 average",
            received=f"{bound:g}",
            remedy=f"Take {BOUND:g}",
        )
    random = np.random.default_rng(seed)
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    longest = max(float(np.quantile(lengths, _LONGEST)), 1e-12)
    count = min(size, max(cells * _SAMPLE_PER_CELL, cells))
    chosen = np.sort(random.choice(size, count, replace=False))
    sample = tf.constant(_directions(vectors[chosen], lengths[chosen], longest))
    centroids = tf.gather(sample, random.choice(count, cells, replace=False))
    for _ in range(_STEPS):
        centroids = _moved(sample, centroids, random)
    assignment = np.empty(size, np.int32)
    for start in range(0, size, _BLOCK):
        part = slice(start, start + _BLOCK)
        rows = _directions(vectors[part], lengths[part], longest)
        assignment[part] = _nearest(tf.constant(rows), centroids).numpy()
    assignment = _cut(vectors, assignment, int(np.ceil(bound * size / cells)))
    count = int(assignment.max()) + 1
    means = _means(vectors, assignment, count)
    members = np.bincount(assignment, minlength=count)
    # The centroid in the lengthened space, without its last coordinate: what a query meets of it.
    room = np.sqrt(np.maximum(longest**2 - np.minimum(lengths, longest) ** 2, 0))
    last = np.bincount(assignment, room, count) / members
    full = np.sqrt(np.einsum("cd,cd->c", means, means) + last**2)
    directions = means / np.maximum(full, 1e-12)[:, None]
    return Cells(means, directions.astype(np.float32), assignment)


def _directions(vectors: np.ndarray, lengths: np.ndarray, longest: float) -> np.ndarray:
    """Unit vectors [n, D + 1] whose angles rank as inner products with the vectors do."""
    scale = np.maximum(lengths, longest)
    rest = np.sqrt(np.maximum(1 - (lengths / scale) ** 2, 0))
    return np.concatenate([vectors / scale[:, None], rest[:, None]], 1).astype(np.float32)


@tf.function(reduce_retracing=True)
def _nearest(rows: tf.Tensor, centroids: tf.Tensor) -> tf.Tensor:
    return tf.argmax(tf.matmul(rows, centroids, transpose_b=True), 1, tf.int32)


@tf.function(reduce_retracing=True)
def _sums(rows: tf.Tensor, nearest: tf.Tensor, cells: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    sums = tf.math.unsorted_segment_sum(rows, nearest, cells)
    return sums, tf.math.bincount(nearest, minlength=cells)


def _moved(sample: tf.Tensor, centroids: tf.Tensor, random: np.random.Generator) -> tf.Tensor:
    """One Lloyd step on the sphere; a cell that nothing is in starts again at a random vector."""
    count, cells = len(sample), len(centroids)
    nearest = tf.concat(
        [_nearest(sample[start : start + _BLOCK], centroids) for start in range(0, count, _BLOCK)],
        0,
    )
    sums, members = _sums(sample, nearest, tf.constant(cells))
    again = tf.gather(sample, random.integers(0, count, cells))
    return tf.math.l2_normalize(tf.where((members > 0)[:, None], sums, again), 1)


def _cut(vectors: np.ndarray, assignment: np.ndarray, bound: int) -> np.ndarray:
    """Cells renumbered without gaps, those beyond the bound halved until none is."""
    order = np.argsort(assignment, kind="stable")
    ends = np.flatnonzero(np.diff(assignment[order])) + 1
    waiting = np.split(order, ends)
    result = np.empty(len(assignment), np.int32)
    number = 0
    while waiting:
        members = waiting.pop()
        if len(members) <= bound:
            result[members] = number
            number += 1
            continue
        along = np.argsort(_widest(vectors[members]), kind="stable")
        half = len(members) // 2
        waiting += [members[along[:half]], members[along[half:]]]
    return result


def _widest(rows: np.ndarray, steps: int = 5) -> np.ndarray:
    """Places of rows along their first principal component, by power iteration; [n]."""
    centred = rows - rows.mean(0)
    direction = centred[np.argmax(np.einsum("nd,nd->n", centred, centred))]
    for _ in range(steps):
        direction = (centred @ direction) @ centred
        direction /= max(float(np.linalg.norm(direction)), 1e-30)
    return np.asarray(centred @ direction)


def _means(vectors: np.ndarray, assignment: np.ndarray, cells: int) -> np.ndarray:
    sums, members = _sums(tf.constant(vectors), tf.constant(assignment), tf.constant(cells))
    return np.asarray(sums / tf.cast(members, tf.float32)[:, None])
