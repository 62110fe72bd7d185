"""Records are what TensorFlow's own parser reads back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocessing.records import (
    FloatColumn,
    IntColumn,
    RecordWriter,
    bytes_feature,
    examples,
    floats,
    ints,
)

INTEGERS = st.integers(-(2**63), 2**63 - 1)


@settings(deadline=None)
@given(
    values=st.lists(INTEGERS, max_size=20), start=st.integers(0, 20), data=st.binary(max_size=300)
)
def test_columns_and_values_come_back(values: list[int], start: int, data: bytes) -> None:
    """Every integer of 64 bits, negative ones too; slices anywhere; bytes of any length."""
    stop = len(values)
    start = min(start, stop)
    numbers = np.arange(stop, dtype=np.float32) / 3
    column, other = IntColumn("n", np.asarray(values, np.int64)), FloatColumn("f", numbers)
    bounds = [0, start, stop]
    found = examples(
        [
            column.features(bounds),
            other.features(bounds),
            [bytes_feature("é", data)] * 2,
            [ints("few", [0, 1, 300])] * 2,
            [floats("vector", numbers)] * 2,
        ]
    )
    for record, own in zip(found, (slice(0, start), slice(start, stop)), strict=True):
        features = tf.train.Example.FromString(record).features.feature
        assert list(features["n"].int64_list.value) == values[own]
        assert list(features["f"].float_list.value) == numbers[own].tolist()
        assert list(features["é"].bytes_list.value) == [data]
        assert list(features["few"].int64_list.value) == [0, 1, 300]
        assert list(features["vector"].float_list.value) == numbers.tolist()


def test_files_are_whole_tfrecords(tmp_path: Path) -> None:
    """TensorFlow checks both checksums of each record."""
    with RecordWriter(tmp_path / "a" / "x", tmp_path) as writer:
        writer.write([b"", b"one"])
        writer.write([])
        writer.write([b"x" * 100_000])
    found = [raw.numpy() for raw in tf.data.TFRecordDataset(str(tmp_path / "a" / "x"))]
    assert found == [b"", b"one", b"x" * 100_000]
    assert writer.shard.path == "a/x" and writer.shard.records == 3


def test_a_file_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RecordWriter(tmp_path / "x", tmp_path) as writer:
        writer.write([b"one"])
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
