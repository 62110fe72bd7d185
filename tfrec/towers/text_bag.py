"""The mean of word vectors."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.registry import register
from tfrec.towers.words import TextTower

__all__ = ["WordBagTower"]

ops = keras.ops


@register("tower", "words")
@keras.saving.register_keras_serializable("tfrec")
class WordBagTower(TextTower):
    """The mean of word vectors, beside their maximum: the order of words doesn't count.

    The mean alone is fastText's (Joulin et al., "Bag of tricks for efficient text classification",
    2016); the maximum lets one telling word speak in a long text (Shen et al., "Baseline needs more
    love", 2018).
    """

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the table."""
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        return 2 * super().build_features(inputs_shape)

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Averages and takes the maximum."""
        vectors, present = self.word_vectors(inputs)
        vectors = self.dropout_layer(vectors, training=training)
        flags = ops.cast(present, vectors.dtype)[:, :, None]
        mean = ops.sum(vectors, 1) / ops.maximum(ops.sum(flags, 1), 1.0)
        lowest = ops.where(flags > 0, vectors, ops.full_like(vectors, -1e4))
        most = ops.where(ops.max(flags, 1) > 0, ops.max(lowest, 1), ops.zeros_like(mean))
        return ops.concatenate([mean, most], -1)
