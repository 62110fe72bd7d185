"""The arrays of an index after items came and went: cells, codes and centroids are kept.

    before   positions 0 1 2        sources  0 1 2 -1     live  1 0 1 1     vectors of the last
    exact    rows      0 1 2   ─▶   rows     0 -1 1 2     items 0 2 3
    ivf      item 1 leaves its slot for the last one, which holds none; the new item goes to the
             cell whose centroid it is nearest to; nothing is trained

Works on the variables of a written export by their names, so that no graph has to be built again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfrec.errors import ExportError
from tfrec.index.index import checked_vectors, inverse_lengths
from tfrec.index.int8_storage import int8_codes
from tfrec.index.layout import BLOCK, CellLayout
from tfrec.index.pq_storage import pq_codes
from tfrec.index.storage import by_slot

__all__ = ["Change", "rewritten", "vectors_at"]

Arrays = Mapping[str, np.ndarray]

# Vectors compared with all centroids in one step.
_STEP = 8192
_LONGEST = 0.99


@dataclass(frozen=True)
class Change:
    """What an index holds afterwards, by position.

    Attributes:
        sources: int32 [n], the position before, or -1 where the vector is new.
        live: bool [n], items that can be found.
        vectors: float32 [m, D], of those with source -1 that are live, in order.
    """

    sources: np.ndarray
    live: np.ndarray
    vectors: np.ndarray


def rewritten(kind: str, arrays: Arrays, change: Change) -> tuple[dict[str, np.ndarray], float]:
    """The arrays after a change.

    Args:
        kind: `exact`, `ivf`, `ivf-int8` or `ivf-pq`.
        arrays: By name, all that begin with `index/`.
        change: What is kept, and what is new.

    Returns:
        Those that differ, by name; and how far the index keeps the new vectors from those given.

    Raises:
        ExportError: A new vector isn't finite or of another width, nothing is left, or an item is
            kept that the index had lost.
    """
    _check(arrays, change)
    if kind == "exact":
        return _exact(arrays, change), 0.0
    return _inverted(kind, arrays, change)


def vectors_at(kind: str, arrays: Arrays, positions: np.ndarray) -> np.ndarray:
    """Vectors as an index keeps them.

    Args:
        kind: As for `rewritten`.
        arrays: As for `rewritten`.
        positions: int [n], of items that can be found.

    Returns:
        float32 [n, D].
    """
    if kind == "exact":
        return arrays["index/vectors"][arrays["index/rows"][positions]]
    slots = arrays["index/slots"][positions]
    if kind == "ivf":
        return arrays["index/vectors"][slots]
    centroids = _centroids(arrays)[arrays["index/cell_of_block"][slots // BLOCK]]
    codes = arrays["index/codes"][slots].astype(np.float32)
    return centroids + codes * arrays["index/steps"][slots][:, None]


def _check(arrays: Arrays, change: Change) -> None:
    width = arrays.get("index/directions", arrays.get("index/vectors"))
    assert width is not None
    if len(change.vectors):
        checked_vectors(change.vectors)
    if change.vectors.shape[1:] != width.shape[1:]:
        raise ExportError(
            "catalogue",
            "new vectors are as wide as those of the index",
            received=f"{list(change.vectors.shape)} beside {list(width.shape)}",
            remedy="Embed them by the same version's `embed_item`",
        )
    if not change.live.any():
        raise ExportError(
            "catalogue",
            "a catalogue has at least one item",
            received="none left",
            remedy="Remove fewer",
        )


def _exact(arrays: Arrays, change: Change) -> dict[str, np.ndarray]:
    items = np.flatnonzero(change.live).astype(np.int32)
    sources = change.sources[items]
    old = sources >= 0
    vectors = np.empty((len(items), arrays["index/vectors"].shape[1]), np.float32)
    vectors[old] = arrays["index/vectors"][_found(arrays["index/rows"][sources[old]])]
    vectors[~old] = change.vectors
    rows = np.full(len(change.live), -1, np.int32)
    rows[items] = np.arange(len(items))
    return {
        "index/vectors": vectors,
        "index/inverse_lengths": inverse_lengths(vectors),
        "index/items": items,
        "index/rows": rows,
    }


def _inverted(kind: str, arrays: Arrays, change: Change) -> tuple[dict[str, np.ndarray], float]:
    size = len(change.live)
    old = np.flatnonzero(change.live & (change.sources >= 0))
    new = np.flatnonzero(change.live & (change.sources < 0))
    slots = arrays["index/slots"][change.sources[old]]
    _found(np.where(arrays["index/items"][slots] >= 0, slots, -1))
    assignment = np.full(size, -1, np.int32)
    assignment[old] = arrays["index/cell_of_block"][slots // BLOCK]
    assignment[new] = _nearest_cells(arrays, change.vectors)
    layout = CellLayout.of(assignment, len(arrays["index/norms"]))
    fresh, error = _encoded(kind, arrays, change.vectors, assignment[new])
    fresh["index/inverse_lengths"] = inverse_lengths(change.vectors)
    result: dict[str, np.ndarray] = {
        "index/count": np.array(change.live.sum(), np.int32),
        "index/items": layout.items,
        "index/slots": layout.slots,
        "index/first": layout.first,
        "index/cell_of_block": layout.cell_of_block,
    }
    for name, values in fresh.items():
        by_item = np.zeros((size, *arrays[name].shape[1:]), arrays[name].dtype)
        by_item[old], by_item[new] = arrays[name][slots], values
        result[name] = by_slot(by_item, layout.items)
    return result, error


def _found(places: np.ndarray) -> np.ndarray:
    if (places < 0).any():
        raise ExportError(
            "catalogue",
            "an item that was removed has no vector any more",
            received=f"{int((places < 0).sum())} such items",
            remedy="Add them again",
        )
    return places


def _encoded(
    kind: str, arrays: Arrays, vectors: np.ndarray, cells: np.ndarray
) -> tuple[dict[str, np.ndarray], float]:
    """New vectors as the index keeps them, by the names of its arrays."""
    if kind == "ivf":
        return {"index/vectors": vectors}, 0.0
    rest = vectors - _centroids(arrays)[cells]
    codes, steps, error = int8_codes(rest)
    kept = {"index/codes": codes, "index/steps": steps}
    if kind == "ivf-pq":
        kept["index/pq_codes"] = pq_codes(rest, arrays["index/pq_books"])
    return kept, error


def _centroids(arrays: Arrays) -> np.ndarray:
    return arrays["index/directions"] * arrays["index/norms"][:, None]


def _nearest_cells(arrays: Arrays, vectors: np.ndarray) -> np.ndarray:
    """Cells by the rule that made them: the angle after vectors were lengthened to one length."""
    inverse = arrays["index/inverse_lengths"][arrays["index/items"] >= 0]
    lengths = 1 / inverse[inverse > 0]
    longest = max(float(np.quantile(lengths, _LONGEST)) if len(lengths) else 1.0, 1e-12)
    directions = arrays["index/directions"]
    room = np.sqrt(np.maximum(1 - np.einsum("cd,cd->c", directions, directions), 0))
    cells = np.empty(len(vectors), np.int32)
    for start in range(0, len(vectors), _STEP):
        part = vectors[start : start + _STEP]
        own = np.sqrt(np.einsum("nd,nd->n", part, part))
        scale = np.maximum(own, longest)
        rest = np.sqrt(np.maximum(1 - (own / scale) ** 2, 0))
        nearness = (part / scale[:, None]) @ directions.T + rest[:, None] * room
        cells[start : start + _STEP] = nearness.argmax(1)
    return cells
