"""A pretrained language model as a tower: frozen, partly or wholly tuned, or with LoRA."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.encoders.tokenizing import load_tokens
from tfrec.registry import register
from tfrec.schema import FeatureSpec
from tfrec.towers.pooling import Pooling
from tfrec.towers.pretrained import PretrainedTower
from tfrec.towers.tuning import Tuning
from tfrec.towers.words import length_of

__all__ = ["PretrainedTextTower"]

ops = keras.ops


@register("tower", "pretrained_text")
@keras.saving.register_keras_serializable("tfrec")
class PretrainedTextTower(PretrainedTower):
    """Any keras-hub text model by handle, with its own tokeniser in the graph.

    Devlin et al., "BERT", 2019. A feature whose model stays frozen is cheaper as the data's
    `encoder`, which runs once; this tower is for training on, or for another pooling.

    Args:
        dimension: Width of the result.
        handle: `minilm`, `preset:NAME`, `hf:PATH` or a path; see `tfrec.encoders.find_preset`.
        tuning: What is trained: `none`, the `last` layers, `lora`, `all`.
        layers: For `last`: how many.
        rank: For `lora`.
        pooling: Of the tokens: `cls`, `mean`, `max`, `attention`.
        max_length: Tokens kept; comes from the description.
        dropout: Of the pooled vector, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.

    Raises:
        DescriptionError: The handle names no text model, or one without its tokeniser.
    """

    modalities = frozenset({"text"})

    def __init__(
        self,
        dimension: int,
        *,
        handle: str = "minilm",
        tuning: Tuning = "none",
        layers: int = 2,
        rank: int = 8,
        pooling: Pooling = "mean",
        max_length: int = 64,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dimension,
            "text",
            handle=handle,
            tuning=tuning,
            layers=layers,
            rank=rank,
            pooling=pooling,
            dropout=dropout,
            normalize=normalize,
            **kwargs,
        )
        longest = int(getattr(self.backbone, "max_sequence_length", max_length))
        self.max_length = max(3, min(max_length, longest))
        self._tokens = load_tokens(self.preset, self.backbone, self.max_length)

    @classmethod
    def arguments(cls, spec: FeatureSpec) -> dict[str, Any]:
        """The length that the description says."""
        return length_of(spec)

    def prepare(self, inputs: Any) -> Any:
        """From string [batch] to tokens and their mask, int32 [batch, 2, max_length]."""
        if inputs.dtype not in (tf.string, "string"):
            return inputs
        tokens = self._tokens(inputs)
        both = tf.stack([tokens["token_ids"], tokens["padding_mask"]], 1)
        both = tf.pad(both, [[0, 0], [0, 0], [0, self.max_length - tf.shape(both)[2]]])
        return tf.ensure_shape(both, [None, 2, self.max_length])

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Runs the model on int32 [batch, 2, length] and pools."""
        tokens, mask = inputs[:, 0], inputs[:, 1]
        known = {
            "token_ids": tokens,
            "padding_mask": mask,
            "segment_ids": ops.zeros_like(tokens),
        }
        names = self.backbone.input
        hidden = self.backbone(
            {name: known[name] for name in names},
            training=bool(training) and self.learns,
        )
        if isinstance(hidden, dict):
            hidden = hidden["sequence_output"]
        return self.dropout_layer(self.pool(hidden, mask), training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "max_length": self.max_length}
