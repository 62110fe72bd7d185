"""A tower over word vectors that others have trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec.registry import register
from tfrec.schema import FeatureSpec
from tfrec.towers.pooling import Pooling, TokenPooling
from tfrec.towers.tower import Tower
from tfrec.towers.vector_file import read_word_vectors
from tfrec.towers.words import length_of, split_words

__all__ = ["Coverage", "WordVectorsTower"]

ops = keras.ops

_FINGERPRINTS = 2**62


@dataclass(frozen=True)
class Coverage:
    """How much of some texts a file of word vectors knows.

    Attributes:
        words, known_words: Running words.
        distinct, known_distinct: Different ones.
    """

    words: int
    known_words: int
    distinct: int
    known_distinct: int

    def __str__(self) -> str:
        running = self.known_words / max(self.words, 1)
        different = self.known_distinct / max(self.distinct, 1)
        return (
            f"{running:.1%} of {self.words:,} words have a vector,"
            f" {different:.1%} of {self.distinct:,} different ones"
        )


@register("tower", "word_vectors")
@keras.saving.register_keras_serializable("tfrec")
class WordVectorsTower(Tower):
    """GloVe's or word2vec's vectors, pooled; other words have hashed vectors that are learned.

    Pennington, Socher & Manning, "GloVe", 2014; Mikolov et al., "Distributed representations of
    words and phrases", 2013. Words are found by a sorted list of 62-bit fingerprints, in core ops,
    so that neither a table resource nor the file goes into an exported graph.

    Args:
        dimension: Width of the result.
        path: Text file of vectors, also `.gz`; see `read_word_vectors`.
        max_words: The file's first words that are kept.
        tuned: Whether its vectors are trained on.
        buckets: Learned vectors that words beyond the file share by hash.
        pooling: `mean`, `max`, `attention`, or `cls`, the first word alone.
        max_length: Words kept of a text; comes from the description.
        dropout: Of the pooled vector, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.

    Raises:
        DescriptionError: The file can't be read.
    """

    modalities = frozenset({"text"})

    def __init__(
        self,
        dimension: int,
        *,
        path: str,
        max_words: int = 100_000,
        tuned: bool = False,
        buckets: int = 1_000,
        pooling: Pooling = "mean",
        max_length: int = 64,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, normalize=normalize, **kwargs)
        if min(max_words, buckets, max_length) < 1:
            raise ValueError(
                "`max_words`, `buckets` and `max_length` must be positive."
                f" Received: {max_words}, {buckets}, {max_length}"
            )
        self.vector_path = path
        self.max_words = max_words
        self.tuned = tuned
        self.buckets = buckets
        self.pooling = pooling
        self.max_length = max_length
        self.dropout = dropout
        words, vectors = read_word_vectors(path, max_words)
        prints = tf.strings.to_hash_bucket_fast(words, _FINGERPRINTS).numpy()
        order = np.argsort(prints)
        self._prints, self._vectors = prints[order], vectors[order]

    @classmethod
    def arguments(cls, spec: FeatureSpec) -> dict[str, Any]:
        """The length that the description says."""
        return length_of(spec)

    def prepare(self, inputs: Any) -> Any:
        """From string [batch] to int32 [batch, max_length]; 0 is padding."""
        if inputs.dtype not in (tf.string, "string"):
            return inputs
        words = split_words(inputs)
        found = tf.ragged.map_flat_values(self._lookup, words)
        return found.to_tensor(shape=(None, self.max_length))

    def _lookup(self, words: tf.Tensor) -> tf.Tensor:
        prints = tf.strings.to_hash_bucket_fast(words, _FINGERPRINTS)
        known = tf.constant(self._prints)
        place = tf.minimum(tf.searchsorted(known, prints), len(self._prints) - 1)
        hashed = tf.cast(prints % self.buckets, tf.int32) + len(self._prints)
        return tf.where(tf.gather(known, place) == prints, place, hashed) + 1

    def coverage(self, texts: Iterable[str]) -> Coverage:
        """How many of the texts' words have a vector, up to `max_length` words of each."""
        words = split_words(tf.constant(list(texts)))[:, : self.max_length].flat_values
        known = (self._lookup(words) <= len(self._prints)).numpy()
        distinct, first = np.unique(words.numpy(), return_index=True)
        return Coverage(len(known), int(known.sum()), len(distinct), int(known[first].sum()))

    def build_features(self, inputs_shape: Any) -> int:
        """Makes both tables and the pooling."""
        count, width = self._vectors.shape
        self.known = self.add_weight(
            shape=(count, width),
            initializer=lambda shape, dtype=None: tf.constant(self._vectors),
            trainable=self.tuned,
            name="known",
            dtype="float32",
        )
        self.others = self.table(self.buckets, width)
        self.pool = TokenPooling(self.pooling, dtype=self.dtype_policy)
        self.pool.build((None, None, width))
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        return width

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Looks up and pools."""
        count = len(self._prints)
        known = self.rows_of(self.known, inputs - 1)
        others = self.rows_of(self.others, inputs - 1 - count)
        vectors = tf.where((inputs <= count)[:, :, None], known, others)
        there = inputs > 0
        vectors = tf.where(there[:, :, None], vectors, tf.zeros_like(vectors))
        return self.dropout_layer(self.pool(vectors, there), training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor; the file is read again."""
        return {
            **super().get_config(),
            "path": self.vector_path,
            "max_words": self.max_words,
            "tuned": self.tuned,
            "buckets": self.buckets,
            "pooling": self.pooling,
            "max_length": self.max_length,
            "dropout": self.dropout,
        }
