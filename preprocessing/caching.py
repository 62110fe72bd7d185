"""Keep what was computed of a content, so that a later run computes only what changed.

    DIR/<kind>-<what it depends on>/<digest of the file>.arrow   rows of content hash → value

A segment is written beside its place and renamed, and never changed after: workers of several runs
may write at once, and a kill leaves a segment whole or not there. Its name is the digest of its
bytes, checked before the first value of it is used; one that fails is deleted and its contents are
computed again. The same content in two segments costs room, nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from preprocessing.stages import replace_file

__all__ = ["HASH_BYTES", "ContentCache", "content_hash"]

HASH_BYTES = 16
# Another number when values of equal settings come out otherwise than before.
_VERSION = 1


def content_hash(data: bytes) -> bytes:
    """What tells equal contents: 16 bytes of BLAKE2b."""
    return hashlib.blake2b(data, digest_size=HASH_BYTES).digest()


class ContentCache:
    """Arrays of one shape and type by the hash of the content that they were computed from.

    Args:
        folder: The cache directory, shared by all runs.
        kind: What the values are, a file name: `encoded`, `decoded`.
        depends_on: Everything beside the content that decides a value.
        shape: Of one value.
        dtype: Of one value.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        depends_on: Mapping[str, object],
        shape: Sequence[int],
        dtype: Any,
    ) -> None:
        self._shape, self._dtype = tuple(shape), np.dtype(dtype)
        self._width = int(np.prod(self._shape)) * self._dtype.itemsize
        parts = [_VERSION, sorted(depends_on.items()), self._shape, self._dtype.str]
        self._folder = folder / f"{kind}-{content_hash(repr(parts).encode()).hex()[:16]}"
        self._schema = pa.schema(
            [("hash", pa.binary(HASH_BYTES)), ("value", pa.binary(self._width))]
        )

    def find(self, hashes: Sequence[bytes]) -> dict[bytes, npt.NDArray[Any]]:
        """Looks contents up.

        Args:
            hashes: Of the contents.

        Returns:
            Those that are known, each with its array.
        """
        wanted = set(hashes)
        found: dict[bytes, npt.NDArray[Any]] = {}
        paths = sorted(self._folder.glob("*.arrow")) if wanted else []
        for path in paths:
            if not wanted:
                break
            table = self._open(path)
            if table is None:
                continue
            keys = table.column("hash").to_pylist()
            rows = [row for row, key in enumerate(keys) if key in wanted]
            if rows and not self._is_whole(path):
                continue
            values = table.column("value")
            for row in rows:
                value = np.frombuffer(values[row].as_py(), self._dtype)
                found[keys[row]] = value.reshape(self._shape)
                wanted.discard(keys[row])
        return found

    def add(self, values: Mapping[bytes, npt.NDArray[Any]]) -> None:
        """Keeps the values of some contents."""
        if not values:
            return
        rows = [value.tobytes() for value in values.values()]
        columns = [pa.array(list(values), pa.binary(HASH_BYTES))]
        columns.append(pa.array(rows, pa.binary(self._width)))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, self._schema) as writer:
            writer.write_table(pa.table(columns, schema=self._schema))
        data = sink.getvalue().to_pybytes()
        replace_file(self._folder / f"{content_hash(data).hex()}.arrow", data)

    def _open(self, path: Path) -> Any:
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except FileNotFoundError:
            return None
        except (pa.ArrowException, OSError):
            path.unlink(missing_ok=True)
            return None
        return table if table.schema == self._schema else None

    @staticmethod
    def _is_whole(path: Path) -> bool:
        if content_hash(path.read_bytes()).hex() == path.stem:
            return True
        path.unlink(missing_ok=True)
        return False
