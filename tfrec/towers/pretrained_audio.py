"""A pretrained speech model as a tower: frozen, partly or wholly tuned, or with LoRA."""

from __future__ import annotations

from typing import Any, Literal

import keras

from tfrec.encoders.speech import check_sample_rate, load_speech
from tfrec.registry import register
from tfrec.schema import FeatureSpec
from tfrec.towers.pretrained import PretrainedTower
from tfrec.towers.tuning import Tuning

__all__ = ["PretrainedAudioTower"]


@register("tower", "pretrained_audio")
@keras.saving.register_keras_serializable("tfrec")
class PretrainedAudioTower(PretrainedTower):
    """The encoder of keras-hub's Whisper or Moonshine by handle; vectors of moments pooled.

    Radford et al., "Robust speech recognition via large-scale weak supervision", 2022; Jeffries et
    al., "Moonshine", 2024. Zeros at the end of a sound are padding and don't count. A feature whose
    model stays frozen is cheaper as the data's `encoder`, which runs once: Whisper hears 30 s,
    whatever the length of the sound.

    Args:
        dimension: Width of the result.
        handle: `preset:NAME`, `NAME` or a path; see `tfrec.encoders.find_preset`.
        tuning: What is trained: `none`, the `last` layers, `lora`, `all`.
        layers: For `last`: how many.
        rank: For `lora`.
        pooling: Over moments: `mean`, `max` or `attention` (a learned score for each).
        sample_rate: Samples per second; comes from the data.
        dropout: Of the pooled vector, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.

    Raises:
        DescriptionError: The handle names no speech model, or one of another sample rate.
    """

    modalities = frozenset({"audio"})

    def __init__(
        self,
        dimension: int,
        *,
        handle: str,
        tuning: Tuning = "none",
        layers: int = 2,
        rank: int = 8,
        pooling: Literal["mean", "max", "attention"] = "mean",
        sample_rate: int = 16_000,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dimension,
            "audio",
            handle=handle,
            tuning=tuning,
            layers=layers,
            rank=rank,
            pooling=pooling,
            dropout=dropout,
            normalize=normalize,
            **kwargs,
        )
        self.sample_rate = sample_rate
        check_sample_rate(f"handle {handle}", self._speech.sample_rate, sample_rate)

    @classmethod
    def arguments(cls, spec: FeatureSpec) -> dict[str, Any]:
        """The sample rate."""
        return {"sample_rate": spec.config.sample_rate}

    def encoding_part(self, backbone: keras.Model) -> keras.Model:
        """The encoder: words are nobody's here."""
        self._speech = load_speech(self.preset, backbone)
        return self._speech.encoder

    @property
    def width(self) -> int:
        """Of a moment's vector."""
        return self._speech.width

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Embeds int16 [batch, samples]."""
        hidden, mask = self._speech(inputs, training=bool(training) and self.learns)
        return self.dropout_layer(self.pool(hidden, mask), training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "sample_rate": self.sample_rate}
