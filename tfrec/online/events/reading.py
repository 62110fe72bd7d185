"""Reads event logs: JSON Lines (also .gz), Parquet, and TFRecords of a server's request log."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.errors import CorruptDataError, DescriptionError
from tfrec.online.events.ignored import Ignored
from tfrec.online.events.prediction_log import read_prediction_log
from tfrec.online.events.schema import COLUMNS, InvalidEventError, parse_event

__all__ = ["SUFFIXES", "Chunk", "find_logs", "frame", "read_log"]

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet", ".tfrecord")
# Rows held at once by a reader.
_ROWS = 50_000


@dataclass
class Chunk:
    """Some events of a log.

    Attributes:
        frames: By type, with `COLUMNS`.
        ignored: What could not be read.
    """

    frames: dict[str, pd.DataFrame]
    ignored: Ignored = field(default_factory=Ignored)


def find_logs(paths: Sequence[str | Path]) -> list[Path]:
    """The log files under the paths, in the order of their names.

    Args:
        paths: Files, or folders that are searched.

    Raises:
        DescriptionError: A path doesn't exist, a file is of another kind, or there is none.
    """
    found: set[Path] = set()
    for path in map(Path, paths):
        if path.is_dir():
            found |= {
                file
                for file in path.rglob("*")
                if file.name.endswith(SUFFIXES) and not file.name.startswith(".")
            }
        elif not path.exists():
            raise DescriptionError(str(path), "a log must exist", remedy="Check the path")
        elif not path.name.endswith(SUFFIXES):
            raise DescriptionError(
                str(path),
                f"a log is {', '.join(SUFFIXES)}",
                received=path.suffix or "no suffix",
                remedy="Convert it, or rename it",
            )
        else:
            found.add(path)
    if not found:
        raise DescriptionError(
            " ".join(map(str, paths)),
            f"logs are files that end in {', '.join(SUFFIXES)}",
            received="none",
            remedy="Name the folder that they are in",
        )
    return sorted(found)


def frame(kind: str, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """A frame of events of one type, with its columns even if there are none."""
    return pd.DataFrame(list(rows), columns=list(COLUMNS[kind]))


def read_log(path: Path) -> Iterator[Chunk]:
    """Reads a file in chunks; what breaks a rule is counted and left out.

    Args:
        path: Of `SUFFIXES`.

    Raises:
        CorruptDataError: The file can't be read or decoded as a whole.
    """
    try:
        if path.name.endswith(".parquet"):
            yield from _chunks(path, _parquet_rows(path))
        elif path.name.endswith(".tfrecord"):
            yield from _chunks(path, read_prediction_log(path))
        else:
            yield from _chunks(path, _json_rows(path))
    except (OSError, EOFError, UnicodeDecodeError, pa.ArrowException) as error:
        raise CorruptDataError(
            str(path),
            "a log must be readable to its end",
            received=str(error),
            remedy="Mend it, or leave the file out",
        ) from error


def _json_rows(path: Path) -> Iterator[tuple[int, object]]:
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError:
                    yield number, InvalidEventError("a line is one JSON object")


def _parquet_rows(path: Path) -> Iterator[tuple[int, object]]:
    with pq.ParquetFile(path) as file:
        number = 0
        for batch in file.iter_batches(batch_size=_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield number, row


def _chunks(path: Path, rows: Iterable[tuple[int, object]]) -> Iterator[Chunk]:
    name = str(path)
    parsed: dict[str, list[dict[str, Any]]] = {kind: [] for kind in COLUMNS}
    ignored, held = Ignored(), 0
    for number, event in rows:
        try:
            if isinstance(event, InvalidEventError):
                raise event
            kind, row = parse_event(event)
        except InvalidEventError as error:
            ignored.add("malformed", 1, (name, number, str(error)))
            continue
        row["file"], row["line"] = name, number
        parsed[kind].append(row)
        held += 1
        if held >= _ROWS:
            yield Chunk({kind: frame(kind, rows) for kind, rows in parsed.items()}, ignored)
            parsed, ignored, held = {kind: [] for kind in COLUMNS}, Ignored(), 0
    yield Chunk({kind: frame(kind, rows) for kind, rows in parsed.items()}, ignored)
