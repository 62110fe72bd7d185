"""Vocabularies and moments of the train part: counted by task, merged in a fixed order.

Counts and moments (Chan, Golub and LeVeque, 1979) merge, so each task sees its own rows once; the
launcher merges in the order of the tasks, and equal data gives equal bytes.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from preprocessing.quantiles import QuantileSketch
from tfrec.config import FeatureConfig
from tfrec.schema import FIRST_VALUE_INDEX, MISSING_INDEX, OOV_INDEX, FeatureSpec

__all__ = [
    "FeatureFit",
    "encode_column",
    "encode_values",
    "fit_column",
    "normalize_value",
    "normalize_values",
    "standardised",
]

# White space of any alphabet and control characters, as `tfrec.media.normalize_text` has it.
_SPACES = re.compile("[\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


@dataclass
class FeatureFit:
    """What is known of a feature after some rows.

    Attributes:
        values: How often each value occurs in the train part; categorical and tags.
        rows, missing: All rows, and those without the feature, in every part.
        count, mean, squares: Numbers of the train part: how many, their mean, and the sum of
            squared distances from it.
        low, high: The least and the greatest of them.
        sketch: Their quantiles, where the scale asks for them.
    """

    values: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    missing: int = 0
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = np.inf
    high: float = -np.inf
    sketch: QuantileSketch = field(default_factory=QuantileSketch)

    def merge(self, other: FeatureFit) -> None:
        """Takes over the rows of another task."""
        self.values.update(other.values)
        self.rows += other.rows
        self.missing += other.missing
        if other.count:
            total = self.count + other.count
            distance = other.mean - self.mean
            self.squares += other.squares + distance**2 * self.count * other.count / total
            self.mean += distance * other.count / total
            self.count = total
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.sketch.merge(other.sketch)

    @property
    def deviation(self) -> float:
        """The standard deviation of the train part's numbers."""
        return float(np.sqrt(self.squares / self.count)) if self.count else 0.0

    def vocabulary(self, config: FeatureConfig) -> list[str]:
        """The values that are kept, most frequent first, ties by value."""
        kept = [value for value, count in self.values.items() if count >= config.min_count]
        kept.sort(key=lambda value: (-self.values[value], value))
        return kept[: config.max_vocabulary]

    def spec(self, name: str, config: FeatureConfig, vocabulary: str) -> FeatureSpec:
        """The feature as the manifest tells it; `vocabulary` names its file."""
        known: dict[str, Any] = {}
        if config.modality in ("categorical", "tags"):
            if config.hash_buckets is not None:
                known = {"vocabulary_size": config.hash_buckets + FIRST_VALUE_INDEX}
            else:
                size = len(self.vocabulary(config)) + FIRST_VALUE_INDEX
                size += config.oov_buckets if config.oov_buckets > 1 else 0
                known = {"vocabulary": f"vocabulary/{vocabulary}.txt", "vocabulary_size": size}
        elif config.modality == "numeric":
            known = self._scale(config)
        return FeatureSpec(
            name=name, modality=config.modality, config=config, missing=self.missing, **known
        )

    def _scale(self, config: FeatureConfig) -> dict[str, Any]:
        if config.scale == "zscore":
            return {"mean": self.mean, "deviation": self.deviation}
        if config.scale == "none" or not self.count:
            return {"center": 0.0, "width": 1.0}
        if config.scale == "minmax":
            return {"center": self.low, "width": (self.high - self.low) or 1.0}
        if config.scale == "robust":
            first, median, third = self.sketch.quantiles([0.25, 0.5, 0.75])
            return {"center": median, "width": (third - first) or 1.0}
        shares = [place / config.buckets for place in range(1, config.buckets)]
        # Single precision, as the numbers that are compared with them.
        edges = np.unique(np.asarray(self.sketch.quantiles(shares), np.float32))
        return {"center": 0.0, "width": 1.0, "boundaries": tuple(float(edge) for edge in edges)}


def fit_column(config: FeatureConfig, column: Any, train: npt.NDArray[np.bool_]) -> FeatureFit:
    """Fits some rows.

    Args:
        config: The feature.
        column: Its values: strings, lists of strings, or numbers; null where missing.
        train: bool [rows], those that may be learnt from.

    Example:
        >>> numbers = pa.array([1.0, 3.0, 100.0])
        >>> fit = fit_column(FeatureConfig(modality="numeric"), numbers, np.array([1, 1, 0], bool))
        >>> fit.mean, fit.deviation
        (2.0, 1.0)
    """
    fit = FeatureFit(rows=len(column))
    chosen = column.filter(pa.array(train))
    if config.modality == "tags":
        fit.missing = int(pc.sum(pc.equal(pc.list_value_length(column), 0)).as_py() or 0)
        chosen = pc.list_flatten(chosen)
    else:
        fit.missing = column.null_count
    if config.modality in ("categorical", "tags"):
        for entry in pc.value_counts(chosen.drop_null()):
            fit.values[entry["values"].as_py()] += entry["counts"].as_py()
    elif config.modality == "numeric":
        numbers = transformed(config, chosen.drop_null().to_numpy(zero_copy_only=False))
        if len(numbers):
            fit.count, fit.mean = len(numbers), float(numbers.mean())
            fit.squares = float(((numbers - fit.mean) ** 2).sum())
            fit.low, fit.high = float(numbers.min()), float(numbers.max())
            if config.scale in ("robust", "quantile"):
                fit.sketch = QuantileSketch.of(numbers)
    return fit


