"""How an inverted file keeps its vectors: what a query's scores of blocks are computed from."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.index.layout import BLOCK

__all__ = ["Storage"]


class Storage(tf.Module):
    """Vectors by slot. `places` is the layout's `items`; a slot of no item holds zeros.

    Attributes:
        error: Greatest distance of a kept vector from the one that was given.
        rerank: Whether scores are rough, so that the best are scored again from `vectors`.
    """

    error: float = 0.0
    rerank: bool = False

    def scores(self, blocks: tf.Tensor, queries: tf.Tensor, base: tf.Tensor) -> tf.Tensor:
        """Inner products with all slots of some blocks.

        Args:
            blocks: int32 [b, w].
            queries: float32 [b, D].
            base: float32 [b, w], inner products with the centroids of the blocks' cells.

        Returns:
            float32 [b, w, BLOCK].
        """
        raise NotImplementedError

    def vectors(self, slots: tf.Tensor, centroids: tf.Tensor) -> tf.Tensor:
        """Kept vectors of slots.

        Args:
            slots: int32, any shape.
            centroids: float32 [*shape, D], of the slots' cells.

        Returns:
            float32 [*shape, D].
        """
        raise NotImplementedError


def in_blocks(variable: tf.Variable) -> tf.Tensor:
    """A variable [S, …] seen as [S / BLOCK, BLOCK, …]; nothing is copied."""
    return tf.reshape(variable.value(), [-1, BLOCK, *variable.shape[1:]])


def products(rows: tf.Tensor, queries: tf.Tensor) -> tf.Tensor:
    """Inner products of rows [b, w, BLOCK, D] with queries [b, D]; float32 [b, w, BLOCK]."""
    # Not a matrix product: oneDNN prepares itself anew for each number of rows, which took 0.45 ms
    # where this takes 0.05; for 64 queries of 3,200 rows this is twice as fast too.
    return tf.reduce_sum(rows * tf.reshape(queries, [-1, 1, 1, queries.shape[1]]), -1)


def by_slot(values: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Values [N, …] of items in the order of slots, zeros in slots of no item; [S, …]."""
    placed = values[np.maximum(items, 0)]
    placed[items < 0] = 0
    return placed
