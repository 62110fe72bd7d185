"""Read a range of a JSON Lines file into columns."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from preprocessing.batches import BrokenRow, RawBatch

__all__ = ["first_keys", "parse_jsonl"]

_FIRST_LINES = 1000

_BOM = b"\xef\xbb\xbf"
_LISTS = pa.list_(pa.string())


def parse_jsonl(data: bytes, columns: Sequence[str], first_line: int) -> RawBatch:
    """Parses whole lines, one JSON object each; empty lines are no rows.

    Args:
        data: Lines.
        columns: The wanted keys; one that an object lacks is missing there.
        first_line: The line number, from 1, of the first line.

    Returns:
        Columns of strings; a column with a list anywhere is a column of lists of strings.
    """
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    wrong: list[bool] = []
    broken: list[BrokenRow] = []
    for number, line in enumerate(data.split(b"\n"), first_line):
        if not line.strip():
            continue
        line = line.removeprefix(_BOM) if number == 1 else line
        text = line.decode("utf-8", "replace")
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            broken.append(BrokenRow(number, "malformed_row", text.strip()))
            continue
        rows.append(row)
        lines.append(number)
        wrong.append(text.encode() != line)
    arrays = {name: _column([row.get(name) for row in rows]) for name in columns}
    return RawBatch(arrays, np.asarray(lines, np.int64), np.asarray(wrong, bool), broken)


def first_keys(start: bytes) -> tuple[str, ...]:
    r"""The keys of the first objects of a file, in the order they come.

    Args:
        start: The beginning of the file.

    Example:
        >>> first_keys(b'{"a": 1}\n{"b": 2, "a": 3}\n')
        ('a', 'b')
    """
    keys: dict[str, None] = {}
    for line in start.split(b"\n")[:_FIRST_LINES]:
        try:
            row = json.loads(line.removeprefix(_BOM))
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            keys |= dict.fromkeys(row)
    return tuple(keys)


def _column(values: list[Any]) -> Any:
    if any(isinstance(value, list) for value in values):
        lists = [
            None
            if value is None
            else [_text(part) for part in value if part is not None]
            if isinstance(value, list)
            else [_text(value)]
            for value in values
        ]
        return pa.array(lists, _LISTS)
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and math.fabs(value) < 2**53:
        return str(int(value))
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    # A lone surrogate can't be stored as UTF-8.
    return str(value).encode("utf-8", "replace").decode("utf-8")
