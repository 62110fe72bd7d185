"""Vectors as they are, in float32."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.index.cells import Cells
from tfrec.index.index import kept_variable
from tfrec.index.layout import CellLayout
from tfrec.index.storage import Storage, by_slot, in_blocks, products

__all__ = ["FloatStorage"]


class FloatStorage(Storage):
    """Keeps vectors unchanged.

    Args:
        vectors: float32 [N, D].
        cells: Of the vectors.
        layout: Of the cells.
    """

    def __init__(self, vectors: np.ndarray, cells: Cells, layout: CellLayout) -> None:
        super().__init__(name="float_storage")
        self._vectors = kept_variable(by_slot(vectors, layout.items), "index/vectors")

    def scores(self, blocks: tf.Tensor, queries: tf.Tensor, base: tf.Tensor) -> tf.Tensor:
        """Inner products; see `Storage.scores`."""
        return products(tf.gather(in_blocks(self._vectors), blocks), queries)

    def vectors(self, slots: tf.Tensor, centroids: tf.Tensor) -> tf.Tensor:
        """Kept vectors; see `Storage.vectors`."""
        return tf.gather(self._vectors.value(), slots)
