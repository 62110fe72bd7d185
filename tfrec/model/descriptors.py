"""Fixed descriptions of a feature, for maps in closed form: no weight is learned here.

A feature that a frozen encoder has read is described by the encoding. What is raw gets a classic
description that costs nothing to fit: words hashed into buckets, colours and edges on a coarse
grid, the mean and movement of the mel bands. They carry enough for a kernel to place a new item
beside its like, where a catalogue is too small to train a network on.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.media import log_mel
from tfrec.schema import FIRST_VALUE_INDEX, FeatureSpec

__all__ = ["Descriptor", "build_descriptor"]

WORD_BUCKETS = 1_024
MAX_VALUES = 512
BUMPS = 18
GRID = 8
COLOUR_LEVELS = 4
MEL_BANDS = 40


@keras.saving.register_keras_serializable("tfrec")
class Descriptor(keras.layers.Layer):
    """Turns a feature in its prepared form, or encoded, into float32 [batch, d].

    Args:
        kind: `vector`, `categorical`, `tags`, `numeric`, `text`, `image`, `audio` or `video`.
        values: Rows of the vocabulary, for `categorical` and `tags`.
        sample_rate: For `audio`, in samples per second.
        low: Least value of a `numeric` feature on the catalogue.
        high: Greatest value.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        kind: str,
        *,
        values: int = 0,
        sample_rate: int = 16_000,
        low: float = -3.0,
        high: float = 3.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "autocast": False, "trainable": False})
        self.kind = kind
        self.values = values
        self.sample_rate = sample_rate
        self.low = low
        self.high = high
        self.built = True

    def call(self, inputs: Any) -> tf.Tensor:
        """Describes a batch."""
        return _KINDS[self.kind](self, tf.convert_to_tensor(inputs))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "kind": self.kind,
            "values": self.values,
            "sample_rate": self.sample_rate,
            "low": self.low,
            "high": self.high,
        }


def build_descriptor(
    spec: FeatureSpec, values: npt.NDArray[Any], present: npt.NDArray[np.bool_]
) -> Descriptor:
    """The descriptor of an item feature.

    Args:
        spec: The feature.
        values: What a tower reads of it, for the catalogue: [N, …].
        present: bool [N].
    """
    name = f"{spec.name}_descriptor"
    if spec.encoded_dim is not None or spec.modality == "embedding":
        return Descriptor("vector", name=name)
    if spec.modality in ("categorical", "tags"):
        return Descriptor(spec.modality, values=spec.vocabulary_size or 0, name=name)
    if spec.modality == "numeric":
        known = values[present]
        low, high = (float(known.min()), float(known.max())) if len(known) else (-3.0, 3.0)
        return Descriptor("numeric", low=low, high=max(high, low + 1e-3), name=name)
    return Descriptor(spec.modality, sample_rate=spec.config.sample_rate, name=name)


def _vector(layer: Descriptor, inputs: tf.Tensor) -> tf.Tensor:
    return tf.cast(inputs, tf.float32)


def _indices(layer: Descriptor, inputs: tf.Tensor) -> tf.Tensor:
    """Multi-hot over the first values of the vocabulary, padding and the unknown left out."""
    width = min(max(layer.values - FIRST_VALUE_INDEX, 1), MAX_VALUES)
    indices = tf.cast(inputs, tf.int32) - FIRST_VALUE_INDEX
    indices = tf.reshape(indices, [tf.shape(indices)[0], -1])
    hot = tf.one_hot(indices, width, dtype=tf.float32)
    return tf.minimum(tf.reduce_sum(hot, 1), 1.0)


def _numeric(layer: Descriptor, inputs: tf.Tensor) -> tf.Tensor:
    """Overlapping bumps over the catalogue's range: near numbers are alike, far ones are not."""
    centres = tf.constant(np.linspace(layer.low, layer.high, BUMPS), tf.float32)
    width = (layer.high - layer.low) / (BUMPS - 1)
    number = tf.reshape(tf.cast(inputs, tf.float32), [-1, 1])
    return tf.exp(-0.5 * tf.square((number - centres) / width))


