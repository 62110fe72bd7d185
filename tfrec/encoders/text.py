"""Frozen text encoders: a sentence to a unit vector."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec.encoders.backbone import check_modality, load_backbone
from tfrec.encoders.encoder import Encoder
from tfrec.encoders.presets import Preset
from tfrec.encoders.tokenizing import load_tokens

__all__ = ["TextEncoder", "pool_tokens"]

# Lengths that a batch is padded to in `encode`: few, since each is compiled once (about 2 s for
# MiniLM on two cores), and near enough that little of a pass is padding.
_LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# Tokens in one pass: large enough that a pass is arithmetic, small enough for a core's cache.
_TOKENS = 4096
# XLA takes 0.30 s of processor time for 1000 tokens of MiniLM, the plain graph 0.43 s; below this
# many texts compiling costs more than it saves.
_FEW = 512


class TextEncoder(Encoder):
    """A keras-hub text backbone with its tokeniser, pooling and normalisation.

    Pools as the model's `1_Pooling/config.json` (Reimers & Gurevych, Sentence-BERT, 2019) says, by
    the mean over tokens where there is none, and scales to length 1.

    Args:
        preset: The folder.
        max_length: Tokens kept; None takes what the model was trained with, at most 512.
    """

    def __init__(self, preset: Preset, max_length: int | None = None) -> None:
        backbone = load_backbone(preset)
        check_modality(backbone, "text", f"encoder {preset.handle}", "a text feature")
        trained = preset.read_json("sentence_bert_config.json") or {}
        limit = int(trained.get("max_seq_length", 512)) if isinstance(trained, dict) else 512
        limit = min(limit, int(getattr(backbone, "max_sequence_length", limit)))
        length = limit if max_length is None else max(3, min(max_length, limit))
        self._max_length_option = max_length
        pooling = preset.read_json("1_Pooling/config.json") or {}
        first = isinstance(pooling, dict) and pooling.get("pooling_mode_cls_token", False)
        mode = "first" if first else "mean"
        super().__init__(
            preset.handle,
            "text",
            _width(backbone),
            preset.fingerprint(modality="text", max_length=length, pooling=mode),
        )
        self.max_length = length
        self.pooling = mode
        self.backbone = backbone
        self._tokens = load_tokens(preset, backbone, length)
        self._forward_functions: dict[int, Any] = {}

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Encodes texts.

        Args:
            inputs: string [batch].

        Returns:
            float32 [batch, dimension], each of length 1.
        """
        return self._forward(self._tokens(inputs))

    def encode(self, batch: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """Encodes texts in passes of about equal length, 4096 tokens each.

        Args:
            batch: object [n] of str or bytes.
            batch_size: Texts in one pass when there are fewer than 512; more decide it themselves,
                and are compiled.

        Returns:
            float32 [n, dimension], in the order given.
        """
        texts = [value.encode() if isinstance(value, str) else bytes(value) for value in batch]
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        output = np.empty((len(texts), self.dimension), np.float32)
        if len(texts) < _FEW:
            function = self._graph()
            # Neighbours in length share a pass, so that little of it is padding.
            order = np.argsort([len(text) for text in texts], kind="stable")
            for start in range(0, len(texts), batch_size):
                rows = order[start : start + batch_size]
                output[rows] = function(tf.constant([texts[row] for row in rows]))
            return output
        for start in range(0, len(texts), 8192):
            output[start : start + 8192] = self._encode_many(texts[start : start + 8192])
        return output

    def get_config(self) -> dict[str, Any]:
        """The arguments of `resolve`."""
        return {**super().get_config(), "max_length": self._max_length_option}

    def _encode_many(self, texts: list[bytes]) -> np.ndarray:
        tokens = {name: value.numpy() for name, value in self._tokens(tf.constant(texts)).items()}
        lengths = tokens["padding_mask"].sum(1)
        output = np.empty((len(texts), self.dimension), np.float32)
        order = np.argsort(lengths, kind="stable")
        buckets = np.searchsorted(_LENGTHS, lengths[order])
        for bucket in np.unique(buckets):
            rows = order[buckets == bucket]
            length = _LENGTHS[bucket] if bucket < len(_LENGTHS) else self.max_length
            size = max(1, _TOKENS // length)
            for start in range(0, len(rows), size):
                chosen = rows[start : start + size]
                part = {
                    name: _fit(self._padded(value[chosen], size), length)
                    for name, value in tokens.items()
                }
                output[chosen] = self._compiled_forward(length)(part).numpy()[: len(chosen)]
        return output

    def _forward(self, tokens: dict[str, tf.Tensor]) -> tf.Tensor:
        known = self.backbone.input
        hidden = self.backbone({name: tokens[name] for name in known})
        if isinstance(hidden, dict):
            hidden = hidden["sequence_output"]
        pooled = pool_tokens(tf.cast(hidden, tf.float32), tokens["padding_mask"], self.pooling)
        return tf.math.l2_normalize(pooled, -1)

    def _graph(self) -> Any:
        if not hasattr(self, "_graph_function"):
            spec = [tf.TensorSpec([None], tf.string)]
            self._graph_function = tf.function(self.call, input_signature=spec)
        return self._graph_function

    def _compiled_forward(self, length: int) -> Any:
        # One function a length: TensorFlow warns of one that is traced for many shapes.
        if length not in self._forward_functions:
            self._forward_functions[length] = tf.function(self._forward, jit_compile=True)
        return self._forward_functions[length]


def pool_tokens(hidden: tf.Tensor, mask: tf.Tensor, mode: str) -> tf.Tensor:
    """Joins a text's token vectors.

    Args:
        hidden: float [batch, length, width].
        mask: int or bool [batch, length], 0 for padding.
        mode: `mean` over the tokens that are none, or `first`.

    Returns:
        float [batch, width].
    """
    if mode == "first":
        return hidden[:, 0]
    weights = tf.cast(mask, hidden.dtype)[:, :, None]
    return tf.reduce_sum(hidden * weights, 1) / tf.maximum(tf.reduce_sum(weights, 1), 1.0)


def _width(backbone: keras.Model) -> int:
    outputs = backbone.output
    if isinstance(outputs, dict):
        outputs = outputs["sequence_output"]
    return int(outputs.shape[-1])


def _fit(rows: np.ndarray, length: int) -> np.ndarray:
    rows = rows[:, :length]
    return np.pad(rows, [(0, 0), (0, length - rows.shape[1])])
