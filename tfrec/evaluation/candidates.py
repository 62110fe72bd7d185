"""Which items may be listed, from a file of ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import DataError, DescriptionError

__all__ = ["read_candidates"]


def read_candidates(path: str | Path, ids: NDArray[Any]) -> NDArray[np.int64]:
    """Reads a text file with an item id a line; empty lines and repeats count nothing.

    Args:
        path: UTF-8, with or without a byte order mark.
        ids: The catalogue's, object [N] of str.

    Returns:
        Item indices, ascending and distinct.

    Raises:
        DescriptionError: The file can't be read.
        DataError: It is empty, or names an item that the catalogue lacks.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DescriptionError(
            f"--candidates {path}",
            "it must be a readable UTF-8 file with an item id a line",
            received=error.strerror if isinstance(error, OSError) else "another encoding",
            remedy="Check the path",
        ) from error
    wanted = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not wanted:
        raise DataError(
            f"--candidates {path}", "it must name at least one item", received="an empty file"
        )
    index = {item: place for place, item in enumerate(ids)}
    unknown = [(number, item) for number, item in wanted if item not in index]
    if unknown:
        number, item = unknown[0]
        raise DataError(
            f"--candidates {path}:{number}",
            "every candidate must be an item of the prepared data",
            received=f"{item!r} ({len(unknown):,} of {len(wanted):,} unknown)",
            remedy="Remove them, or preprocess and train with these items in the catalogue",
        )
    return np.unique([index[item] for _, item in wanted]).astype(np.int64)
