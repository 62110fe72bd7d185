"""What the readers of every format hand on: columns of one range of a source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BrokenRow", "RawBatch"]


@dataclass(frozen=True)
class BrokenRow:
    """A row that has no columns: too many cells, no JSON, too long.

    Attributes:
        line: Its first line in the file, from 1.
        rule: The name of the rule that it breaks.
        received: Its text.
    """

    line: int
    rule: str
    received: str


@dataclass(frozen=True)
class RawBatch:
    """Rows as read, before any meaning is given to their cells.

    Attributes:
        columns: Arrow arrays by name, equally long: strings for CSV, typed for Parquet.
        lines: int64 [n], each row's first line in the file (Parquet: its row), from 1.
        not_utf8: bool [n], rows with a cell that is no UTF-8.
        broken: Rows that could not be read into columns.
    """

    columns: dict[str, Any]
    lines: npt.NDArray[np.int64]
    not_utf8: npt.NDArray[np.bool_]
    broken: list[BrokenRow] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows that have columns."""
        return len(self.lines)

    @property
    def read(self) -> int:
        """All rows, broken ones too."""
        return len(self.lines) + len(self.broken)
