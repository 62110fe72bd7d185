"""The base of towers around a pretrained model: which handle, what of it learns, how it pools."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.encoders import find_preset
from tfrec.encoders.backbone import check_modality, load_backbone
from tfrec.towers.pooling import Pooling, TokenPooling
from tfrec.towers.tower import Tower
from tfrec.towers.tuning import Tuning, set_tuning

__all__ = ["PretrainedTower"]


class PretrainedTower(Tower):
    """Loads the model and sets what of it learns; subclasses run it.

    Args:
        dimension: Width of the result.
        modality: What the model must read, `text`, `image` or `audio`.
        handle: The model, as `tfrec.encoders.find_preset` takes it.
        tuning: What of it learns.
        layers: Layers that learn with `last_layers`.
        rank: Of LoRA's matrices.
        pooling: Over tokens, patches or moments.
        dropout: Of the pooled vector, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.

    Raises:
        DescriptionError: The handle names no model, or one of another modality.
    """

    def __init__(
        self,
        dimension: int,
        modality: str,
        *,
        handle: str,
        tuning: Tuning,
        layers: int,
        rank: int,
        pooling: Pooling,
        dropout: float,
        normalize: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, normalize=normalize, **kwargs)
        self.handle = handle
        self.tuning = tuning
        self.tuned_layers = layers
        self.rank = rank
        self.pooling = pooling
        self.dropout = dropout
        self.preset = find_preset(handle)
        backbone = load_backbone(self.preset)
        tower = f"{'a' if modality == 'text' else 'an'} {modality} tower"
        check_modality(backbone, modality, f"handle {handle}", tower)
        self.backbone = self.encoding_part(backbone)
        set_tuning(self.backbone, tuning, layers=layers, rank=rank)
        self.pool = TokenPooling(pooling, dtype=self.dtype_policy)

    def encoding_part(self, backbone: keras.Model) -> keras.Model:
        """The part of a model that is run, tuned and saved; all of it, unless overridden."""
        return backbone

    @property
    def width(self) -> int:
        """Of the vectors that are pooled."""
        output = self.backbone.output
        if isinstance(output, dict):
            output = output["sequence_output"]
        return int(output.shape[-1])

    @property
    def learns(self) -> bool:
        """Whether anything of the model does."""
        return self.tuning != "none"

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the pooling."""
        self.pool.build((None, None, self.width))
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        return self.width

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor; the handle is resolved again."""
        return {
            **super().get_config(),
            "handle": self.handle,
            "tuning": self.tuning,
            "layers": self.tuned_layers,
            "rank": self.rank,
            "pooling": self.pooling,
            "dropout": self.dropout,
        }
