"""Shared experts with a gate for each part of the result."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.registry import register

__all__ = ["MultiGateMixture"]

ops = keras.ops


@register("fusion", "multi_gate")
@keras.saving.register_keras_serializable("tfrec")
class MultiGateMixture(Fusion):
    """Each part of the result weighs the same experts over all modalities by a gate of its own.

    Ma et al., "Modeling task relationships in multi-task learning with multi-gate
    mixture-of-experts" (MMoE), 2018, equations 6 and 7; its tasks are the parts here, or what heads
    after the fusion read from them.

    Args:
        dimension: Width of the result; a multiple of `parts`.
        experts: How many.
        parts: Slices of the result with a gate each.
        **kwargs: Keras' own.
    """

    def __init__(self, dimension: int, *, experts: int = 4, parts: int = 2, **kwargs: Any) -> None:
        super().__init__(dimension, **kwargs)
        if experts < 1 or parts < 1 or dimension % parts:
            raise ValueError(
                f"`experts` must be positive and `parts` divide {dimension}."
                f" Received: experts={experts}, parts={parts}"
            )
        self.experts = experts
        self.parts = parts

    def build_fusion(self, modalities: int) -> None:
        """Makes experts and gates."""
        width = modalities * (self.dimension + 1)
        self.hidden = self.built_dense(width, self.experts * self.dimension, activation="gelu")
        self.gates = self.built_dense(width, self.parts * self.experts)
        self.output_layer = self.built_dense(self.dimension, self.dimension)

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Asks experts, weighs by part."""
        flat = self.flat(vectors, present)
        size = self.dimension // self.parts
        answers = ops.reshape(self.hidden(flat), (-1, self.experts, self.parts, size))
        gates = ops.reshape(self.gates(flat), (-1, self.parts, self.experts))
        gates = ops.cast(ops.softmax(ops.cast(gates, "float32"), -1), answers.dtype)
        mixed = ops.einsum("bpe,beps->bps", gates, answers)
        return self.output_layer(ops.reshape(mixed, (-1, self.dimension)))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "experts": self.experts, "parts": self.parts}
