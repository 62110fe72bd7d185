"""A tower that hears how a text judges, not what it is about."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.registry import register
from tfrec.towers.words import TextTower, hash_words

__all__ = ["SentimentTower"]

ops = keras.ops

# Words are split at apostrophes: "don't" is "don" and "t".
_NEGATIONS = (
    "aren cannot couldn didn doesn don hadn hardly hasn haven isn neither never no nobody none nor"
    " not nothing shouldn wasn weren without won wouldn"
)


@register("tower", "sentiment")
@keras.saving.register_keras_serializable("tfrec")
class SentimentTower(TextTower):
    """Each word has a learned polarity, tanh of its row, which a negation before it turns around.

    A negation reaches the next three words (Das & Chen, "Yahoo! for Amazon", 2001; Pang, Lee &
    Vaithyanathan, "Thumbs up?", 2002). What is passed on is the mean of what is positive, the mean
    of what is negative, and the strongest of each: some numbers, so that a topic can't hide behind
    them. For reviews and comments; the data's own `comments_sentiment` stays beside it.

    Args:
        dimension: Width of the result.
        aspects: Polarities a word has.
        reach: Words that a negation turns around.
        buckets: Rows of the word table.
        max_length: Words kept; comes from the description.
        dropout: Of the words' polarities, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        aspects: int = 4,
        reach: int = 3,
        buckets: int = 20_000,
        max_length: int = 64,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dimension,
            buckets=buckets,
            width=aspects,
            max_length=max_length,
            dropout=dropout,
            normalize=normalize,
            **kwargs,
        )
        if aspects < 1 or reach < 0:
            raise ValueError(
                "`aspects` must be positive and `reach` not negative."
                f" Received: aspects={aspects}, reach={reach}"
            )
        self.aspects = aspects
        self.reach = reach

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the polarities."""
        super().build_features(inputs_shape)
        words = tf.constant([_NEGATIONS])
        with tf.init_scope():
            found = hash_words(words, self.buckets, len(_NEGATIONS.split()))
            self._negations = sorted({int(index) for index in found.numpy()[0]})
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        return 4 * self.aspects

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Judges int32 [batch, length]."""
        vectors, present = self.word_vectors(inputs)
        polarity = self.dropout_layer(ops.tanh(vectors), training=training)
        polarity = polarity * ops.cast(self._signs(inputs), polarity.dtype)[:, :, None]
        count = ops.maximum(ops.sum(ops.cast(present, polarity.dtype), 1), 1.0)[:, None]
        positive, negative = ops.relu(polarity), ops.relu(-polarity)
        parts = [ops.sum(positive, 1) / count, ops.sum(negative, 1) / count]
        parts += [ops.max(positive, 1), ops.max(negative, 1)]
        return ops.concatenate(parts, -1)

    def _signs(self, indices: Any) -> Any:
        """-1 for words within reach of an odd number of negations, else 1; [batch, length]."""
        negation = ops.any(indices[:, :, None] == tf.constant(self._negations, indices.dtype), -1)
        own = 1 - 2 * ops.cast(negation, "int32")
        signs, length = ops.ones_like(own), own.shape[1]
        for step in range(1, min(self.reach, length - 1) + 1):
            signs = signs * tf.pad(own[:, :-step], [[0, 0], [step, 0]], constant_values=1)
        return signs

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        config = {**super().get_config(), "aspects": self.aspects, "reach": self.reach}
        del config["width"]
        return config
