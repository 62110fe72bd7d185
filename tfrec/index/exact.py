"""The exact index: every item is scored. TFRS calls it BruteForce, and gives equal answers."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.index.index import (
    Index,
    Neighbours,
    apart,
    best_in_blocks,
    checked_vectors,
    inverse_lengths,
    kept_variable,
    ranked,
    without,
)

__all__ = ["ExactIndex"]

# Items scored in one step: a batch of 64 then needs 64 MB for scores, however large the catalogue.
_BLOCK = 2**18


class ExactIndex(Index):
    """Scores all items by one matrix product for each block, and keeps the best.

    Ties are won by the item that comes first, as `tf.math.top_k` has it.

    Args:
        vectors: float32 [N, D].
        block: Items scored in one step.

    Raises:
        ExportError: The vectors are empty or not finite.

    Example:
        >>> index = ExactIndex(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        >>> found = index.search(tf.constant([[2.0, 1.0]]), tf.constant(2))
        >>> found.items.numpy().tolist(), found.scores.numpy().tolist()
        ([[2, 0]], [[3.0, 2.0]])
    """

    kind = "exact"

    def __init__(self, vectors: np.ndarray, block: int = _BLOCK) -> None:
        super().__init__(name="exact_index")
        vectors = checked_vectors(vectors)
        self.size, self.dimension = vectors.shape
        self._block = block
        self.vectors = kept_variable(vectors, "index/vectors")
        self.inverse_lengths = kept_variable(inverse_lengths(vectors), "index/inverse_lengths")
        # The item of each row and the row of each item: an export's catalogue may drop items
        # whose positions the model still knows.
        places = np.arange(self.size, dtype=np.int32)
        self.items = kept_variable(places, "index/items")
        self.rows = kept_variable(places, "index/rows")

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
        """Finds the best items of each query; see `Index.search`."""
        vectors = self.vectors.value()
        size = tf.shape(vectors)[0]
        rows = None if excluded is None else self._rows_of(excluded)
        columns = None if allowed is None else tf.gather(allowed, self.items, axis=-1)

        def best_of(start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # Inside of a branch a converter such as tf2onnx knows only the shapes that are said.
            block = tf.ensure_shape(vectors, [None, self.dimension])[start:end]
            scores = tf.matmul(queries, block, transpose_b=True)
            if cosine:
                scores *= self.inverse_lengths[start:end]
            if columns is not None:
                here = tf.ensure_shape(columns, columns.shape)[..., start:end]
                scores = tf.where(here, scores, tf.float32.min)
            if rows is not None:
                scores = without(scores, rows - start)
            best, places = tf.math.top_k(scores, tf.minimum(k, end - start))
            return best, places + start

        # Most catalogues are one block, and a loop of one step costs more than its body.
        scores, places = tf.cond(
            size <= self._block,
            lambda: best_of(tf.constant(0), size),
            apart(lambda: best_in_blocks(best_of, tf.shape(queries)[0], k, size, self._block)),
        )
        return ranked(scores, tf.gather(self.items.value(), tf.maximum(places, 0)))

    @property
    def count(self) -> tf.Tensor:
        """How many items can be found; see `Index.count`."""
        return tf.shape(self.items)[0]

    def holds(self, items: tf.Tensor) -> tf.Tensor:
        """Whether items can be found; see `Index.holds`."""
        return self._rows_of(items) >= 0

    def vectors_of(self, items: tf.Tensor) -> tf.Tensor:
        """Vectors of items; see `Index.vectors_of`."""
        rows = self._rows_of(items)
        found = tf.gather(self.vectors.value(), tf.maximum(rows, 0))
        return tf.where((rows >= 0)[..., None], found, 0.0)

    def _rows_of(self, items: tf.Tensor) -> tf.Tensor:
        return tf.where(items >= 0, tf.gather(self.rows.value(), tf.maximum(items, 0)), -1)
