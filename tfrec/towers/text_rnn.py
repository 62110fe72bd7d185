"""A recurrent network over words."""

from __future__ import annotations

from typing import Any, Literal

import keras

from tfrec.registry import register
from tfrec.towers.words import TextTower

__all__ = ["TextRnnTower"]

ops = keras.ops


@register("tower", "text_rnn")
@keras.saving.register_keras_serializable("tfrec")
class TextRnnTower(TextTower):
    """An LSTM or a GRU over word vectors, one way or both; its last states.

    Hochreiter & Schmidhuber, "Long short-term memory", 1997; Cho et al., 2014. Padding leaves the
    state as it is. Order counts throughout.

    Args:
        dimension: Width of the result.
        cell: `lstm` or `gru`.
        bidirectional: Whether a second network reads from the end.
        units: Width of a state; `dimension` unless given.
        buckets: Rows of the word table.
        width: Of the table's rows; `dimension` unless given.
        max_length: Words kept.
        dropout: Of the word vectors and the result, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        cell: Literal["lstm", "gru"] = "gru",
        bidirectional: bool = True,
        units: int | None = None,
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
        self.cell = cell
        self.bidirectional = bidirectional
        self.units = dimension if units is None else units

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the recurrence."""
        width = super().build_features(inputs_shape)
        kind = keras.layers.LSTM if self.cell == "lstm" else keras.layers.GRU
        self.networks = []
        for backwards in (False, True)[: 1 + self.bidirectional]:
            network = kind(self.units, go_backwards=backwards, dtype=self.dtype_policy)
            network.build((None, None, width))
            self.networks.append(network)
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        return self.units * len(self.networks)

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Reads the words."""
        vectors, present = self.word_vectors(inputs)
        vectors = self.dropout_layer(vectors, training=training)
        states = [n(vectors, mask=present, training=training) for n in self.networks]
        return self.dropout_layer(ops.concatenate(states, -1), training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "cell": self.cell,
            "bidirectional": self.bidirectional,
            "units": self.units,
        }
