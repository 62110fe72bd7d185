"""A transformer over log-mel spectrograms."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.fusion import TransformerBlock
from tfrec.registry import register
from tfrec.towers.audio_cnn import AudioTower

__all__ = ["AudioTransformerTower"]

ops = keras.ops


@register("tower", "audio_transformer")
@keras.saving.register_keras_serializable("tfrec")
class AudioTransformerTower(AudioTower):
    """Pieces of several frames as tokens, sine positions, transformer blocks, their mean.

    Gong, Chung & Glass, "AST: audio spectrogram transformer", 2021; its pieces span all bands.

    Args:
        dimension: Width of the result.
        frames: In a piece.
        width: Of the tokens.
        blocks: How many.
        heads: Attention heads; they divide `width`.
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
        frames: int = 8,
        width: int = 48,
        blocks: int = 2,
        heads: int = 3,
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
        if width % heads or width % 2:
            raise ValueError(
                "`width` must be even and `heads` divide it."
                f" Received: width={width}, heads={heads}"
            )
        self.frames = frames
        self.width = width
        self.blocks_count = blocks
        self.heads = heads

    def build_features(self, inputs_shape: Any) -> int:
        """Makes pieces and blocks."""
        policy = self.dtype_policy
        self.pieces = keras.layers.Conv1D(
            self.width, self.frames, self.frames, padding="same", dtype=policy
        )
        self.pieces.build((None, None, self.bands))
        self.blocks = []
        for _ in range(self.blocks_count):
            block = TransformerBlock(self.heads, dropout=self.dropout, dtype=policy)
            block.build((None, None, self.width))
            self.blocks.append(block)
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=policy)
        self.norm.build((None, None, self.width))
        return self.width

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Attends and averages."""
        x = self.pieces(ops.cast(inputs, self.compute_dtype))
        place = ops.cast(ops.arange(ops.shape(x)[1]), "float32")[:, None]
        rates = ops.exp(-9.2 * ops.arange(self.width // 2, dtype="float32") / (self.width // 2))
        waves = ops.concatenate([ops.sin(place * rates), ops.cos(place * rates)], -1)
        x = x + ops.cast(waves, x.dtype)
        for block in self.blocks:
            x = block(x, training=training)
        return ops.mean(self.norm(x), 1)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "frames": self.frames,
            "width": self.width,
            "blocks": self.blocks_count,
            "heads": self.heads,
        }
