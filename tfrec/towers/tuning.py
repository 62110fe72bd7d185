"""How much of a pretrained backbone is trained: nothing, its last layers, LoRA, or all."""

from __future__ import annotations

from typing import Any, Literal

import keras

__all__ = ["Tuning", "set_tuning"]

Tuning = Literal["none", "last", "lora", "all"]

# Heads of published models whose result nobody reads here.
_UNREAD = frozenset({"pooled_dense", "pooler"})
# Sinusoids that Whisper's authors computed (Radford et al. 2022, 2.2): a table that isn't learned.
_COMPUTED = frozenset({"encoder_position_embedding"})
# What Hu et al. adapt, section 4.2, by the names that keras-hub's attention layers use.
_ADAPTED = frozenset({"query", "value", "query_dense", "value_dense"})


def set_tuning(
    backbone: keras.Model, tuning: Tuning, *, layers: int = 2, rank: int = 8, where: str = "handle"
) -> None:
    """Sets which weights of a backbone are trained.

    Args:
        backbone: Of keras-hub, built.
        tuning: `none`; `last`: its last `layers` layers that have weights (blocks, for a
            transformer, with the normalisation after them); `lora`: low-rank additions to the
            attention's query and value maps (Hu et al., "LoRA", 2021), the rest frozen; `all`.
        layers: For `last`.
        rank: For `lora`.
        where: Of the option, for errors.

    Raises:
        ValueError: The backbone has no attention to adapt, or `layers` or `rank` isn't positive.
    """
    if layers < 1 or rank < 1:
        raise ValueError(
            f"`layers` and `rank` must be positive. Received: layers={layers}, rank={rank}"
        )
    backbone.trainable = tuning != "none"
    fixed = _UNREAD | _COMPUTED
    for layer in backbone.layers:
        if layer.name in fixed:
            layer.trainable = False
    own = [layer for layer in backbone.layers if layer.trainable_weights]
    if tuning == "last":
        normal = keras.layers.LayerNormalization
        blocks = [place for place, layer in enumerate(own) if not isinstance(layer, normal)]
        for layer in own[: blocks[-layers]] if layers < len(blocks) else ():
            layer.trainable = False
    elif tuning == "lora":
        _adapt(backbone, rank, where)


def _adapt(backbone: keras.Model, rank: int, where: str) -> None:
    leaves = [layer for layer in backbone._flatten_layers(include_self=False) if not layer._layers]
    adapted = 0
    for layer in leaves:
        fits = layer.name in _ADAPTED and hasattr(layer, "enable_lora")
        layer.trainable = fits
        if fits:
            layer.enable_lora(rank)
            bias: Any = getattr(layer, "bias", None)
            if bias is not None:
                bias.trainable = False
            adapted += 1
    if not adapted:
        raise ValueError(
            f"`tuning: lora` needs a model with attention in `{where}`."
            f" Received: {type(backbone).__name__}"
        )
