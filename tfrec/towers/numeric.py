"""Towers of numbers: periodic and piecewise-linear embeddings."""

from __future__ import annotations

import itertools
import math
from typing import Any

import keras
from scipy.special import ndtri

from tfrec.registry import register
from tfrec.towers.tower import Tower

__all__ = ["PeriodicTower", "PiecewiseLinearTower"]

ops = keras.ops


@register("tower", "periodic")
@keras.saving.register_keras_serializable("tfrec")
class PeriodicTower(Tower):
    """[x, sin(2π c_i x), cos(2π c_i x)] with learned frequencies c_i, then ReLU of a dense layer.

    Gorishniy, Rubachev & Babenko, "On embeddings for numerical features in tabular deep learning",
    2022, section 3.3; frequencies start from N(0, `sigma`).

    Args:
        dimension: Width of the result.
        frequencies: How many.
        sigma: Their initial spread; the number is standardised, so 1 is a period of one deviation.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    modalities = frozenset({"numeric"})

    def __init__(
        self,
        dimension: int,
        *,
        frequencies: int = 8,
        sigma: float = 0.3,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, normalize=normalize, **kwargs)
        self.frequencies = frequencies
        self.sigma = sigma

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the frequencies."""
        self.coefficients = self.add_weight(
            shape=(self.frequencies,),
            initializer=keras.initializers.RandomNormal(stddev=self.sigma),
            name="frequencies",
            dtype="float32",
        )
        width = 2 * self.frequencies + 1
        self.hidden = self.dense(width, activation="relu")
        self.hidden.build((None, width))
        return width

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Embeds float [batch], in float32: a phase has no digits to spare."""
        x = ops.cast(ops.reshape(inputs, (-1, 1)), "float32")
        phase = 2 * math.pi * x * ops.convert_to_tensor(self.coefficients)
        # tanh keeps an outlier of a hundred deviations from taking over.
        waves = ops.concatenate([ops.tanh(x), ops.sin(phase), ops.cos(phase)], -1)
        return self.hidden(ops.cast(waves, self.compute_dtype))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "frequencies": self.frequencies, "sigma": self.sigma}


@register("tower", "piecewise_linear")
@keras.saving.register_keras_serializable("tfrec")
class PiecewiseLinearTower(Tower):
    """How full each bin is: 1 for bins below x, 0 above, and the share of its own bin.

    The same paper, section 3.2. Its bins are quantiles; a standardised number's are taken to be the
    normal distribution's, so that no statistics beyond mean and deviation are needed.

    Args:
        dimension: Width of the result.
        bins: How many.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    modalities = frozenset({"numeric"})

    def __init__(
        self, dimension: int, *, bins: int = 16, normalize: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(dimension, normalize=normalize, **kwargs)
        if bins < 2:
            raise ValueError(f"`bins` must be at least 2. Received: bins={bins}")
        self.bins = bins

    def build_features(self, inputs_shape: Any) -> int:
        """Computes the bins' edges."""
        inner = [float(ndtri(i / self.bins)) for i in range(1, self.bins)]
        # The outermost bins would be infinitely wide; they reach to four deviations.
        edges = [min(-4.0, inner[0] - 1), *inner, max(4.0, inner[-1] + 1)]
        self.lower = edges[:-1]
        self.widths = [b - a for a, b in itertools.pairwise(edges)]
        return self.bins

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Fills the bins of float [batch]."""
        x = ops.cast(ops.reshape(inputs, (-1, 1)), "float32")
        filled = (x - ops.array(self.lower, "float32")) / ops.array(self.widths, "float32")
        return ops.cast(ops.clip(filled, 0.0, 1.0), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "bins": self.bins}
