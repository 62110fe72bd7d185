"""What vectors have beyond their cell's centroid, in 8 bits: a quarter of the memory."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.index.cells import Cells
from tfrec.index.index import kept_variable
from tfrec.index.layout import CellLayout
from tfrec.index.storage import Storage, by_slot, in_blocks, products

__all__ = ["Int8Storage", "int8_codes"]

_LEVELS = 127
_STEP = 2**16


class Int8Storage(Storage):
    """Keeps round(127 (x - centroid) / scale), scale being the greatest coordinate of x - centroid.

    Each coordinate is off by at most scale / 254. The part of the centroid, which is exact, carries
    most of a vector where items are clustered.

    Args:
        vectors: float32 [N, D].
        cells: Of the vectors.
        layout: Of the cells.
    """

    def __init__(self, vectors: np.ndarray, cells: Cells, layout: CellLayout) -> None:
        super().__init__(name="int8_storage")
        codes = np.empty(vectors.shape, np.int8)
        steps = np.empty(len(vectors), np.float32)
        for start in range(0, len(vectors), _STEP):
            part = slice(start, start + _STEP)
            rest = vectors[part] - cells.centroids[cells.assignment[part]]
            codes[part], steps[part], lost = int8_codes(rest)
            self.error = max(self.error, lost)
        self._codes = kept_variable(by_slot(codes, layout.items), "index/codes")
        self._steps = kept_variable(by_slot(steps, layout.items), "index/steps")

    def scores(self, blocks: tf.Tensor, queries: tf.Tensor, base: tf.Tensor) -> tf.Tensor:
        """Inner products; see `Storage.scores`."""
        codes = tf.cast(tf.gather(in_blocks(self._codes), blocks), tf.float32)
        rest = products(codes, queries) * tf.gather(in_blocks(self._steps), blocks)
        return rest + base[..., None]

    def vectors(self, slots: tf.Tensor, centroids: tf.Tensor) -> tf.Tensor:
        """Kept vectors; see `Storage.vectors`."""
        codes = tf.cast(tf.gather(self._codes.value(), slots), tf.float32)
        return centroids + codes * tf.gather(self._steps.value(), slots)[..., None]


def int8_codes(rest: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Vectors less their centroids in 8 bits.

    Args:
        rest: float32 [n, D].

    Returns:
        Codes int8 [n, D]; what one step of each row is, float32 [n]; the greatest distance of a row
        from its codes times its step.
    """
    steps = (np.maximum(np.abs(rest).max(1), 1e-30) / _LEVELS).astype(np.float32)
    codes = np.rint(rest / steps[:, None]).astype(np.int8)
    lost = rest - codes * steps[:, None]
    return codes, steps, float(np.sqrt((lost**2).sum(1).max(initial=0.0)))
