"""Frozen audio encoders: a sound to a unit vector."""

from __future__ import annotations

import tensorflow as tf

from tfrec.encoders.backbone import check_modality, load_backbone
from tfrec.encoders.encoder import Encoder
from tfrec.encoders.presets import Preset
from tfrec.encoders.speech import load_speech
from tfrec.encoders.text import pool_tokens

__all__ = ["AudioEncoder"]


class AudioEncoder(Encoder):
    """The encoder of a keras-hub speech model, the mean over frames with sound, of length 1.

    Sounds come decoded to `sample_rate`; those of another rate would be heard at another pitch.
    Zeros at the end of a sound are padding and don't count; silence alone gives zeros.

    Args:
        preset: The folder of Whisper (Radford et al. 2022) or Moonshine (Jeffries et al. 2024).
    """

    def __init__(self, preset: Preset) -> None:
        backbone = load_backbone(preset)
        check_modality(backbone, "audio", f"encoder {preset.handle}", "an audio feature")
        speech = load_speech(preset, backbone)
        super().__init__(
            preset.handle,
            "audio",
            speech.width,
            preset.fingerprint(modality="audio", pooling="mean"),
        )
        self.sample_rate = speech.sample_rate
        self.backbone = speech.encoder
        self._speech = speech

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Encodes sounds.

        Args:
            inputs: int16 [batch, samples].

        Returns:
            float32 [batch, dimension], each of length 1; zeros for silence.
        """
        hidden, mask = self._speech(inputs)
        return tf.math.l2_normalize(pool_tokens(hidden, mask, "mean"), -1)
