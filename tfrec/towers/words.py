"""Words of a text as hashed indices, in core TensorFlow ops: no vocabulary file to carry along."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfrec.schema import FeatureSpec
from tfrec.towers.tower import Tower

__all__ = ["TextTower", "hash_words", "length_of", "split_words"]


def split_words(texts: tf.Tensor) -> tf.RaggedTensor:
    """Lower-case words of letters and digits of each text: string [batch], UTF-8, to ragged."""
    lower = tf.strings.lower(texts, encoding="utf-8")
    spaced = tf.strings.regex_replace(lower, r"[^\pL\pN\pM]+", " ")
    return tf.strings.split(tf.strings.strip(spaced))


def hash_words(texts: tf.Tensor, buckets: int, max_length: int) -> tf.Tensor:
    """Splits text into lower-case words of letters and digits and hashes each.

    Args:
        texts: string [batch], UTF-8.
        buckets: Words are hashed to 1 … buckets - 1; 0 is padding. Two words may share one.
        max_length: Words kept.

    Returns:
        int32 [batch, max_length].

    Example:
        >>> ids = hash_words(tf.constant(["Blue-eyed", "blue EYED!", ""]), 1000, 3).numpy()
        >>> (ids[0] == ids[1]).all(), ids[2].tolist(), ids[0, 2]
        (np.True_, [0, 0, 0], np.int32(0))
    """
    words = split_words(texts)
    hashed = tf.ragged.map_flat_values(
        lambda word: tf.strings.to_hash_bucket_fast(word, buckets - 1) + 1, words
    )
    return tf.cast(hashed.to_tensor(shape=(None, max_length)), tf.int32)


def length_of(spec: FeatureSpec) -> dict[str, Any]:
    """The argument `max_length` of a text tower, where the description says one."""
    length = spec.config.max_length
    return {} if length is None else {"max_length": length}


class TextTower(Tower):
    """The base of text towers from scratch: hashed words and their embedding table.

    Args:
        dimension: Width of the result.
        buckets: Rows of the table.
        width: Of the table's rows; `dimension` unless given.
        max_length: Words kept; comes from the description.
        dropout: Of the word vectors, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    modalities = frozenset({"text"})

    def __init__(
        self,
        dimension: int,
        *,
        buckets: int = 20_000,
        width: int | None = None,
        max_length: int = 64,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, normalize=normalize, **kwargs)
        if buckets < 2 or max_length < 1:
            raise ValueError(
                "`buckets` must be at least 2 and `max_length` positive."
                f" Received: buckets={buckets}, max_length={max_length}"
            )
        self.buckets = buckets
        self.width = dimension if width is None else width
        self.max_length = max_length
        self.dropout = dropout

    @classmethod
    def arguments(cls, spec: FeatureSpec) -> dict[str, Any]:
        """The length that the description says."""
        return length_of(spec)

    def prepare(self, inputs: Any) -> Any:
        """From string [batch] to int32 [batch, max_length]; indices stay as they are."""
        if inputs.dtype in (tf.string, "string"):
            return hash_words(inputs, self.buckets, self.max_length)
        return inputs

    def word_vectors(self, indices: Any) -> tuple[Any, Any]:
        """Word vectors [batch, length, width], zero for padding, and bool [batch, length]."""
        present = indices > 0
        vectors = self.rows_of(self.embeddings, indices)
        return tf.where(present[:, :, None], vectors, tf.zeros_like(vectors)), present

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the table."""
        self.embeddings = self.table(self.buckets, self.width)
        return self.width

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "buckets": self.buckets,
            "width": self.width,
            "max_length": self.max_length,
            "dropout": self.dropout,
        }
