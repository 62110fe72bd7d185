"""A convolutional network over words."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.registry import register
from tfrec.towers.words import TextTower

__all__ = ["TextCnnTower"]

ops = keras.ops


@register("tower", "text_cnn")
@keras.saving.register_keras_serializable("tfrec")
class TextCnnTower(TextTower):
    """Filters over windows of words, each at its maximum over the text.

    Kim, "Convolutional neural networks for sentence classification", 2014: order counts within a
    window.

    Args:
        dimension: Width of the result.
        windows: Words in a window, one bank of filters each.
        filters: Filters in a bank.
        buckets: Rows of the word table.
        width: Of the table's rows; `dimension` unless given.
        max_length: Words kept.
        dropout: Of the pooled features, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        windows: tuple[int, ...] = (2, 3),
        filters: int = 64,
        buckets: int = 20_000,
        width: int | None = None,
        max_length: int = 64,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dimension,
            buckets=buckets,
            width=width,
            max_length=max_length,
            dropout=dropout,
            normalize=normalize,
            **kwargs,
        )
        self.windows = tuple(windows)
        self.filters = filters

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the filters."""
        width = super().build_features(inputs_shape)
        self.banks = []
        for window in self.windows:
            bank = keras.layers.Conv1D(
                self.filters, window, padding="same", activation="relu", dtype=self.dtype_policy
            )
            bank.build((None, None, width))
            self.banks.append(bank)
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        return self.filters * len(self.windows)

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Filters and pools; a window counts when its middle word is one."""
        vectors, present = self.word_vectors(inputs)
        flags = ops.cast(present, vectors.dtype)[:, :, None]
        # After ReLU zero is the least, so padding can't win.
        pooled = [ops.max(bank(vectors) * flags, 1) for bank in self.banks]
        return self.dropout_layer(ops.concatenate(pooled, -1), training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "windows": self.windows, "filters": self.filters}