def _text(layer: Descriptor, inputs: tf.Tensor) -> tf.Tensor:
    """Counts of hashed lower-case words, damped by a logarithm."""
    clean = tf.strings.regex_replace(tf.strings.lower(inputs, "utf-8"), r"[^\p{L}\p{N}]+", " ")
    words = tf.strings.split(clean)
    buckets = tf.strings.to_hash_bucket_fast(words, WORD_BUCKETS)
    rows = tf.cast(tf.shape(inputs)[0], tf.int64)
    places = buckets.value_rowids() * WORD_BUCKETS + buckets.values
    counts = tf.math.unsorted_segment_sum(
        tf.ones_like(places, tf.float32), places, rows * WORD_BUCKETS
    )
    return tf.math.log1p(tf.reshape(counts, [-1, WORD_BUCKETS]))


def _image(layer: Descriptor, inputs: tf.Tensor) -> tf.Tensor:
    """Mean colours on an 8 × 8 grid, edges on a 4 × 4 grid, and shares of 64 colours."""
    pixels = tf.cast(inputs, tf.float32) / 255.0
    colours = tf.image.resize(pixels, [GRID, GRID], method="area")
    grey = tf.reduce_mean(pixels, -1, keepdims=True)
    down, right = tf.image.image_gradients(grey)
    edges = tf.concat([tf.abs(down), tf.abs(right)], -1)
    edges = tf.image.resize(edges, [GRID // 2, GRID // 2], method="area")
    levels = tf.minimum(tf.cast(pixels * COLOUR_LEVELS, tf.int32), COLOUR_LEVELS - 1)
    codes = (levels[..., 0] * COLOUR_LEVELS + levels[..., 1]) * COLOUR_LEVELS + levels[..., 2]
    number = COLOUR_LEVELS**3
    batch = tf.shape(pixels)[0]
    codes = tf.reshape(codes, [batch, -1]) + number * tf.range(batch)[:, None]
    counts = tf.math.unsorted_segment_sum(
        tf.ones_like(tf.reshape(codes, [-1]), tf.float32), tf.reshape(codes, [-1]), batch * number
    )
    shares = tf.reshape(counts, [-1, number]) / tf.cast(tf.shape(codes)[1], tf.float32)
    flat = [tf.reshape(part, [batch, size]) for part, size in ((colours, 192), (edges, 32))]
    return tf.concat([*flat, tf.sqrt(shares)], -1)


def _audio(layer: Descriptor, inputs: tf.Tensor) -> tf.Tensor:
    """Mean, deviation and movement of the mel bands, and the rhythm of the loudness."""
    bands = log_mel(inputs, layer.sample_rate, bands=MEL_BANDS) / 20.0
    mean = tf.reduce_mean(bands, 1)
    deviation = tf.math.reduce_std(bands, 1)
    movement = tf.reduce_mean(tf.abs(bands[:, 1:] - bands[:, :-1]), 1)
    loudness = tf.reduce_mean(tf.nn.relu(bands[:, 1:] - bands[:, :-1]), -1)
    rhythm = tf.abs(tf.signal.rfft(loudness - tf.reduce_mean(loudness, 1, keepdims=True), [256]))
    return tf.concat([mean, deviation, movement, tf.math.log1p(rhythm[:, 1:33])], -1)


def _video(layer: Descriptor, inputs: tf.Tensor) -> tf.Tensor:
    """The mean of the frames' descriptions."""
    shape = tf.shape(inputs)
    frames = _image(layer, tf.reshape(inputs, tf.concat([[-1], shape[2:]], 0)))
    return tf.reduce_mean(tf.reshape(frames, [shape[0], shape[1], 288]), 1)


_KINDS = {
    "vector": _vector,
    "categorical": _indices,
    "tags": _indices,
    "numeric": _numeric,
    "text": _text,
    "image": _image,
    "audio": _audio,
    "video": _video,
}
