"""Read TFRecord files of `tf.train.Example` into columns; a file is one range.

A record is its length (8 bytes), the length's checksum (4), the data, the data's checksum (4), both
masked CRC-32C. A record with wrong data is refused and the next one read; a wrong length leaves no
way to find the next one.

Values of a key, over the records of a batch: int64 and float lists become numbers, bytes become
strings when they are UTF-8 without NUL and binary otherwise (pictures); a key with several values
in any record becomes lists; one that a record lacks is missing there.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from preprocessing.batches import BrokenRow, RawBatch
from tfrec.errors import DataError

__all__ = ["read_tfrecords", "tfrecord_columns"]

_HEAD, _TAIL = struct.Struct("<QI"), struct.Struct("<I")
_BATCH_ROWS, _BATCH_BYTES = 20_000, 32 << 20
# More is a length read from the wrong place.
_MOST_BYTES = 1 << 30
_LOOKED_AT = 100


def read_tfrecords(
    path: str, name: str, compressed: bool, columns: Sequence[str]
) -> Iterator[RawBatch]:
    """Reads a file in batches; a row's line is its record's number, from 1.

    Args:
        path: The file.
        name: What to call it in messages.
        compressed: Whether it is gzip.
        columns: The wanted keys.

    Raises:
        DataError: The file is damaged beyond a single record.
    """
    from tensorflow.core.example import example_pb2

    examples: list[Any] = []
    lines: list[int] = []
    broken: list[BrokenRow] = []
    size = 0
    for number, (data, whole) in enumerate(_records(path, name, compressed), 1):
        try:
            if not whole:
                raise ValueError("its checksum is another one")
            features = example_pb2.Example.FromString(data).features.feature
            examples.append(features)
            lines.append(number)
            size += len(data)
        except Exception as error:  # protobuf's DecodeError has no public base
            broken.append(BrokenRow(number, "malformed_row", f"{len(data)} bytes: {error}"))
        if len(examples) + len(broken) >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield _batch(examples, lines, broken, columns)
            examples, lines, broken, size = [], [], [], 0
    if examples or broken:
        yield _batch(examples, lines, broken, columns)


def tfrecord_columns(path: str, name: str, compressed: bool) -> tuple[str, ...]:
    """The keys of a file's first records, in the order of their names.

    Raises:
        DataError: The file is empty or no TFRecord of Examples.
    """
    from tensorflow.core.example import example_pb2

    keys: set[str] = set()
    for data, whole in islice(_records(path, name, compressed), _LOOKED_AT):
        try:
            keys |= set(example_pb2.Example.FromString(data).features.feature) if whole else set()
        except Exception:  # a broken record; another one may tell the keys
            continue
    if not keys:
        raise DataError(
            name,
            "a TFRecord file holds records of tf.train.Example",
            received="none in its first records",
            remedy="Write Examples, or another format",
        )
    return tuple(sorted(keys))


def _records(path: str, name: str, compressed: bool) -> Iterator[tuple[bytes, bool]]:
    """Data of each record, and whether its checksum holds."""
    number = 0
    try:
        with gzip.open(path, "rb") if compressed else open(path, "rb") as stream:
            while head := stream.read(_HEAD.size):
                number += 1
                if len(head) < _HEAD.size:
                    raise EOFError
                length, check = _HEAD.unpack(head)
                if check != _masked(head[:8]) or length > _MOST_BYTES:
                    raise EOFError
                data, tail = stream.read(length), stream.read(_TAIL.size)
                if len(data) < length or len(tail) < _TAIL.size:
                    raise EOFError
                yield data, _TAIL.unpack(tail)[0] == _masked(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{name} (record {max(number, 1)})",
            "the file must be a whole TFRecord",
            received=str(error) or "a length with another checksum, or an end within the record",
            remedy="Write it again; compressed ones end with .gz",
        ) from error


def _masked(data: bytes) -> int:
    import google_crc32c

    value = int(google_crc32c.value(data))
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _batch(
    examples: list[Any], lines: list[int], broken: list[BrokenRow], columns: Sequence[str]
) -> RawBatch:
    arrays = {name: _column([_values(example, name) for example in examples]) for name in columns}
    return RawBatch(arrays, np.asarray(lines, np.int64), np.zeros(len(lines), bool), broken)


def _values(example: Any, name: str) -> list[Any]:
    if name not in example:
        return []
    feature = example[name]
    kind = feature.WhichOneof("kind")
    return [] if kind is None else list(getattr(feature, kind).value)


def _column(rows: list[list[Any]]) -> Any:
    values = [value for row in rows for value in row]
    if any(isinstance(value, bytes) for value in values):
        texts = all(isinstance(value, bytes) and _is_text(value) for value in values)
        if texts:
            rows = [[value.decode() for value in row] for row in rows]
        else:
            rows = [[v if isinstance(v, bytes) else str(v).encode() for v in row] for row in rows]
        kind = pa.string() if texts else pa.binary()
    elif any(isinstance(value, float) for value in values):
        kind = pa.float64()
    else:
        kind = pa.int64() if values else pa.string()
    if any(len(row) > 1 for row in rows):
        return pa.array([row or None for row in rows], pa.list_(kind))
    return pa.array([row[0] if row else None for row in rows], kind)


def _is_text(value: bytes) -> bool:
    if b"\0" in value:
        return False
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
