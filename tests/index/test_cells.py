"""Cells hold alike vectors, none too many; blocks hold every item once."""

from __future__ import annotations

import numpy as np
import pytest

from tests.index.vectors import clustered
from tfrec.errors import DescriptionError
from tfrec.index import default_cells, train_cells
from tfrec.index.layout import BLOCK, CellLayout


@pytest.mark.parametrize("bound", [1.0, 2.0])
def test_no_cell_is_beyond_the_bound(bound: float) -> None:
    """Half of the items are equal, so that no k-means could divide them."""
    vectors = clustered(1000)
    vectors[:500] = vectors[0]
    cells = train_cells(vectors, 20, bound=bound)
    assert cells.sizes.max() <= np.ceil(bound * 1000 / 20)
    assert cells.sizes.min() >= 1 and cells.sizes.sum() == 1000


def test_clusters_are_found() -> None:
    """Vectors around 40 centres: those of one centre share few cells, and are near its mean."""
    vectors = clustered(4000)
    cells = train_cells(vectors, 80)
    distance = np.linalg.norm(vectors - cells.centroids[cells.assignment], axis=1)
    random = train_cells(vectors, 80, seed=1).assignment
    assert distance.mean() < 0.4
    assert np.linalg.norm(vectors - vectors.mean(0), axis=1).mean() > 0.9
    assert len(np.unique(random)) >= 80


def test_one_seed_gives_one_result() -> None:
    """Two builds of one catalogue are the same."""
    vectors = clustered(500)
    first, second = train_cells(vectors, seed=3), train_cells(vectors, seed=3)
    np.testing.assert_array_equal(first.assignment, second.assignment)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cells": 0}, "from 1 to the number of items"),
        ({"cells": 51}, "51 cells for 50 items"),
        ({"bound": 0.5}, "at least 1 average"),
    ],
)
def test_wrong_parameters_are_one_line(options: dict[str, float], says: str) -> None:
    """What was wrong and what to take instead."""
    with pytest.raises(DescriptionError, match=says):
        train_cells(clustered(50), **options)  # type: ignore[arg-type]


def test_zeros_and_single_items_are_cells_too() -> None:
    """A catalogue of one item, or of items without any vector, is no special case."""
    assert train_cells(np.ones((1, 3), np.float32)).assignment.tolist() == [0]
    assert train_cells(np.zeros((9, 3), np.float32), 3).sizes.sum() == 9
    assert default_cells(1) == 1 and default_cells(1_000_000) == 4000


def test_every_item_has_one_slot_of_its_cell() -> None:
    """Blocks of a cell follow each other; an empty cell has none; the first block is spare."""
    assignment = np.array([0] * 20 + [2] * 3, np.int32)
    layout = CellLayout.of(assignment, 3)
    assert layout.first.tolist() == [1, 3, 3, 4]
    assert layout.cell_of_block.tolist() == [0, 0, 0, 2]
    assert layout.items[layout.slots].tolist() == list(range(23))
    assert (layout.items[:BLOCK] == -1).all() and len(layout.items) == 4 * BLOCK
    assert (layout.cell_of_block[layout.slots // BLOCK] == assignment).all()
