"""Tensors in messages: the runtime's rules, compared with TensorFlow's own reading."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2

from serving import tensors

NUMBERS = [
    np.float32, np.float64, np.int32, np.uint8, np.int16, np.int8, np.int64, np.bool_,
    np.uint16, np.uint32, np.uint64, np.float16, ml_dtypes.bfloat16, np.complex64, np.complex128,
]  # fmt: skip


@pytest.mark.parametrize("dtype", NUMBERS)
def test_numbers_survive_both_ways(dtype: Any) -> None:
    values = np.array([[1, 0], [2, 3]]).astype(dtype)
    written = tf.make_tensor_proto(values)
    np.testing.assert_array_equal(tensors.decode(written), values)
    proto = type(written)()
    tensors.encode(values, tf.as_dtype(dtype).as_datatype_enum, proto)
    assert not proto.tensor_content
    np.testing.assert_array_equal(tf.make_ndarray(proto), values)
    again = tensors.decode(proto)
    np.testing.assert_array_equal(again, values)
    assert again.dtype == values.dtype


def test_strings_survive_both_ways() -> None:
    values = np.array([[b"a", b""], [b"\xff\x00", "ü".encode()]], np.object_)
    proto = tf.make_tensor_proto(values)
    np.testing.assert_array_equal(tensors.decode(proto), values)
    packed = type(proto)(dtype=7, tensor_shape=proto.tensor_shape)
    packed.tensor_content = b"\x01\x00\x02\x02" + b"a" + b"\xff\x00" + "ü".encode()
    np.testing.assert_array_equal(tensors.decode(packed), values)


@given(
    st.lists(st.integers(-5, 5), max_size=6),
    st.integers(0, 8),
)
def test_missing_values_repeat_the_last_and_surplus_ones_are_dropped(
    listed: list[int], count: int
) -> None:
    proto = tf.make_tensor_proto([0], tf.int64)
    proto.ClearField("int64_val")
    proto.int64_val.extend(listed)
    proto.tensor_shape.dim[0].size = count
    expected = (listed + [listed[-1] if listed else 0] * 8)[:count]
    assert tensors.decode(proto).tolist() == expected


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": 0},
        {"dtype": 21},  # variant
        {"dtype": 101},  # reference
        {"tensor_content": b"abc"},
        {"tensor_shape": {"dim": [{"size": -1}]}},
        {"tensor_shape": {"unknown_rank": True}},
        {"tensor_shape": {"dim": [{"size": 2**40}]}},
        {"tensor_shape": {"dim": [{"size": 2**62}, {"size": 4}]}},
        {"tensor_shape": {"dim": [{"size": 1}] * 255}},
        {"dtype": 7, "tensor_content": b"\x05ab"},
        {"dtype": 7, "tensor_content": b"\xff\xff\xff\xff\xff\xff\x01"},
    ],
)
def test_what_stands_for_no_tensor_is_refused(change: dict[str, Any]) -> None:
    proto = tf.make_tensor_proto([1.0])
    changed = type(proto)(**{"dtype": 1, "tensor_shape": {"dim": [{"size": 1}]}, **change})
    with pytest.raises(tensors.TensorError):
        tensors.decode(changed)


@given(st.binary(max_size=60), st.integers(0, 6))
def test_any_bytes_are_a_tensor_or_refused(content: bytes, count: int) -> None:
    proto = tf.make_tensor_proto([b""])
    changed = type(proto)(dtype=7, tensor_shape={"dim": [{"size": count}]}, tensor_content=content)
    try:
        assert tensors.decode(changed).shape == (count,)
    except tensors.TensorError:
        assert content


@pytest.mark.parametrize("shape", [(0, 2**62), (2**62, 0), (0, 2**40, 2**40)])
def test_an_empty_tensor_of_no_shape_is_refused(shape: tuple[int, ...]) -> None:
    """Found by 1,000 malformed requests: nothing times 2**62 floats is a shape that overflows."""
    proto = tensor_pb2.TensorProto(dtype=1)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    with pytest.raises(tensors.TensorError, match="too large"):
        tensors.decode(proto)
