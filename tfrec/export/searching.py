"""Items by a text query, in the served graph: cosines in the space of a frozen text encoder.

    query ── encoder ──▶ vector ─┬─ item's title, 8 bits a coordinate ── cosine 0.98 ─┐
                                 └─ "title. plot. people", likewise ──── cosine 0.41 ─┴▶ 0.98

The title by itself, since a vector of all that is written about an item lies nearer to its plot
than to its name. Of 9,742 MovieLens films (MiniLM) each is best for its own title by the greatest
cosine, 94% by the mean of the two, 69% by the whole text alone; 1,000 sentences of plots find their
film first in 83%, 51% and 85%, by the title alone in 12%.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfrec.export import guards
from tfrec.export.source import ItemTexts
from tfrec.index import Index, Neighbours
from tfrec.index.index import best_in_blocks, kept_variable, ranked, without

__all__ = ["CODES", "STEPS", "Searcher", "text_codes"]

CODES, STEPS = "search/codes", "search/steps"
_LEVELS = 127
# Items compared in one step: two texts of 384 numbers each take 50 MB as floats.
_BLOCK = 2**14


class Searcher(tf.Module):
    """Finds items by texts; every item is compared.

    Args:
        texts: Of the catalogue.
        encode: From string [b] to float32 [b, E] of length 1, zeros for what is blank.
        index: Knows which items can be found.
    """

    def __init__(
        self, texts: ItemTexts, encode: Callable[[tf.Tensor], tf.Tensor], index: Index
    ) -> None:
        super().__init__(name="searcher")
        self.encode = encode
        self._index = index
        self._shape = texts.vectors.shape[1:]
        codes, steps, _ = text_codes(texts.vectors)
        self._codes, self._steps = kept_variable(codes, CODES), kept_variable(steps, STEPS)

    def search(self, query: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor) -> Neighbours:
        """The items nearest to queries.

        Args:
            query: string [b]; blank ones are refused.
            k: int32 scalar.
            excluded: int32 [b, e], items that may not be returned; -1 is padding.

        Returns:
            `k` items a query and their cosines, or -1 where fewer have a text.
        """
        vectors = self.encode(query)
        blank = tf.reduce_all(vectors == 0.0, 1)
        vectors = guards.refuse_unless(
            ~tf.reduce_any(blank),
            ['`query` must not be "" or blank. Ask `recommend` for items without a query'],
            vectors,
        )
        count, width = self._shape
        codes, steps = self._codes.value(), self._steps.value()

        def best_of(start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            texts = tf.cast(tf.reshape(codes[start:end], [-1, width]), tf.float32)
            products = tf.matmul(vectors, texts, transpose_b=True)
            products = tf.reshape(products, [-1, end - start, count])
            own = steps[start:end]
            cosines = tf.where(own > 0, products * own, tf.float32.min)
            items = tf.range(start, end)
            scores = tf.reduce_max(cosines, 2)
            scores = tf.where(self._index.holds(items), scores, tf.float32.min)
            scores = without(scores, excluded - start)
            best, places = tf.math.top_k(scores, tf.minimum(k, end - start))
            return best, places + start

        rows, size = tf.shape(vectors)[0], tf.shape(codes)[0]
        return ranked(*best_in_blocks(best_of, rows, k, size, _BLOCK))


def text_codes(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Directions in 8 bits a coordinate.

    Args:
        vectors: float32 [..., E]; zeros are no text.

    Returns:
        Codes int8 [..., E]; what brings each to length 1, float32 [...], 0 for no text; the
        greatest distance of one from the vector that was given, of length 1 itself.

    Example:
        >>> codes, steps, _ = text_codes(np.array([[3.0, 4.0], [0.0, 0.0]]))
        >>> codes.tolist(), float(steps[1])
        ([[95, 127], [0, 0]], 0.0)
        >>> (codes[0] * steps[0]).round(2)
        array([0.6, 0.8], dtype=float32)
    """
    vectors = np.asarray(vectors, np.float32)
    greatest = np.abs(vectors).max(-1, initial=0.0, keepdims=True)
    codes = np.rint(vectors * (_LEVELS / np.maximum(greatest, 1e-30))).astype(np.int8)
    lengths = np.sqrt((codes.astype(np.float32) ** 2).sum(-1))
    steps = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    own = np.sqrt((vectors**2).sum(-1, keepdims=True))
    lost = codes * steps[..., None] - vectors / np.maximum(own, 1e-30)
    return codes, steps, float(np.sqrt((lost**2).sum(-1)).max(initial=0.0))
