"""The rules of sparse optimizers, each equal to its dense Keras counterpart on used rows."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfrec.optimizers.rows import RowOptimizer

__all__ = ["RowAdagrad", "RowAdam", "RowFtrl", "RowSGD", "RowwiseAdagrad"]


@keras.saving.register_keras_serializable("tfrec")
class RowAdagrad(RowOptimizer):
    """a ← a + g²; w ← w − η g / √(a + ε). Duchi, Hazan & Singer, 2011.

    Args:
        learning_rate: η; embeddings take more than dense layers, 0.05 to 0.1.
        initial_accumulator: a at first.
        epsilon: ε.
        **kwargs: `RowOptimizer`'s.
    """

    slots: ClassVar[dict[str, bool]] = {"accumulator": False}

    def __init__(
        self,
        learning_rate: Any = 0.05,
        *,
        initial_accumulator: float = 0.1,
        epsilon: float = 1e-7,
        name: str = "row_adagrad",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name=name, **kwargs)
        self.initial_accumulator = initial_accumulator
        self.epsilon = epsilon

    def initial(self, slot: str) -> float:
        """The accumulator's start."""
        return self.initial_accumulator

    def rule(
        self, values: Any, slots: dict[str, Any], gradient: Any, learning_rate: Any, step: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Accumulates and steps."""
        accumulator = slots["accumulator"] + tf.square(gradient)
        values = values - learning_rate * gradient * tf.math.rsqrt(accumulator + self.epsilon)
        return values, {"accumulator": accumulator}

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "initial_accumulator": self.initial_accumulator,
            "epsilon": self.epsilon,
        }


@keras.saving.register_keras_serializable("tfrec")
class RowwiseAdagrad(RowAdagrad):
    """Adagrad with one accumulator a row, of the mean of g²: a slot of 1 / width of the table.

    As large embedding tables are trained in DLRM (Naumov et al., 2019) and FBGEMM.

    Args:
        learning_rate: η.
        initial_accumulator: a at first.
        epsilon: ε.
        **kwargs: `RowOptimizer`'s.
    """

    slots: ClassVar[dict[str, bool]] = {"accumulator": True}

    def __init__(
        self, learning_rate: Any = 0.05, *, name: str = "rowwise_adagrad", **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, name=name, **kwargs)

    def rule(
        self, values: Any, slots: dict[str, Any], gradient: Any, learning_rate: Any, step: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Accumulates a row's mean square and steps."""
        square = tf.reduce_mean(tf.square(gradient), -1, keepdims=True)
        accumulator = slots["accumulator"] + square
        values = values - learning_rate * gradient * tf.math.rsqrt(accumulator + self.epsilon)
        return values, {"accumulator": accumulator}


@keras.saving.register_keras_serializable("tfrec")
class RowAdam(RowOptimizer):
    """Adam (Kingma & Ba, 2015) on used rows; the bias correction follows the steps of training.

    Args:
        learning_rate: η.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second.
        epsilon: ε.
        **kwargs: `RowOptimizer`'s.
    """

    slots: ClassVar[dict[str, bool]] = {"momentum": False, "velocity": False}

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str = "row_adam",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name=name, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def rule(
        self, values: Any, slots: dict[str, Any], gradient: Any, learning_rate: Any, step: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Moves the moments and steps."""
        momentum = slots["momentum"] + (gradient - slots["momentum"]) * (1 - self.beta_1)
        velocity = slots["velocity"] + (tf.square(gradient) - slots["velocity"]) * (1 - self.beta_2)
        first, second = 1 - self.beta_1**step, 1 - self.beta_2**step
        rate = learning_rate * tf.sqrt(second) / first
        values = values - momentum * rate / (tf.sqrt(velocity) + self.epsilon)
        return values, {"momentum": momentum, "velocity": velocity}

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


@keras.saving.register_keras_serializable("tfrec")
class RowSGD(RowOptimizer):
    """m ← μ m − η g; w ← w + m, or with Nesterov w ← w + μ m − η g.

    Args:
        learning_rate: η.
        momentum: μ.
        nesterov: Whether the step looks ahead.
        **kwargs: `RowOptimizer`'s.
    """

    slots: ClassVar[dict[str, bool]] = {"momentum": False}

    def __init__(
        self,
        learning_rate: Any = 0.01,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        name: str = "row_sgd",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name=name, **kwargs)
        self.momentum = momentum
        self.nesterov = nesterov

    def rule(
        self, values: Any, slots: dict[str, Any], gradient: Any, learning_rate: Any, step: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Moves the momentum and steps."""
        move = slots["momentum"] * self.momentum - learning_rate * gradient
        ahead = move * self.momentum - learning_rate * gradient if self.nesterov else move
        return values + ahead, {"momentum": move}

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "nesterov": self.nesterov,
        }


@keras.saving.register_keras_serializable("tfrec")
class RowFtrl(RowOptimizer):
    """FTRL-Proximal (McMahan et al., "Ad click prediction", 2013), with L1 that makes exact zeros.

    Args:
        learning_rate: η.
        initial_accumulator: Start of the sum of squares.
        l1: Strength of L1.
        l2: Strength of L2.
        beta: β of the paper.
        **kwargs: `RowOptimizer`'s.
    """

    slots: ClassVar[dict[str, bool]] = {"accumulator": False, "linear": False}

    def __init__(
        self,
        learning_rate: Any = 0.05,
        *,
        initial_accumulator: float = 0.1,
        l1: float = 0.0,
        l2: float = 0.0,
        beta: float = 0.0,
        name: str = "row_ftrl",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name=name, **kwargs)
        self.initial_accumulator = initial_accumulator
        self.l1 = l1
        self.l2 = l2
        self.beta = beta

    def initial(self, slot: str) -> float:
        """The accumulator's start."""
        return self.initial_accumulator if slot == "accumulator" else 0.0

    def rule(
        self, values: Any, slots: dict[str, Any], gradient: Any, learning_rate: Any, step: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Accumulates and solves for the new row."""
        old = slots["accumulator"]
        accumulator = old + tf.square(gradient)
        root = tf.sqrt(accumulator)
        linear = slots["linear"] + gradient - (root - tf.sqrt(old)) / learning_rate * values
        quadratic = (root + self.beta) / learning_rate + 2 * self.l2
        values = (tf.clip_by_value(linear, -self.l1, self.l1) - linear) / quadratic
        return values, {"accumulator": accumulator, "linear": linear}

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "initial_accumulator": self.initial_accumulator,
            "l1": self.l1,
            "l2": self.l2,
            "beta": self.beta,
        }
