"""The weighted mean of past items."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.registry import register
from tfrec.towers.history import HistoryTower

__all__ = ["MeanHistory"]

ops = keras.ops


@register("history", "mean")
@keras.saving.register_keras_serializable("tfrec")
class MeanHistory(HistoryTower):
    """Σ w_t x_t / (Σ w_t)^p with w_t = (1 + days)^(-a) (1 + rank)^(-b) exp(c_event).

    a, b and c are learned. The rank counts from the latest event, 0. With a = b = 0 the order of
    events doesn't count.

    Args:
        dimension: Width of the items' vectors and of the result.
        events: Size of the event types' vocabulary; 0 when there are no types.
        age_decay: Where a starts.
        rank_decay: Where b starts.
        power: p: 1 is a mean, 0.5 grows as the root of the history's length, 0 is a sum.
        **kwargs: Keras' own.
    """

    adds_time_and_event = False

    def __init__(
        self,
        dimension: int,
        *,
        events: int = 0,
        age_decay: float = 0.1,
        rank_decay: float = 0.1,
        power: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, events=events, **kwargs)
        if not 0 <= power <= 1:
            raise ValueError(f"`power` lies between 0 and 1. Received: power={power}")
        self.age_decay = age_decay
        self.rank_decay = rank_decay
        self.power = power

    def build_encoder(self, ages: bool, events: bool) -> None:
        """Makes the decays and the events' weights."""
        constant = keras.initializers.Constant
        options: dict[str, Any] = {"shape": (), "dtype": "float32"}
        self.rank_rate = self.add_weight(
            initializer=constant(self.rank_decay), name="rank_decay", **options
        )
        if ages:
            self.age_rate = self.add_weight(
                initializer=constant(self.age_decay), name="age_decay", **options
            )
        if events and self.events:
            self.event_logits = self.add_weight(
                shape=(self.events,), initializer="zeros", name="event_logits", dtype="float32"
            )

    def encode(
        self, vectors: Any, present: Any, ages: Any, events: Any, training: bool | None
    ) -> Any:
        """Weighs and sums."""
        flags = ops.cast(present, "float32")
        rank = ops.flip(ops.cumsum(ops.flip(flags, 1), 1), 1) - flags
        logs = -self.rank_rate * ops.log(1.0 + rank)
        if ages is not None:
            logs = logs - self.age_rate * ops.log(1.0 + ages)
        if events is not None and self.events:
            kinds = tf.clip_by_value(ops.cast(events, "int32"), 0, self.events - 1)
            logs = logs + tf.gather(self.event_logits.value, kinds)
        weights = ops.exp(logs) * flags
        total = ops.maximum(ops.sum(weights, 1, keepdims=True), 1e-6)
        weights = ops.cast(weights / total**self.power, vectors.dtype)
        return ops.einsum("bl,bld->bd", weights, vectors)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "age_decay": self.age_decay,
            "rank_decay": self.rank_decay,
            "power": self.power,
        }
