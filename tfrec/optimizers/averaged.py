"""AdamW that keeps a moving average of the weights, under every distribution strategy."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["AveragedAdamW"]


@keras.saving.register_keras_serializable("tfrec")
class AveragedAdamW(keras.optimizers.AdamW):
    """AdamW (Loshchilov & Hutter, 2019); avg ← d avg + (1 − d) w after each step.

    The average of Keras' own `use_ema` (Polyak & Juditsky, 1992), kept within the update, so that
    it works in a replica too, where Keras' assignment names no aggregation.

    Args:
        learning_rate: Number or schedule.
        average: d; 0 keeps none.
        **kwargs: `keras.optimizers.AdamW`'s.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        *,
        average: float = 0.0,
        name: str = "adamw",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name=name, **kwargs)
        self.average = average

    def build(self, variables: Any) -> None:
        """Makes the slots."""
        if self.built:
            return
        super().build(variables)
        self._averages: list[Any] = []
        if self.average:
            self._averages = [
                self.add_variable_from_reference(variable, name="average") for variable in variables
            ]
            # A variable that never gets a gradient is its own average.
            for average, variable in zip(self._averages, variables, strict=True):
                average.assign(variable)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Applies one variable's gradient."""
        super().update_step(gradient, variable, learning_rate)
        if self.average:
            average = self._averages[self._get_variable_index(variable)]
            share = tf.where(self.iterations.value > 0, self.average, 0.0)
            share = tf.cast(share, average.dtype)
            self.assign(average, share * average.value + (1 - share) * variable)

    def averages(self, variables: Any) -> list[Any]:
        """The moving average of each variable after the last step.

        Args:
            variables: Those that the optimizer was built with, or some.

        Returns:
            Tensors of their shapes.

        Raises:
            ValueError: `average` is 0.
        """
        if not self.average:
            raise ValueError("`average` must be positive to keep averages. Received: 0")
        places = [self._get_variable_index(variable) for variable in variables]
        return [tf.convert_to_tensor(self._averages[place].value) for place in places]

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "average": self.average}
