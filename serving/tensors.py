"""Between `TensorProto` messages and NumPy arrays, by the rules of TensorFlow's C++ runtime.

They differ from `tf.make_ndarray` where it matters to a server: a tensor of *n* elements that
lists fewer values repeats the last one, one that lists none holds zeros, surplus values are
dropped, and `tensor_content` must have exactly the right length. Answers always use the typed
`*_val` fields. Works on any message with the fields of `TensorProto` and loads no TensorFlow.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

__all__ = ["TensorError", "decode", "encode", "numpy_type", "type_name"]

# A few bytes can claim a shape of terabytes; a larger tensor than this is refused before memory
# is asked for. Four times the largest message that the server takes by default.
MAX_TENSOR_BYTES = 256 * 1024 * 1024
MAX_RANK = 254

STRING = 7


class _Kind(NamedTuple):
    """How one data type is named, held in memory, and listed in a message."""

    name: str
    dtype: Any
    field: str


_KINDS = {
    1: _Kind("float", np.float32, "float_val"),
    2: _Kind("double", np.float64, "double_val"),
    3: _Kind("int32", np.int32, "int_val"),
    4: _Kind("uint8", np.uint8, "int_val"),
    5: _Kind("int16", np.int16, "int_val"),
    6: _Kind("int8", np.int8, "int_val"),
    STRING: _Kind("string", np.object_, "string_val"),
    8: _Kind("complex64", np.complex64, "scomplex_val"),
    9: _Kind("int64", np.int64, "int64_val"),
    10: _Kind("bool", np.bool_, "bool_val"),
    14: _Kind("bfloat16", ml_dtypes.bfloat16, "half_val"),
    17: _Kind("uint16", np.uint16, "int_val"),
    18: _Kind("complex128", np.complex128, "dcomplex_val"),
    19: _Kind("half", np.float16, "half_val"),
    22: _Kind("uint32", np.uint32, "uint32_val"),
    23: _Kind("uint64", np.uint64, "uint64_val"),
}

_ADDRESSABLE = 2**63 - 1


class TensorError(ValueError):
    """A `TensorProto` that stands for no tensor."""


def type_name(dtype: int) -> str:
    """TensorFlow's name of a data type, as its error texts spell it.

    Example:
        >>> type_name(1), type_name(9), type_name(7)
        ('float', 'int64', 'string')
    """
    kind = _KINDS.get(dtype)
    return kind.name if kind else f"unknown dtype enum ({dtype})"


def numpy_type(dtype: int) -> Any:
    """The NumPy type that holds a data type; `object` for strings.

    Raises:
        TensorError: Nothing holds it.
    """
    if dtype not in _KINDS:
        raise TensorError(f"unsupported data type {dtype}")
    return _KINDS[dtype].dtype


def decode(proto: Any) -> np.ndarray:
    """Reads a tensor from a message.

    Args:
        proto: A `TensorProto`.

    Returns:
        An array of the message's shape; strings are `bytes` in an array of objects.

    Raises:
        TensorError: Type unknown, shape unknown or invalid, contents of another length, or more
            than `MAX_TENSOR_BYTES`.
    """
    kind = _KINDS.get(proto.dtype)
    if kind is None:
        raise TensorError(f"unsupported data type {proto.dtype}")
    if proto.tensor_shape.unknown_rank or len(proto.tensor_shape.dim) > MAX_RANK:
        raise TensorError("the shape is not known")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if any(size < 0 for size in shape):
        raise TensorError("a dimension is negative")
    count = math.prod(shape)
    if count * np.dtype(kind.dtype).itemsize > MAX_TENSOR_BYTES:
        raise TensorError("the tensor is too large")
    # Nothing times something beyond 63 bits is a shape that no array has.
    if math.prod(max(size, 1) for size in shape) * np.dtype(kind.dtype).itemsize > _ADDRESSABLE:
        raise TensorError("the tensor is too large")
    if count == 0:
        return np.empty(shape, kind.dtype)
    if proto.tensor_content:
        return _from_content(proto.tensor_content, kind, count).reshape(shape)
    return _from_values(getattr(proto, kind.field), kind, count).reshape(shape)


def _from_content(content: bytes, kind: _Kind, count: int) -> np.ndarray:
    if kind.dtype is np.object_:
        return _strings(content, count)
    if len(content) != count * np.dtype(kind.dtype).itemsize:
        raise TensorError("the contents have another length than the shape")
    # A copy, since TensorFlow may keep the buffer longer than the message lives.
    return np.frombuffer(content, kind.dtype).copy()


def _strings(content: bytes, count: int) -> np.ndarray:
    """Strings as TensorFlow packs them: all lengths as varints, then all bytes."""
    lengths, position = [], 0
    for _ in range(count):
        length = shift = 0
        while True:
            if position >= len(content) or shift > 28:
                raise TensorError("the string lengths are damaged")
            byte = content[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise TensorError("the contents have another length than the strings")
    values = np.empty(count, np.object_)
    for index, length in enumerate(lengths):
        values[index] = content[position : position + length]
        position += length
    return values


def _from_values(values: Any, kind: _Kind, count: int) -> np.ndarray:
    if kind.dtype is np.object_:
        strings = np.empty(count, np.object_)
        listed = values[:count]
        strings[: len(listed)] = listed
        strings[len(listed) :] = listed[-1] if listed else b""
        return strings
    if kind.field in ("scomplex_val", "dcomplex_val"):
        part = np.float32 if kind.field == "scomplex_val" else np.float64
        flat = np.array(values[: len(values) // 2 * 2], part).view(kind.dtype)[:count]
    elif kind.field == "half_val":
        flat = np.array(values[:count], np.uint32).astype(np.uint16).view(kind.dtype)
    elif kind.field == "int_val":
        flat = np.array(values[:count], np.int32).astype(kind.dtype)
    else:
        flat = np.array(values[:count], kind.dtype)
    if len(flat) == count:
        return flat
    filled = np.zeros(count, kind.dtype)
    filled[: len(flat)] = flat
    if len(flat):
        filled[len(flat) :] = flat[-1]
    return filled


def encode(values: np.ndarray, dtype: int, proto: Any) -> None:
    """Writes a tensor into an empty message, in typed fields.

    Args:
        values: The array; strings as `bytes` objects.
        dtype: The number of the data type in `types.proto`.
        proto: A `TensorProto`.

    Raises:
        TensorError: The data type has no typed field.
    """
    kind = _KINDS.get(dtype)
    if kind is None:
        raise TensorError(f"unsupported data type {dtype}")
    proto.dtype = dtype
    for size in values.shape:
        proto.tensor_shape.dim.add().size = size
    flat = values.ravel()
    if kind.field in ("scomplex_val", "dcomplex_val"):
        part = np.float32 if kind.field == "scomplex_val" else np.float64
        flat = flat.view(part)
    elif kind.field == "half_val":
        flat = flat.view(np.uint16)
    getattr(proto, kind.field).extend(flat.tolist())
