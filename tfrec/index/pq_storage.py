"""Product-quantised residuals beside their 8-bit form: few bytes are read of most items."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.errors import DescriptionError
from tfrec.index.cells import Cells
from tfrec.index.index import kept_variable
from tfrec.index.int8_storage import Int8Storage
from tfrec.index.layout import CellLayout
from tfrec.index.storage import Storage, by_slot, in_blocks

__all__ = ["PqStorage", "pq_codes"]

_CODES = 256
_SAMPLE = 65_536
_STEPS = 10
_STEP = 2**16


class PqStorage(Storage):
    """Scores by product quantisation, and the best again by `Int8Storage`.

    Jégou et al. 2011, "Product quantization for nearest neighbor search", sections III and IV. A
    residual is cut into parts; each is named by the nearest of 256 vectors. A query's products
    with all of these are one small table, and an item's score is a sum of its entries.

    Args:
        vectors: float32 [N, D].
        cells: Of the vectors.
        layout: Of the cells.
        parts: Bytes an item; D is a multiple of it.
        seed: Of the sample and the first vectors.

    Raises:
        DescriptionError: `parts` doesn't divide D.
    """

    rerank = True

    def __init__(
        self,
        vectors: np.ndarray,
        cells: Cells,
        layout: CellLayout,
        parts: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(name="pq_storage")
        dimension = vectors.shape[1]
        # Four coordinates a byte where that divides the width: a sixteenth of float32.
        parts = parts or next(dimension // n for n in (4, 3, 2, 1) if dimension % n == 0)
        if dimension % parts:
            raise DescriptionError(
                "index",
                "the `parts` of product quantisation divide the vectors' width",
                received=f"{parts} parts of {dimension} coordinates",
                remedy="Take a divisor of the width",
            )
        self._parts = parts
        self.exact = Int8Storage(vectors, cells, layout)
        self.error = self.exact.error
        random = np.random.default_rng(seed)
        chosen = random.choice(len(vectors), min(_SAMPLE, len(vectors)), replace=False)
        rest = vectors[chosen] - cells.centroids[cells.assignment[chosen]]
        books = np.stack([_book(part, random) for part in np.split(rest, parts, 1)])
        codes = np.empty((len(vectors), parts), np.uint8)
        for start in range(0, len(vectors), _STEP):
            rows = slice(start, start + _STEP)
            rest = vectors[rows] - cells.centroids[cells.assignment[rows]]
            codes[rows] = pq_codes(rest, books)
        self._books = tf.Variable(books, trainable=False, name="index/pq_books")
        self._codes = kept_variable(by_slot(codes, layout.items), "index/pq_codes")

    def scores(self, blocks: tf.Tensor, queries: tf.Tensor, base: tf.Tensor) -> tf.Tensor:
        """Rough inner products; see `Storage.scores`."""
        shape = tf.shape(blocks)
        width = queries.shape[1] // self._parts
        parts = tf.reshape(queries, [shape[0], self._parts, 1, width])
        table = tf.reshape(tf.reduce_sum(parts * self._books, -1), [-1])
        row = tf.range(shape[0])[:, None] * self._parts + tf.range(self._parts)
        codes = tf.cast(tf.gather(in_blocks(self._codes), blocks), tf.int32)
        entries = tf.gather(table, codes + row[:, None, None] * _CODES)
        return tf.reduce_sum(entries, -1) + base[..., None]

    def vectors(self, slots: tf.Tensor, centroids: tf.Tensor) -> tf.Tensor:
        """Kept vectors, in 8 bits; see `Storage.vectors`."""
        return self.exact.vectors(slots, centroids)


def pq_codes(rest: np.ndarray, books: np.ndarray) -> np.ndarray:
    """The nearest of 256 vectors for each part of a row.

    Args:
        rest: float32 [n, D].
        books: float32 [parts, 256, D / parts].

    Returns:
        uint8 [n, parts].
    """
    codes = np.empty((len(rest), len(books)), np.uint8)
    for number, part in enumerate(np.split(rest, len(books), 1)):
        codes[:, number] = _nearest(tf.constant(part), tf.constant(books[number]))
    return codes


@tf.function(reduce_retracing=True)
def _nearest(rows: tf.Tensor, book: tf.Tensor) -> tf.Tensor:
    far = tf.reduce_sum(book**2, 1) - 2 * tf.matmul(rows, book, transpose_b=True)
    return tf.argmin(far, 1, tf.int32)


def _book(rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """256 vectors by Lloyd's steps; float32 [256, d]."""
    sample = tf.constant(rows)
    book = tf.gather(sample, random.integers(0, len(rows), _CODES))
    for _ in range(_STEPS):
        nearest = _nearest(sample, book)
        means = tf.math.unsorted_segment_mean(sample, nearest, _CODES)
        used = tf.math.bincount(nearest, minlength=_CODES) > 0
        again = tf.gather(sample, random.integers(0, len(rows), _CODES))
        book = tf.where(used[:, None], means, again)
    return np.asarray(book)
