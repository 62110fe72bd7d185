"""Where items lie in an inverted file: cell after cell, in blocks that one copy fetches.

    (spare)                    block 0: -1 -1     what a ragged row is padded with
    cell 0: items 4 1 7        block 1: 4  1      block 2: 7 -1
    cell 1: items 0 2          block 3: 0  2      first = [1, 3, 4]

A probe reads the blocks `first[c]` to `first[c + 1] - 1`. Single rows would be fetched by as many
small copies, and whole cells padded to the largest would hold twice the memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["BLOCK", "SPARE", "CellLayout"]

# Slots of a block. A cell wastes half a block on average: 3% at 250 items a cell.
BLOCK = 16
# The block of no cell. The first one, so that a search needn't look up where it is.
SPARE = 0


@dataclass(frozen=True)
class CellLayout:
    """Slots of items, by cell.

    Attributes:
        items: int32 [S], the item in each slot, -1 for none; the spare block holds none.
        slots: int32 [N], the slot of each item; the first one, which holds none, for an item that
            is in no cell.
        first: int32 [C + 1], the first block of each cell, then the number of blocks.
        cell_of_block: int32 [S / BLOCK]; 0 for the spare block.
    """

    items: np.ndarray
    slots: np.ndarray
    first: np.ndarray
    cell_of_block: np.ndarray

    @classmethod
    def of(cls, assignment: np.ndarray, cells: int) -> CellLayout:
        """The layout of items in cells.

        Args:
            assignment: int32 [N], the cell of each item; -1 for a removed one.
            cells: How many cells there are; some may be empty.
        """
        placed = np.flatnonzero(assignment >= 0)
        sizes = np.bincount(assignment[placed], minlength=cells)
        blocks = -(-sizes // BLOCK)
        first = np.concatenate([[0], np.cumsum(blocks)]) + SPARE + 1
        order = placed[np.argsort(assignment[placed], kind="stable")]
        starts = np.cumsum(sizes) - sizes
        within = np.arange(len(order)) - np.repeat(starts, sizes)
        items = np.full(first[-1] * BLOCK, -1, np.int32)
        slots = np.full(len(assignment), SPARE * BLOCK, np.int32)
        slots[order] = first[assignment[order]] * BLOCK + within
        items[slots[order]] = order
        cell_of_block = np.insert(np.repeat(np.arange(cells), blocks), SPARE, 0)
        return cls(items, slots, first.astype(np.int32), cell_of_block.astype(np.int32))
