"""Write `tf.train.Example` records column by column, without a protobuf object a record.

The bytes are those of the protocol buffer (and any reader's), built from whole columns at once:
each int64 column becomes varints in one pass over all events, each float column is its memory, and
a record is slices of them joined. About ten times as fast as filling messages; a test compares with
TensorFlow's own parser.

    Example ─ 1: Features ─ 1: entry {1: name, 2: Feature {1 bytes | 2 floats | 3 int64s}}
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, pairwise
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import google_crc32c
import numpy as np
import numpy.typing as npt

from tfrec.schema import Shard

__all__ = [
    "FloatColumn",
    "IntColumn",
    "RecordWriter",
    "bytes_feature",
    "examples",
    "floats",
    "ints",
]

_BYTES, _FLOATS, _INTS = b"\x0a", b"\x12", b"\x1a"
_NESTED = b"\x0a"


def varint(value: int) -> bytes:
    """A non-negative integer in base 128, low digits first.

    Example:
        >>> varint(300).hex()
        'ac02'
    """
    if value < 128:
        return bytes((value,))
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def varints(values: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """All integers of a column in base 128.

    Args:
        values: int64 [n]; a negative one takes ten bytes, as protocol buffers have it.

    Returns:
        uint8 [bytes], and int64 [n + 1], where each integer starts.
    """
    rest = values.astype(np.uint64)
    lengths = np.ones(len(values), np.int64)
    bound = 7
    while bound < 64 and len(values) and (longer := rest >= np.uint64(1) << np.uint64(bound)).any():
        lengths += longer
        bound += 7
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    output = np.empty(int(offsets[-1]), np.uint8)
    for digit in range(int(lengths.max(initial=0))):
        has = lengths > digit
        shifted = (rest[has] >> np.uint64(7 * digit)) & np.uint64(127)
        more = (lengths[has] > digit + 1).astype(np.uint64) << np.uint64(7)
        output[offsets[:-1][has] + digit] = shifted | more
    return output, offsets


class IntColumn:
    """A feature of int64 lists, cut from one column.

    Args:
        name: The feature.
        values: int64 [n].
    """

    def __init__(self, name: str, values: npt.NDArray[np.int64]) -> None:
        self._name = name
        output, offsets = varints(np.asarray(values, np.int64))
        self._data, self._offsets = output.tobytes(), offsets

    def features(self, bounds: Sequence[int] | npt.NDArray[np.int64]) -> list[bytes]:
        """The feature of each record: its rows go from one bound to the next."""
        data, places = self._data, self._offsets[np.asarray(bounds)].tolist()
        return [
            _head(self._name, _INTS, last - first) + data[first:last]
            for first, last in pairwise(places)
        ]


class FloatColumn:
    """A feature of float32 lists, cut from one column.

    Args:
        name: The feature.
        values: float32 [n].
    """

    def __init__(self, name: str, values: npt.NDArray[np.float32]) -> None:
        self._name = name
        self._data = np.ascontiguousarray(values, "<f4").tobytes()

    def features(self, bounds: Sequence[int] | npt.NDArray[np.int64]) -> list[bytes]:
        """The feature of each record: its rows go from one bound to the next."""
        data, places = self._data, (4 * np.asarray(bounds)).tolist()
        return [
            _head(self._name, _FLOATS, last - first) + data[first:last]
            for first, last in pairwise(places)
        ]


def bytes_feature(name: str, value: bytes) -> bytes:
    """A feature of one byte string."""
    return _head(name, _BYTES, len(value)) + value


def ints(name: str, values: Sequence[int]) -> bytes:
    """A feature of a few non-negative integers."""
    data = b"".join(map(varint, values))
    return _head(name, _INTS, len(data)) + data


def floats(name: str, values: npt.NDArray[np.float32]) -> bytes:
    """A feature of one vector."""
    data = np.ascontiguousarray(values, "<f4").tobytes()
    return _head(name, _FLOATS, len(data)) + data


def vector(name: str, values: npt.NDArray[np.float32], dtype: str) -> bytes:
    """A feature of one vector, stored as `tfrec.schema` spells NAME/encoded.

    Args:
        name: The feature.
        values: float32 [dim].
        dtype: `float32`, `float16` or `int8`.
    """
    if dtype == "float32":
        return floats(name, values)
    if dtype == "float16":
        # What float16 can't hold becomes its greatest number, not infinity.
        bound = np.finfo(np.float16).max
        return bytes_feature(name, np.clip(values, -bound, bound).astype("<f2").tobytes())
    scale = np.float32(np.abs(values).max(initial=0) / 127)
    steps = np.rint(values / scale) if scale > 0 else np.zeros(values.shape)
    return bytes_feature(name, scale.astype("<f4").tobytes() + steps.astype(np.int8).tobytes())


def examples(columns: Sequence[Sequence[bytes]]) -> list[bytes]:
    """A serialised `tf.train.Example` of each record.

    Args:
        columns: Of each feature or run of features, its bytes in every record.
    """
    contents = map(b"".join, zip(*columns, strict=True))
    return [_example_head(len(content)) + content for content in contents]


@lru_cache(maxsize=1 << 16)
def _example_head(length: int) -> bytes:
    return _NESTED + varint(length)


@lru_cache(maxsize=1 << 16)
def _head(name: str, kind: bytes, length: int) -> bytes:
    """All of a feature but its last `length` bytes: few differ, so each is built once."""
    encoded = name.encode()
    values = _NESTED + varint(length)
    feature = kind + varint(len(values) + length) + values
    key = _NESTED + varint(len(encoded)) + encoded
    entry = key + b"\x12" + varint(len(feature) + length) + feature
    return _NESTED + varint(len(entry) + length) + entry


class RecordWriter:
    """Writes one TFRecord file, which appears under its name when it is whole.

    Args:
        path: The file.
        root: The data directory, for the path in `shard`.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self._path = path
        self._name = path.relative_to(root).as_posix()
        self._partial = path.with_name(f".{path.name}.{os.getpid()}")
        self._digest = hashlib.sha256()
        self._records = self._size = 0
        self._stream: BinaryIO | None = None

    def __enter__(self) -> RecordWriter:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = open(self._partial, "wb", buffering=1 << 20)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._stream is not None
        try:
            self._stream.close()
            if kind is None:
                self._partial.replace(self._path)
        finally:
            self._partial.unlink(missing_ok=True)

    def write(self, records: Sequence[bytes]) -> None:
        """Appends records."""
        assert self._stream is not None
        sums = np.fromiter(map(google_crc32c.value, records), np.uint32, len(records))
        ends = _masked(sums).astype("<u4").tobytes()
        tails = [ends[place : place + 4] for place in range(0, len(ends), 4)]
        heads = [_record_head(len(record)) for record in records]
        framed = b"".join(chain.from_iterable(zip(heads, records, tails, strict=True)))
        self._stream.write(framed)
        self._digest.update(framed)
        self._records += len(records)
        self._size += len(framed)

    @property
    def shard(self) -> Shard:
        """What the manifest says of the file."""
        return Shard(
            path=self._name,
            records=self._records,
            size=self._size,
            sha256=self._digest.hexdigest(),
        )


@lru_cache(maxsize=1 << 16)
def _record_head(length: int) -> bytes:
    content = struct.pack("<Q", length)
    return content + _masked(np.array([google_crc32c.value(content)], np.uint32)).tobytes()


def _masked(sums: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """TFRecord stores checksums rotated, so that a file of records is no checksum of itself."""
    return (sums >> np.uint32(15) | sums << np.uint32(17)) + np.uint32(0xA282EAD8)
