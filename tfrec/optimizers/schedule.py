"""The learning rate over a training: a rise, then a level or a fall."""

from __future__ import annotations

import math
from typing import Any

import keras

__all__ = ["WarmupSchedule"]

ops = keras.ops


@keras.saving.register_keras_serializable("tfrec")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear from 0 to the rate, then constant, or half a cosine down to 0.

    Loshchilov & Hutter, "SGDR", 2017, equation 5, one period. (Keras' `CosineDecay` can't be
    constant after its warm-up.)

    Args:
        learning_rate: Its peak.
        steps: Of the whole training.
        warmup_steps: Of the rise.
        cosine: Whether it falls afterwards.

    Example:
        >>> schedule = WarmupSchedule(0.1, steps=12, warmup_steps=2)
        >>> [round(float(schedule(step)), 3) for step in (0, 1, 2, 7, 12)]
        [0.0, 0.05, 0.1, 0.05, 0.0]
    """

    def __init__(
        self, learning_rate: float, *, steps: int, warmup_steps: int = 0, cosine: bool = True
    ) -> None:
        if not 0 <= warmup_steps < steps:
            raise ValueError(
                "`warmup_steps` must be at least 0 and less than `steps`."
                f" Received: warmup_steps={warmup_steps}, steps={steps}"
            )
        self.learning_rate = learning_rate
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.cosine = cosine

    def __call__(self, step: Any) -> Any:
        """The rate of a step, counted from 0, float32."""
        step = ops.cast(step, "float32")
        share = ops.ones_like(step)
        if self.cosine:
            done = (step - self.warmup_steps) / (self.steps - self.warmup_steps)
            share = 0.5 * (1 + ops.cos(math.pi * ops.clip(done, 0.0, 1.0)))
        if self.warmup_steps:
            share = ops.where(step < self.warmup_steps, step / self.warmup_steps, share)
        return self.learning_rate * share

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "cosine": self.cosine,
        }
