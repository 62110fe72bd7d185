"""Prepared features turned back into the raw ones that a client sends.

Pictures become PNG files and sounds WAV files, which come through without loss, so that a served
`embed_item` can be compared with the item tower on the very same items. A value that was missing
becomes "" or NaN, and one that was out of vocabulary a string that no vocabulary holds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfrec import schema
from tfrec.schema import FeatureSpec

__all__ = ["raw_features", "raw_numbers", "unscaled"]

# From the private use area: hardly a value of any vocabulary, and then only of a sample.
_UNKNOWN = "\ue000unknown"
# In units of the last place: rounding of the number, of its shift and of the quotient, and as much
# again to be sure.
_STEPS = 8


def raw_features(
    specs: Sequence[FeatureSpec],
    prepared: Mapping[str, np.ndarray],
    vocabularies: Mapping[str, Sequence[str]],
) -> dict[str, np.ndarray]:
    """The raw form of prepared features.

    Args:
        specs: The features.
        prepared: NAME, before any encoder, and NAME/present, by name; n rows each.
        vocabularies: Values of each categorical and tags feature, index 2 first.

    Returns:
        By name, what `embed_item` takes: n rows each.
    """
    return {
        spec.name: _raw(
            spec,
            prepared[spec.name],
            prepared[schema.present(spec.name)],
            vocabularies.get(spec.name, ()),
        )
        for spec in specs
    }


def _raw(
    spec: FeatureSpec, values: np.ndarray, present: np.ndarray, vocabulary: Sequence[str]
) -> np.ndarray:
    if spec.modality == "numeric":
        return np.where(present, unscaled(spec, values), np.nan).astype(np.float32)
    if spec.modality == "embedding":
        return np.where(present[:, None], values, np.nan).astype(np.float32)
    if spec.modality == "video":
        frames = [_png(frame) for row in values for frame in row]
        raw = np.array(frames, object).reshape(len(values), -1)
        return np.where(present[:, None], raw, b"")
    if spec.modality == "tags":
        words = [[_word(spec, index, vocabulary) for index in row] for row in values]
        return np.array(words, object).reshape(values.shape)
    rows = np.empty(len(values), np.object_)
    for row, value in enumerate(values):
        if not present[row]:
            rows[row] = b""
        elif spec.modality == "text":
            rows[row] = value.encode() if isinstance(value, str) else bytes(value)
        elif spec.modality == "image":
            rows[row] = _png(value)
        elif spec.modality == "audio":
            wave = tf.cast(value, tf.float32)[:, None] / 32768.0
            rows[row] = tf.audio.encode_wav(wave, spec.config.sample_rate).numpy()
        else:
            rows[row] = _word(spec, int(value), vocabulary)
    return rows


def _png(pixels: np.ndarray) -> bytes:
    return tf.io.encode_png(pixels).numpy()


def _word(spec: FeatureSpec, index: int, vocabulary: Sequence[str]) -> bytes:
    if index == schema.MISSING_INDEX:
        return b""
    if spec.config.hash_buckets is not None:
        return _hashed_word(index, schema.FIRST_VALUE_INDEX, spec.config.hash_buckets)
    if index == schema.OOV_INDEX:
        return _UNKNOWN.encode()
    first = len(vocabulary) + schema.FIRST_VALUE_INDEX
    if index >= first:
        return _hashed_word(index, first, spec.config.oov_buckets)
    return vocabulary[index - schema.FIRST_VALUE_INDEX].encode()


def _hashed_word(index: int, first: int, buckets: int) -> bytes:
    """A word that falls into a bucket, found by trying."""
    for number in itertools.count():
        word = f"{_UNKNOWN}{number}".encode()
        if first + int(tf.strings.to_hash_bucket_fast(word, buckets)) == index:
            return word
    raise AssertionError


def unscaled(spec: FeatureSpec, values: np.ndarray) -> np.ndarray:
    """Raw numbers of standardised ones; of a bucket its middle.

    Args:
        spec: The feature.
        values: float [n], prepared.

    Returns:
        float [n].
    """
    config = spec.config
    if spec.boundaries is not None:
        edges = np.asarray(spec.boundaries, np.float64)
        below = np.round(values.astype(np.float64) * max(len(edges), 1)).astype(int)
        lows = np.concatenate([edges[:1] - 1.0, edges]) if len(edges) else np.zeros(1)
        highs = np.concatenate([edges, edges[-1:] + 1.0]) if len(edges) else np.zeros(1)
        numbers = (lows[below] + highs[below]) / 2
    else:
        numbers = values.astype(np.float64) * spec.spread + spec.shift
    if config.transform == "log1p":
        return np.array([math.expm1(min(number, 80.0)) for number in numbers])
    if config.transform in ("sin", "cos"):
        inverse = np.arcsin if config.transform == "sin" else np.arccos
        return inverse(np.clip(numbers, -1, 1)) * (config.period or 1.0) / (2 * math.pi)
    return numbers


def raw_numbers(spec: FeatureSpec, values: np.ndarray) -> np.ndarray:
    """Raw numbers as they were written, where that can still be told.

    Standardisation in single precision leaves 0.31000002 of 0.31 and 1e-7 of 0, which a range that
    ends there would miss. So each number is rounded to the decimals that are above what a few
    steps of that precision amount to.

    Args:
        spec: The feature.
        values: float32 [n], prepared.

    Returns:
        float64 [n].

    Example:
        >>> from tfrec.config import FeatureConfig
        >>> price = FeatureConfig(modality="numeric", transform="log1p")
        >>> spec = FeatureSpec(
        ...     name="price", modality="numeric", config=price, mean=0.75, deviation=0.2
        ... )
        >>> moved = np.log1p(np.float32([0.0, 0.31, 63.0])) - np.float32(0.75)
        >>> prepared = moved / np.float32(0.2)
        >>> raw_numbers(spec, prepared).tolist()
        [0.0, 0.31, 63.0]
    """
    values = np.asarray(values, np.float32)
    found = unscaled(spec, values)
    # Of the number and of what it is computed from: mean and spread are added to it.
    far = np.maximum(np.abs(values), abs(spec.shift) / (spec.spread or 1.0)).astype(np.float32)
    step = np.abs(unscaled(spec, values + _STEPS * np.spacing(far).astype(np.float64)) - found)
    usable = np.isfinite(found) & (step > 0) & (step < 1)
    decimals = np.floor(-np.log10(np.where(usable, step, 1.0))).astype(int)
    return np.array(
        [
            round(float(number), int(places)) if use else number
            for number, places, use in zip(found, decimals, usable, strict=True)
        ]
    )
