"""A recurrent network over past items."""

from __future__ import annotations

from typing import Any, Literal

import keras

from tfrec.registry import register
from tfrec.towers.history_causal import CausalHistory

__all__ = ["GruHistory"]

ops = keras.ops


@register("history", "gru")
@keras.saving.register_keras_serializable("tfrec")
class GruHistory(CausalHistory):
    """GRU layers; the last state, projected.

    Hidasi, Karatzoglou, Baltrunas & Tikk, "Session-based recommendations with recurrent neural
    networks" (GRU4Rec), 2016. Padding leaves the state as it is. Order counts.

    Args:
        dimension: Width of the items' vectors and of the result.
        events: Size of the event types' vocabulary; 0 when there are no types.
        time: What is read of an event's time: its `age`, or the `gap` to the next event.
        units: Width of the state; `dimension` unless given.
        layers: How many.
        dropout: Of each layer's input, in training.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        events: int = 0,
        time: Literal["age", "gap"] = "age",
        units: int | None = None,
        layers: int = 1,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, events=events, time=time, **kwargs)
        if layers < 1:
            raise ValueError(f"`layers` must be positive. Received: layers={layers}")
        self.units = dimension if units is None else units
        self.layers_count = layers
        self.dropout = dropout

    def build_encoder(self, ages: bool, events: bool) -> None:
        """Makes the recurrences."""
        policy = self.dtype_policy
        self.recurrences = []
        self.dropout_layers = []
        width = self.dimension
        for _ in range(self.layers_count):
            layer = keras.layers.GRU(self.units, return_sequences=True, dtype=policy)
            layer.build((None, None, width))
            self.recurrences.append(layer)
            self.dropout_layers.append(keras.layers.Dropout(self.dropout, dtype=policy))
            width = self.units
        self.projection = keras.layers.Dense(self.dimension, dtype=policy)
        self.projection.build((None, self.units))

    def states(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """The projected state after each event, [batch, length, dimension]."""
        for dropout, layer in zip(self.dropout_layers, self.recurrences, strict=True):
            vectors = layer(dropout(vectors, training=training), mask=present, training=training)
        return self.projection(vectors)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "units": self.units,
            "layers": self.layers_count,
            "dropout": self.dropout,
        }
