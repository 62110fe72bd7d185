"""A convolutional recurrent network over log-mel spectrograms."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.registry import register
from tfrec.towers.audio_cnn import AudioTower

__all__ = ["AudioCrnnTower"]

ops = keras.ops


@register("tower", "audio_crnn")
@keras.saving.register_keras_serializable("tfrec")
class AudioCrnnTower(AudioTower):
    """Convolutions of stride 2 over time, then a GRU over what is left of it; its last state.

    Choi, Fazekas, Sandler & Cho, "Convolutional recurrent neural networks for music
    classification", 2017: the convolutions find local patterns, the recurrence how they follow one
    another.

    Args:
        dimension: Width of the result.
        channels: Of each convolution.
        kernel: Frames in a convolution's window.
        units: Width of the GRU's state.
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
        channels: tuple[int, ...] = (48, 48, 48),
        kernel: int = 5,
        units: int = 48,
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
        self.units = units

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the convolutions and the recurrence."""
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
        self.recurrence = keras.layers.GRU(self.units, dtype=policy)
        self.recurrence.build((None, None, self.channels[-1]))
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=policy)
        return self.units

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Convolves and reads."""
        maps = self.stack(ops.cast(inputs, self.compute_dtype), training=training)
        return self.dropout_layer(self.recurrence(maps, training=training), training=training)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "channels": self.channels,
            "kernel": self.kernel,
            "units": self.units,
        }
