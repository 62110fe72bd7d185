"""From columns of records to stacked arrays in a feature's prepared form."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec import schema
from tfrec.errors import CorruptDataError
from tfrec.input.records import Column
from tfrec.schema import FeatureSpec

__all__ = ["RECORD_TYPES", "empty_value", "encoded", "stack"]

Array = npt.NDArray[Any]

RECORD_TYPES = {
    "text": tf.string,
    "image": tf.string,
    "audio": tf.string,
    "video": tf.string,
    "categorical": tf.int64,
    "tags": tf.int64,
    "numeric": tf.float32,
    "embedding": tf.float32,
}


def empty_value(spec: FeatureSpec) -> Any:
    """What stands in a feature's place where it is missing, next to `present` = False."""
    if spec.modality == "text":
        return ""
    if spec.modality == "numeric":
        return np.float32(0)
    return np.int32(schema.MISSING_INDEX)


def stack(column: Column, present: npt.NDArray[np.bool_], spec: FeatureSpec, where: str) -> Array:
    """Stacks a feature's values of all records.

    Args:
        column: Its values.
        present: bool [records].
        spec: What it is.
        where: The file to name in an error.

    Returns:
        Its prepared form as `ItemTable` describes it, zeros or "" where it is not present.

    Raises:
        CorruptDataError: A record that has the feature holds none, or one of another size.
    """
    if spec.modality == "tags":
        return _padded(column)
    _check(bool((column.lengths[present] > 0).all()), where, spec, "a value where it is present")
    if spec.modality == "embedding":
        return vectors(column, present, int(spec.config.dimension or 0), spec.name, where)
    first = column.values[column.splits[:-1][present]]
    if spec.modality == "text":
        out: Array = np.full(len(present), "", object)
        out[present] = [value.decode("utf-8") for value in first]
        return out
    if spec.modality in ("categorical", "numeric"):
        kind = np.int32 if spec.modality == "categorical" else np.float32
        out = np.full(len(present), empty_value(spec), kind)
        out[present] = first
        return out
    return _media(first, present, spec, where)


def encoded(
    column: Column, present: npt.NDArray[np.bool_], spec: FeatureSpec, where: str
) -> npt.NDArray[np.float32]:
    """Stacks a frozen encoder's vectors, whatever they are stored as: float32 [records, dim].

    Raises:
        CorruptDataError: A present one has another width.
    """
    width, kind = int(spec.encoded_dim or 0), spec.config.vector_dtype
    if kind == "float32":
        return vectors(column, present, width, spec.name, where)
    _check(bool((column.lengths[present] > 0).all()), where, spec, "a vector where it is present")
    stored = column.values[column.splits[:-1][present]]
    size = 2 * width if kind == "float16" else 4 + width
    _check(all(len(one) == size for one in stored), where, spec, f"{size} bytes of {kind}")
    table = np.frombuffer(b"".join(stored), np.uint8).reshape(-1, size)
    out = np.zeros((len(present), width), np.float32)
    if kind == "float16":
        out[present] = table.view("<f2")
    else:
        scale = np.ascontiguousarray(table[:, :4]).view("<f4")
        out[present] = scale * table[:, 4:].view(np.int8)
    return out


def vectors(
    column: Column, present: npt.NDArray[np.bool_], width: int, name: str, where: str
) -> npt.NDArray[np.float32]:
    """Stacks vectors of one width: float32 [records, width], zeros where not present.

    Raises:
        CorruptDataError: A present one has another width.
    """
    if not bool((column.lengths[present] == width).all()):
        raise CorruptDataError(
            where,
            f"every `{name}` must have {width} numbers",
            received=f"{sorted(set(column.lengths[present].tolist()))}",
            remedy="Run `tfrec preprocess` again",
        )
    out = np.zeros((len(present), width), np.float32)
    keep = np.repeat(present, column.lengths)
    out[present] = column.values[keep].reshape(-1, width)
    return out


def _padded(column: Column) -> npt.NDArray[np.int32]:
    width = max(1, int(column.lengths.max(initial=0)))
    out = np.full((len(column.lengths), width), schema.MISSING_INDEX, np.int32)
    out[np.arange(width) < column.lengths[:, None]] = column.values
    return out


def _media(
    first: Array, present: npt.NDArray[np.bool_], spec: FeatureSpec, where: str
) -> npt.NDArray[Any]:
    height, width = spec.config.size
    if spec.modality == "audio":
        kind: Any = "<i2"
        samples = len(first[0]) // 2 if len(first) else 1
        shape: tuple[int, ...] = (samples,)
    else:
        kind = np.uint8
        shape = (height, width, 3)
        if spec.modality == "video":
            shape = (spec.config.frames, *shape)
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    _check(all(len(value) == size for value in first), where, spec, f"{size} bytes")
    out = np.zeros((len(present), *shape), kind)
    for row, value in zip(np.flatnonzero(present), first, strict=True):
        out[row] = np.frombuffer(value, kind).reshape(shape)
    return out.astype(np.dtype(kind).newbyteorder("="), copy=False)


def _check(holds: bool, where: str, spec: FeatureSpec, rule: str) -> None:
    if not holds:
        raise CorruptDataError(
            where,
            f"each `{spec.name}` must hold {rule}",
            received="a record that doesn't",
            remedy="Run `tfrec preprocess` again",
        )
