"""Where items lie in an inverted file: cell after cell, in blocks that one copy fetches.

    cell 0: items 4 1 7        block 0: 4  1      block 1: 7 -1
    cell 1: items 0 2          block 2: 0  2
    first = [0, 2, 3]          block 3: -1 -1     (spare: what a ragged row is padded with)

A probe reads the blocks `first[c]` to `first[c + 1] - 1`. Single rows would be fetched by as many
small copies, and whole cells padded to the largest would hold twice the memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["BLOCK", "CellLayout"]

# Slots of a block. A cell wastes half a block on average: 3% at 250 items a cell.
BLOCK = 16


@dataclass(frozen=True)
class CellLayout:
    """Slots of items, by cell.

    Attributes:
        items: int32 [S], the item in each slot, -1 for none; the last block holds none.
        slots: int32 [N], the slot of each item; the last one, which holds none, for an item that
            is in no cell.
        first: int32 [C + 1], the first block of each cell, then the spare block.
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
        first = np.concatenate([[0], np.cumsum(blocks)])
        order = placed[np.argsort(assignment[placed], kind="stable")]
        starts = np.cumsum(sizes) - sizes
        within = np.arange(len(order)) - np.repeat(starts, sizes)
        items = np.full((first[-1] + 1) * BLOCK, -1, np.int32)
        slots = np.full(len(assignment), len(items) - 1, np.int32)
        slots[order] = first[assignment[order]] * BLOCK + within
        items[slots[order]] = order
        cell_of_block = np.append(np.repeat(np.arange(cells), blocks), 0)
        return cls(items, slots, first.astype(np.int32), cell_of_block.astype(np.int32))
