"""Word vectors as GloVe and word2vec publish them: a word and its numbers on each line."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.errors import DescriptionError

__all__ = ["read_word_vectors"]


def read_word_vectors(
    path: str | Path, max_words: int
) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Reads the first vectors of a text file, which are the most frequent words'.

    Args:
        path: Text, or gzip of it; with or without word2vec's first line of two counts.
        max_words: Lines read at most.

    Returns:
        Words in lower case, the first of those that become equal kept; float32 [words, width].

    Raises:
        DescriptionError: The file can't be read, holds no vector, or a line has another width.
    """
    where = f"word vectors {path}"
    found: dict[str, int] = {}
    rows: list[npt.NDArray[np.float32]] = []
    try:
        with _open(Path(path)) as file:
            width = 0
            for number, line in enumerate(file, 1):
                parts = line.rstrip().split(" ")
                if number == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
                    continue
                width = width or len(parts) - 1
                # Some published words have spaces in them.
                word = " ".join(parts[: len(parts) - width]).lower()
                if len(parts) <= width or width < 1:
                    raise DescriptionError(
                        f"{where}, line {number}",
                        f"each line is a word and {max(width, 1)} numbers, as the first is",
                        received=f"{len(parts) - 1} numbers",
                        remedy="Load the file anew; it may be cut off",
                    )
                try:
                    vector = np.array(parts[-width:], np.float32)
                except ValueError as error:
                    raise DescriptionError(
                        f"{where}, line {number}",
                        "numbers must follow the word",
                        received=str(error),
                    ) from error
                if word not in found:
                    found[word] = len(rows)
                    rows.append(vector)
                if len(rows) == max_words:
                    break
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise DescriptionError(
            where,
            "a text file of vectors must be readable",
            received=str(error),
            remedy="Name a GloVe or word2vec file in text format",
        ) from error
    if not rows:
        raise DescriptionError(where, "a file of vectors holds at least one", received="none")
    return list(found), np.stack(rows)


def _open(path: Path) -> Any:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")
