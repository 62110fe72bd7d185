"""A weighted average of modalities that are pulled together."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion.fusion import Fusion
from tfrec.fusion.masking import masked_softmax
from tfrec.registry import register

__all__ = ["AlignedFusion"]

ops = keras.ops


@register("fusion", "aligned")
@keras.saving.register_keras_serializable("tfrec")
class AlignedFusion(Fusion):
    """f = Σ w_k W_k x_k, and in training a contrastive loss between every two modalities.

    The loss is CLIP's (Radford et al., 2021, figure 3): in a batch, an item's vector from one
    modality must find the same item's from another among the others', in both directions. Used so
    between the modalities of items by MicroLens and CLCRec (Wei et al., 2021), it lets content
    stand in for what is missing. It is added by `add_loss`; with a batch of one it is 0.

    Args:
        dimension: Width of the result.
        weight: Of the loss.
        temperature: Of its softmax.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        weight: float = 0.1,
        temperature: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, **kwargs)
        if weight < 0 or temperature <= 0:
            raise ValueError(
                "`weight` must not be negative and `temperature` be positive."
                f" Received: weight={weight}, temperature={temperature}"
            )
        self.weight = weight
        self.temperature = temperature

    def build_fusion(self, modalities: int) -> None:
        """Makes the maps and the weights."""
        self.maps = self.per_modality(modalities, self.dimension, "maps")
        self.logits = self.add_weight(shape=(modalities,), initializer="zeros", name="logits")

    def fuse(self, vectors: Any, present: Any, training: bool | None) -> Any:
        """Maps and averages."""
        mapped = self.mapped(vectors, self.maps)
        if training and self.weight:
            self.add_loss(self.weight * self.alignment(mapped, present))
        weights = masked_softmax(ops.broadcast_to(self.logits, ops.shape(present)), present)
        return ops.einsum("bk,bkd->bd", ops.cast(weights, mapped.dtype), mapped), weights

    def alignment(self, mapped: Any, present: Any) -> Any:
        """The contrastive loss, averaged over pairs of modalities, in float32.

        Args:
            mapped: [batch, modalities, dimension].
            present: [batch, modalities].

        Returns:
            A scalar.
        """
        flags = ops.cast(present, "float32")
        mapped = ops.cast(mapped, "float32")
        length = ops.sqrt(ops.sum(ops.square(mapped), -1, keepdims=True) + 1e-12)
        unit = mapped / length
        total, pairs = ops.zeros(()), 0
        for one in range(len(self.names)):
            for two in range(one + 1, len(self.names)):
                both = flags[:, one] * flags[:, two]
                scores = ops.matmul(unit[:, one], ops.transpose(unit[:, two])) / self.temperature
                for matrix in (scores, ops.transpose(scores)):
                    # Only items that have both modalities are asked, and are among the answers.
                    masked = ops.where(both[None, :] > 0, matrix, -1e9)
                    loss = ops.logsumexp(masked, -1) - ops.diagonal(masked)
                    loss = ops.where(both > 0, loss, 0.0)
                    total = total + ops.sum(loss) / ops.maximum(ops.sum(both), 1.0)
                    pairs += 1
        return total / max(pairs, 1)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "weight": self.weight,
            "temperature": self.temperature,
        }
