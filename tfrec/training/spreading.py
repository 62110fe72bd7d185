"""How far scores spread: the unit in which a further term of a score is measured."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["some_rows", "spread_of"]

Vectors = npt.NDArray[np.float32]

_SAMPLE = 2_000


def some_rows(rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """At most so many of some rows, spread over all."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def spread_of(
    queries: Vectors, vectors: Vectors, rows: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """How far one user's scores spread, and how long a query is; 1 where there is nothing.

    Args:
        queries: float32 [users, D].
        vectors: float32 [N, D].
        rows: Users to look at; all where none are given.
    """
    rows = rows if len(rows) else np.arange(len(queries))
    some = queries[rows[:_SAMPLE]]
    scores = some @ vectors[some_rows(np.arange(len(vectors)), _SAMPLE)].T
    spread = float(scores.std(1).mean()) if scores.size else 0.0
    length = float(np.linalg.norm(some, axis=1).mean()) if some.size else 0.0
    return spread or 1.0, length or 1.0
