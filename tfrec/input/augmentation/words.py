"""Word dropout, span masking and synonyms of texts, string [b] in and out.

Words are what spaces separate, as `tfrec.media.normalize_text` leaves them. A text keeps at least
one word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

__all__ = ["Synonyms", "drop_words", "mask_spans"]


def drop_words(texts: tf.Tensor, seed: Any, *, share: float = 0.1) -> tf.Tensor:
    """Leaves out each word with some chance.

    Args:
        texts: string [b].
        seed: int32 [2].
        share: Chance of each word.
    """
    words = tf.strings.split(texts, " ")
    draws = words.with_values(tf.random.stateless_uniform(tf.shape(words.values), seed))
    # The word with the highest draw of each text stays.
    best = tf.gather(tf.reduce_max(draws, 1), words.value_rowids())
    kept = draws.with_values((draws.values >= share) | (draws.values == best))
    return _joined(tf.ragged.boolean_mask(words, kept))


def mask_spans(texts: tf.Tensor, seed: Any, *, most: int = 3, mask: str = "[MASK]") -> tf.Tensor:
    """Replaces one span of words of each text by one mask (Raffel et al., T5, 2020, section 3.1.4).

    Args:
        texts: string [b].
        seed: int32 [2].
        most: Longest span; it is shorter than the text.
        mask: What stands for it; "" leaves it out.
    """
    words = tf.strings.split(texts, " ")
    length = tf.cast(words.row_lengths(), tf.int32)
    seeds = tf.random.split(seed, 2)
    bound = tf.minimum(most, tf.maximum(length - 1, 0))
    draws = tf.random.stateless_uniform(tf.shape(length), seeds[0])
    width = tf.cast(draws * tf.cast(bound + 1, tf.float32), tf.int32)
    draws = tf.random.stateless_uniform(tf.shape(length), seeds[1])
    start = tf.cast(draws * tf.cast(length - width + 1, tf.float32), tf.int32)
    rows = words.value_rowids()
    place = tf.range(tf.size(rows)) - tf.cast(tf.gather(words.row_starts(), rows), tf.int32)
    first, stop = tf.gather(start, rows), tf.gather(start + width, rows)
    inside = (place >= first) & (place < stop)
    marked = tf.where(inside & (place == first), mask, words.values)
    kept = ~inside | ((place == first) & (mask != ""))
    return _joined(tf.ragged.boolean_mask(words.with_values(marked), words.with_values(kept)))


class Synonyms(tf.Module):
    """Replaces words by synonyms; a word without any stays as it is.

    Args:
        words: Synonyms of each word, all in lower case.

    Example:
        >>> replace = Synonyms({"film": ["movie"]})
        >>> replace(tf.constant(["a film"]), tf.constant([0, 1]), share=1.0).numpy()[0]
        b'a movie'
    """

    def __init__(self, words: Mapping[str, list[str]]) -> None:
        super().__init__(name="synonyms")
        rows = [sorted(words[word]) for word in sorted(words)]
        keys = tf.constant(sorted(words), tf.string)
        values = tf.range(len(words), dtype=tf.int64)
        initializer = tf.lookup.KeyValueTensorInitializer(keys, values)
        self._index = tf.lookup.StaticHashTable(initializer, -1)
        self._synonyms = tf.ragged.constant(rows or [[""]], tf.string)

    def __call__(self, texts: tf.Tensor, seed: Any, *, share: float = 0.1) -> tf.Tensor:
        """Replaces words.

        Args:
            texts: string [b].
            seed: int32 [2].
            share: Chance of each word that has a synonym.
        """
        words = tf.strings.split(texts, " ")
        found = self._index.lookup(tf.strings.lower(words.values, "utf-8"))
        seeds = tf.random.split(seed, 2)
        chosen = tf.random.stateless_uniform(tf.shape(found), seeds[0]) < share
        row = tf.maximum(found, 0)
        count = tf.gather(self._synonyms.row_lengths(), row)
        draws = tf.random.stateless_uniform(tf.shape(found), seeds[1])
        place = tf.cast(draws * tf.cast(count, tf.float32), tf.int64)
        starts = tf.gather(self._synonyms.row_starts(), row)
        synonym = tf.gather(self._synonyms.values, starts + tf.minimum(place, count - 1))
        return _joined(words.with_values(tf.where(chosen & (found >= 0), synonym, words.values)))


def _joined(words: tf.RaggedTensor) -> tf.Tensor:
    return tf.strings.reduce_join(words, 1, separator=" ")
