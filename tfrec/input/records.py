"""Read TFRecord files of `tf.train.Example` into flat NumPy columns, thousands of records a call.

Every feature is read as ragged, `values` and `splits`, whatever its width: record r of a column
holds `values[splits[r]:splits[r + 1]]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.errors import CorruptDataError

__all__ = ["Column", "read_columns", "read_lines"]

# Records a call of the parser: 4,096 and more gain nothing and cost memory with pictures in them.
_BATCH = 1024


@dataclass(frozen=True)
class Column:
    """One feature of every record.

    Attributes:
        values: All records' values, one after the other.
        splits: int64 [records + 1], where each record's values begin.
    """

    values: npt.NDArray[Any]
    splits: npt.NDArray[np.int64]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64 [records], how many values each record has."""
        return np.diff(self.splits)


def read_columns(
    paths: Sequence[Path], features: Mapping[str, tf.DType], *, batch: int = _BATCH
) -> dict[str, Column]:
    """Reads features of all records of some files, in the order of files and records.

    Args:
        paths: TFRecord files, uncompressed.
        features: Type of each feature: int64, float32 or string.
        batch: Records a call of the parser.

    Returns:
        A column for each feature; a record that lacks one has no values there.

    Raises:
        CorruptDataError: A file is missing or damaged, or a feature has another type.
    """
    wanted = {
        name: tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
        for name, dtype in features.items()
    }
    values: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in features}
    lengths: dict[str, list[npt.NDArray[np.int64]]] = {name: [] for name in features}
    for path in paths:
        records = tf.data.TFRecordDataset(str(path), buffer_size=8 << 20).batch(batch)
        try:
            for serialized in records:
                for name, ragged in tf.io.parse_example(serialized, wanted).items():
                    values[name].append(ragged.flat_values.numpy())
                    lengths[name].append(ragged.row_lengths().numpy())
        except tf.errors.OpError as error:
            raise CorruptDataError(
                str(path),
                "a prepared file must be whole",
                received=str(error.message).splitlines()[0],
                remedy="Run `tfrec preprocess` again",
            ) from error
    return {name: _join(values[name], lengths[name], features[name]) for name in features}


def read_lines(path: Path) -> list[str]:
    """Reads a vocabulary file: one value a line.

    Raises:
        CorruptDataError: It is missing or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptDataError(
            str(path),
            "the vocabulary must be a readable UTF-8 file",
            received=str(error),
            remedy="Run `tfrec preprocess` again",
        ) from error


def _join(
    values: list[npt.NDArray[Any]], lengths: list[npt.NDArray[np.int64]], dtype: tf.DType
) -> Column:
    kind = np.dtype(object) if dtype == tf.string else np.dtype(dtype.as_numpy_dtype)
    flat = np.concatenate(values) if values else np.empty(0, kind)
    counts = np.concatenate(lengths) if lengths else np.empty(0, np.int64)
    splits = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=splits[1:])
    return Column(flat, splits)
