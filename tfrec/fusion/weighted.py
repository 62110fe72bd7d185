"""Weighted average of the modalities."""

from __future__ import annotations

from typing import Any, Literal

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.fusion.masking import masked_softmax
from tfrec.registry import register

__all__ = ["WeightedAverage"]

ops = keras.ops


@register("fusion", "weighted")
@keras.saving.register_keras_serializable("tfrec")
class WeightedAverage(Fusion):
    """f = Σ w_k x_k over the modalities that are present, Σ w_k = 1.

    Args:
        dimension: Width of the result.
        mode: `fixed`: weights as given; `learned`: one weight a modality; `item`: a softmax over
            scores vᵀ tanh(W x_k), so that each item weighs its own modalities.
        weights: By modality, for `fixed`; equal unless given.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        mode: Literal["fixed", "learned", "item"] = "learned",
        weights: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, **kwargs)
        if weights is not None and mode != "fixed":
            raise ValueError(f"`weights` belong to the mode `fixed`. Received: mode={mode}")
        if weights is not None and (min(weights.values()) < 0 or sum(weights.values()) == 0):
            raise ValueError(f"`weights` are not negative, one positive. Received: {weights}")
        self.mode = mode
        self.given = weights

    def build_fusion(self, modalities: int) -> None:
        """Makes the scores' weights."""
        if self.given is not None and set(self.given) != set(self.names):
            raise ValueError(
                f"`weights` must name the modalities {', '.join(self.names)}. Received:"
                f" {', '.join(sorted(self.given))}"
            )
        if self.mode == "learned":
            self.logits = self.add_weight(
                shape=(modalities,), initializer="zeros", name="logits", dtype="float32"
            )
        elif self.mode == "item":
            self.hidden = self.built_dense(self.dimension, self.dimension, activation="tanh")
            self.score = self.built_dense(self.dimension, 1, use_bias=False)

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Averages."""
        if self.mode == "fixed":
            given = self.given or dict.fromkeys(self.names, 1.0)
            fixed = ops.cast([given[name] for name in self.names], "float32")
            weights = fixed * ops.cast(present, "float32")
            weights = weights / ops.maximum(ops.sum(weights, -1, keepdims=True), 1e-9)
        elif self.mode == "learned":
            weights = masked_softmax(ops.broadcast_to(self.logits, ops.shape(present)), present)
        else:
            weights = masked_softmax(self.score(self.hidden(vectors))[..., 0], present)
        fused = ops.einsum("bk,bkd->bd", ops.cast(weights, vectors.dtype), vectors)
        return fused, weights

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "mode": self.mode, "weights": self.given}
