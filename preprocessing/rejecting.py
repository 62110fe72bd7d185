"""Refuse rows by named rules, and keep each with its file, line and what was received.

The rules, by name:

    every source    malformed_row, not_utf8
    interactions    empty_user_id, empty_item_id, bad_id, bad_timestamp, unknown_item, bad_number,
                    negative_weight, bad_label, bad_split, duplicate_event, out_of_range,
                    not_allowed
      on request    superseded_event, summed_event, orphan_event, outside_window, bot_user,
                    below_core
    items           empty_item_id, bad_id, duplicate_item_id, bad_number, bad_embedding,
                    out_of_range, not_allowed
    users           empty_user_id, bad_id, duplicate_user_id, bad_number, user_without_events,
                    out_of_range, not_allowed
    comments        empty_user_id, empty_item_id, bad_id, bad_timestamp, unknown_item, empty_text
    media           unreadable_media, media_outside_root, media_too_large, media_not_found,
                    media_too_slow
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from preprocessing.batches import RawBatch

__all__ = ["BY_REQUEST", "Refusals", "RowCheck"]

# Rules that the description asks for, or that say nothing bad about the row: they don't count
# against `--max-rejected`.
BY_REQUEST = frozenset(
    {
        "below_core",
        "bot_user",
        "orphan_event",
        "outside_window",
        "summed_event",
        "superseded_event",
        "user_without_events",
    }
)
_SHOWN = 200


@dataclass
class Refusals:
    """The refused rows of a task.

    Attributes:
        source: Which source they belong to.
        lines: One JSON object a row, without the line end.
        rules: How many rows each rule refused.
    """

    source: str
    lines: list[str] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)

    def add(self, file: str, line: int, rule: str, received: object, column: str = "") -> None:
        """Keeps one row or file."""
        shown = received if isinstance(received, str) else repr(received)
        content = {"source": self.source, "file": file, "line": int(line), "rule": rule}
        if column:
            content["column"] = column
        content["received"] = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
        self.lines.append(json.dumps(content, ensure_ascii=False))
        self.rules[rule] += 1

    @property
    def count(self) -> int:
        """Rows refused."""
        return len(self.lines)

    def extend(self, other: Refusals) -> None:
        """Takes over the rows of another task."""
        self.lines += other.lines
        self.rules += other.rules


class RowCheck:
    """Applies rules to a batch; the first rule that a row breaks is the one it is refused by.

    Args:
        batch: The rows.
        file: The name of their file.
        refusals: Where refused rows go.
    """

    def __init__(self, batch: RawBatch, file: str, refusals: Refusals) -> None:
        self._batch = batch
        self._file = file
        self._refusals = refusals
        self.refused = np.zeros(batch.rows, bool)
        for row in batch.broken:
            refusals.add(file, row.line, row.rule, row.received)
        self.refuse(batch.not_utf8, "not_utf8", self._whole_row)

    def refuse(
        self,
        broken: npt.NDArray[np.bool_],
        rule: str,
        received: Any,
        column: str = "",
    ) -> None:
        """Refuses the rows where `broken` is true.

        Args:
            broken: bool [rows].
            rule: The rule's name.
            received: An array or a function of the row that shows what was received.
            column: The column that is at fault.
        """
        fresh = broken & ~self.refused
        if not fresh.any():
            return
        self.refused |= fresh
        show: Callable[[int], object] = received if callable(received) else _Cell(received)
        for row in np.flatnonzero(fresh):
            self._refusals.add(self._file, self._batch.lines[row], rule, show(int(row)), column)

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Rows not refused so far, bool [rows]."""
        return ~self.refused

    def _whole_row(self, row: int) -> str:
        cells = (self._batch.columns[name][row].as_py() for name in self._batch.columns)
        return ",".join("" if cell is None else str(cell) for cell in cells)


class _Cell:
    def __init__(self, values: Any) -> None:
        self._values = values

    def __call__(self, row: int) -> object:
        value = self._values[row]
        value = value.as_py() if hasattr(value, "as_py") else value
        return "" if value is None else value