def transformed(config: FeatureConfig, numbers: Any) -> npt.NDArray[np.float64]:
    """Numbers in single precision, as a served model receives them, after the transform."""
    single = np.asarray(numbers, np.float32)
    if config.transform != "none":
        # NumPy's logarithm and sine round otherwise than TensorFlow's; loads it only if asked.
        from tfrec.media.numbers import transform_numbers

        single = transform_numbers(single, config.transform, config.period).numpy()
    return single.astype(np.float64)


def standardised(spec: FeatureSpec, column: Any) -> tuple[Any, npt.NDArray[np.bool_]]:
    """Numbers in the train part's scale, by the served graph's own operations in float32.

    Returns:
        float32 [rows], 0 where missing; bool [rows], present ones.
    """
    numbers = column.to_numpy(zero_copy_only=False)
    missing = np.isnan(numbers)
    values = transformed(spec.config, np.where(missing, 0.0, numbers)).astype(np.float32)
    if spec.boundaries is not None:
        edges = np.asarray(spec.boundaries, np.float32)
        below = np.searchsorted(edges, values, side="right").astype(np.float32)
        scaled = below * np.float32(1.0 / max(len(edges), 1))
    else:
        # Times the reciprocal: TensorFlow rewrites a division by a constant to that.
        scaled = (values - np.float32(spec.shift)) * np.float32(1.0 / spec.spread)
    return np.where(missing, np.float32(0), scaled).astype(np.float32), ~missing


def encode_column(
    spec: FeatureSpec, column: Any, vocabularies: Mapping[str, list[str]]
) -> npt.NDArray[np.int64]:
    """Indices of a categorical column: by vocabulary, further unknown ones by hash, or all by hash.

    Args:
        spec: The feature.
        column: Strings, null where missing.
        vocabularies: Values by vocabulary file.
    """
    config = spec.config
    if config.hash_buckets is not None:
        return np.where(
            column.is_valid().to_numpy(zero_copy_only=False),
            FIRST_VALUE_INDEX + hash_values(column, config.hash_buckets),
            MISSING_INDEX,
        )
    vocabulary = vocabularies[spec.vocabulary or ""]
    indices = encode_values(column, vocabulary)
    if config.oov_buckets > 1:
        first = FIRST_VALUE_INDEX + len(vocabulary)
        hashed = first + hash_values(column, config.oov_buckets)
        indices = np.where(indices == OOV_INDEX, hashed, indices)
    return indices


def hash_values(column: Any, buckets: int) -> npt.NDArray[np.int64]:
    """Buckets of strings by FarmHash, as the served graph hashes them."""
    import tensorflow as tf

    encoded = pc.fill_null(column, "").dictionary_encode()
    texts = [text.encode() for text in encoded.dictionary.to_pylist()]
    hashed = tf.strings.to_hash_bucket_fast(tf.constant(texts, tf.string), buckets).numpy()
    return np.asarray(hashed, np.int64)[encoded.indices.to_numpy()]


def normalize_value(value: str) -> str:
    r"""One value as `tfrec.media.normalize_text` gives it: NFC, single spaces.

    Example:
        >>> normalize_value("  Cafe\u0301\u00a0noir ")
        'Café noir'
    """
    return _SPACES.sub(" ", unicodedata.normalize("NFC", value)).strip(" ")


def normalize_values(column: Any) -> Any:
    """Normalises a column of values or of lists of values; an empty value is missing.

    Args:
        column: An Arrow array, string or list<string>.
    """
    if pa.types.is_list(column.type):
        flat = normalize_values(column.flatten())
        lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
        rows = np.repeat(np.arange(len(column)), lengths)
        kept = flat.is_valid().to_numpy(zero_copy_only=False)
        counts = np.bincount(rows[kept], minlength=len(column))
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), flat.drop_null())
    encoded = column.dictionary_encode()
    values = [normalize_value(value) or None for value in encoded.dictionary.to_pylist()]
    return pa.array(values, pa.string()).take(encoded.indices)


def encode_values(column: Any, vocabulary: Iterable[str]) -> npt.NDArray[np.int64]:
    """Indices of values: 0 missing, 1 unknown, then the vocabulary.

    Example:
        >>> encode_values(pa.array(["b", None, "z"]), ["a", "b"]).tolist()
        [3, 0, 1]
    """
    known = pa.array(list(vocabulary), pa.string())
    places = pc.add(pc.index_in(column, value_set=known), FIRST_VALUE_INDEX)
    places = pc.fill_null(places, OOV_INDEX)
    places = pc.if_else(column.is_valid(), places, MISSING_INDEX)
    return np.asarray(places.to_numpy(zero_copy_only=False), np.int64)
