"""What every index of item vectors can do inside a served graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.errors import ExportError

__all__ = ["Index", "Neighbours"]


class Neighbours(NamedTuple):
    """The best items of each query, best first.

    Attributes:
        scores: float32 [b, k]; the lowest float where items ran out.
        items: int32 [b, k]; -1 there.
    """

    scores: tf.Tensor
    items: tf.Tensor


class Index(tf.Module):
    """Finds the items with the greatest inner product, in core TensorFlow ops.

    Attributes:
        kind: `exact`, `ivf`, `ivf-int8` or `ivf-pq`.
        size: How many items it was built from.
        dimension: Width of their vectors.
        error: Greatest distance of a kept vector from the one that was given; 0 if none is rounded.
    """

    kind: str
    size: int
    dimension: int
    error: float = 0.0

    @property
    def bytes(self) -> int:
        """Memory of its variables."""
        return sum(int(tf.size(v)) * v.dtype.size for v in self.variables)

    def search(
        self,
        queries: tf.Tensor,
        k: tf.Tensor,
        excluded: tf.Tensor | None = None,
        allowed: tf.Tensor | None = None,
        *,
        cosine: bool = False,
        newcomers: tf.Tensor | None = None,
    ) -> Neighbours:
        """Finds the best items of each query.

        Args:
            queries: float32 [b, D].
            k: int32 scalar, from 1 to `size`.
            excluded: int32 [b, e], items that may not be returned; -1 is padding.
            allowed: bool [size], or [b, size]; items that may be returned; all unless given.
            cosine: Whether to divide by the lengths of the items' vectors.
            newcomers: bool [b], queries of users without a history; an approximate index may have
                to look further for them.

        Returns:
            `k` items a query, or -1 where fewer qualify.
        """
        raise NotImplementedError

    @property
    def count(self) -> tf.Tensor:
        """How many items can be found, as a scalar int32 tensor: fewer than `size` after removals.

        A written export's catalogue changes by its variables: see `tfrec.index.rewriting`.
        """
        raise NotImplementedError

    def holds(self, items: tf.Tensor) -> tf.Tensor:
        """Whether items by position can be found; False for -1 and for removed ones.

        Args:
            items: int32, any shape.

        Returns:
            bool of the same shape.
        """
        raise NotImplementedError

    def vectors_of(self, items: tf.Tensor) -> tf.Tensor:
        """Vectors of items by position; zeros for those that `holds` denies.

        Args:
            items: int32, any shape.

        Returns:
            float32 [*shape, D].
        """
        raise NotImplementedError


def checked_vectors(vectors: np.ndarray) -> np.ndarray:
    """The vectors in float32, refused when they can't be compared.

    Raises:
        ExportError: They are not a matrix with a row, or a number isn't finite.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    if vectors.ndim != 2 or not vectors.size:
        raise ExportError(
            "index",
            "item vectors are a matrix [items, dimension]",
            received=f"shape {list(vectors.shape)}",
            remedy="Give at least one item",
        )
    # One sum finds any NaN or infinity without a copy of the matrix; only then are rows sought.
    if not np.isfinite(vectors.sum(dtype=np.float64)):
        rows = np.flatnonzero(~np.isfinite(vectors).all(1))
        if len(rows):
            raise ExportError(
                "index",
                "item vectors hold finite numbers only",
                received=f"{len(rows)} items with NaN or infinity, the first at {rows[0]}",
                remedy="Train again with a lower learning rate or `optimizer.clip_norm`",
            )
    return vectors


def kept_variable(value: np.ndarray, name: str) -> tf.Variable:
    """A variable whose first dimension is left open, so that an export's catalogue can grow.

    Gather from its `value()`. `tf.gather` of the variable itself is a ResourceGather, after which
    each read of the variable, by whatever signature, copies it whole: 22 ms instead of 0.08 for a
    search of a million items.
    """
    shape = tf.TensorShape([None, *value.shape[1:]])
    return tf.Variable(value, trainable=False, shape=shape, name=name)


def inverse_lengths(vectors: np.ndarray) -> np.ndarray:
    """1 / length of each row, 0 for a row of zeros; float32 [n]."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    return np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)


def ranked(scores: tf.Tensor, items: tf.Tensor) -> Neighbours:
    """Neighbours whose places of the lowest float are named -1."""
    return Neighbours(scores, tf.where(scores > tf.float32.min, items, -1))


def apart(function: Callable[[], Any]) -> Callable[[], Any]:
    """The branch of a condition that is seldom taken, as a call of its own.

    Otherwise its ops are laid into the graph, and each is visited, if not run, at every request:
    0.05 ms for the 300 of a scan.
    """
    return tf.function(function, autograph=False, experimental_attributes={"_noinline": True})


def without(scores: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Scores [b, n] with the lowest float at places [b, e]; those outside of 0 … n-1 are none."""
    inside = tf.where((places >= 0) & (places < tf.shape(scores)[1]))
    columns = tf.gather_nd(places, inside)
    cells = tf.stack([inside[:, 0], tf.cast(columns, tf.int64)], 1)
    lowest = tf.fill([tf.shape(cells)[0]], tf.float32.min)
    return tf.tensor_scatter_nd_update(scores, cells, lowest)


def best_in_blocks(
    best_of: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    rows: tf.Tensor,
    k: tf.Tensor,
    size: tf.Tensor,
    block: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The best of `size` candidates, `block` of them in one step.

    Args:
        best_of: From bounds start, end to scores and items [rows, min(k, end - start)].
        rows: How many queries there are.
        k: How many are wanted.
        size: How many candidates there are.
        block: Candidates in one step.

    Returns:
        Scores float32 and items int32, [rows, k]; the lowest float and -1 where candidates ran out.
    """

    def step(
        start: tf.Tensor, scores: tf.Tensor, items: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        end = tf.minimum(start + block, size)
        more, found = best_of(start, end)
        # Earlier items stand first, so that they keep winning ties.
        scores, places = tf.math.top_k(tf.concat([scores, more], 1), k)
        return end, scores, tf.gather(tf.concat([items, found], 1), places, batch_dims=1)

    nothing = tf.fill([rows, k], tf.float32.min), tf.fill([rows, k], -1)
    unknown = tf.TensorShape([None, None])
    _, scores, items = tf.while_loop(
        lambda start, *_: start < size,
        step,
        (tf.constant(0), *nothing),
        shape_invariants=(tf.TensorShape([]), unknown, unknown),
    )
    return scores, items
