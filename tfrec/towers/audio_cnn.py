"""A small convolutional network over log-mel spectrograms."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.media import log_mel
from tfrec.registry import register
from tfrec.schema import FeatureSpec
from tfrec.towers.tower import Tower

__all__ = ["AudioCnnTower", "AudioTower"]

ops = keras.ops


class AudioTower(Tower):
    """The base of audio towers: int16 [batch, samples] to a log-mel spectrogram.

    Args:
        dimension: Width of the result.
        sample_rate: Samples per second; comes from the data.
        bands: Mel bands.
        window: Of the Fourier transform, in milliseconds, rounded up to a power of two of samples.
        hop: Between frames, in milliseconds.
        dropout: Of the pooled features, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    modalities = frozenset({"audio"})

    def __init__(
        self,
        dimension: int,
        *,
        sample_rate: int = 16_000,
        bands: int = 48,
        window: float = 32.0,
        hop: float = 16.0,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, normalize=normalize, **kwargs)
        self.sample_rate = sample_rate
        self.bands = bands
        self.window = window
        self.hop = hop
        self.dropout = dropout

    @classmethod
    def arguments(cls, spec: FeatureSpec) -> dict[str, Any]:
        """The sample rate."""
        return {"sample_rate": spec.config.sample_rate}

    def prepare(self, inputs: Any) -> Any:
        """From int16 [batch, samples] to log-mel power, float32 [batch, frames, bands].

        Values lie about -1 … 1. A spectrogram stays as it is. Computing it is
        nine tenths of a small network's cost.
        """
        if len(inputs.shape) == 3:
            return inputs
        window = 1 << max(round(self.sample_rate * self.window / 1000) - 1, 1).bit_length()
        mel = log_mel(
            tf.convert_to_tensor(inputs),
            self.sample_rate,
            bands=self.bands,
            window=window,
            hop=max(1, round(self.sample_rate * self.hop / 1000)),
        )
        # Silence is -100 dB and a loud band about +20: fixed numbers, so that one item's vector
        # depends on no other.
        return (mel + 40.0) / 40.0

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "sample_rate": self.sample_rate,
            "bands": self.bands,
            "window": self.window,
            "hop": self.hop,
            "dropout": self.dropout,
        }


@register("tower", "audio_cnn")
@keras.saving.register_keras_serializable("tfrec")
class AudioCnnTower(AudioTower):
    """Convolutions of stride 2 over time with the bands as channels; mean and maximum over time.

    One-dimensional as in Lee, Park, Kim & Nam, "Sample-level deep CNNs for music auto-tagging"
    (2017) on top of a spectrogram; the levels of the bands, which tell timbre, go to the output
    directly too.

    Args:
        dimension: Width of the result.
        channels: Of each convolution.
        kernel: Frames in a convolution's window.
        sample_rate: Samples per second; comes from the data.
        bands: Mel bands.
        window: Of the Fourier transform, in milliseconds.
        hop: Between frames, in milliseconds.
        dropout: Of the pooled features, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        channels: tuple[int, ...] = (48, 48, 64),
        kernel: int = 5,
        sample_rate: int = 16_000,
        bands: int = 48,
        window: float = 32.0,
        hop: float = 16.0,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dimension,
            sample_rate=sample_rate,
            bands=bands,
            window=window,
            hop=hop,
            dropout=dropout,
            normalize=normalize,
            **kwargs,
        )
        self.channels = tuple(channels)
        self.kernel = kernel

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the convolutions."""
        policy = self.dtype_policy
        self.stack = keras.Sequential(
            [
                keras.layers.Conv1D(
                    n, self.kernel, 2, padding="same", activation="relu", dtype=policy
                )
                for n in self.channels
            ]
        )
        self.stack.build((None, None, self.bands))
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=policy)
        return 2 * self.channels[-1] + self.bands

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Convolves and pools."""
        mel = ops.cast(inputs, self.compute_dtype)
        maps = self.stack(mel, training=training)
        pooled = ops.concatenate([ops.mean(mel, 1), ops.mean(maps, 1), ops.max(maps, 1)], -1)
        return self.dropout_layer(pooled, training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "channels": self.channels, "kernel": self.kernel}
