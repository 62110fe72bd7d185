"""The exact index is brute force, ties and all."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.index.vectors import brute_force
from tfrec.errors import ExportError
from tfrec.index import ExactIndex


@pytest.mark.parametrize("block", [7, 1000])
def test_exact_is_brute_force_with_ties(block: int) -> None:
    """Of equal scores the item that comes first wins, in one block and across blocks."""
    random = np.random.default_rng(0)
    # Small integers: products are exact, and many are equal.
    vectors = random.integers(-2, 3, (60, 3)).astype(np.float32)
    queries = random.integers(-2, 3, (9, 3)).astype(np.float32)
    excluded = random.integers(-1, 60, (9, 4)).astype(np.int32)
    index = ExactIndex(vectors, block=block)
    found = index.search(tf.constant(queries), tf.constant(12), tf.constant(excluded))
    banned = [set(row) for row in excluded.tolist()]
    assert found.items.numpy().tolist() == brute_force(vectors, queries, 12, banned)


def test_items_that_run_out_are_none() -> None:
    """Whoever asks for more than qualify gets -1, never an item twice or an excluded one."""
    index = ExactIndex(np.eye(3, dtype=np.float32))
    found = index.search(tf.ones([1, 3]), tf.constant(3), tf.constant([[1, -1]]))
    assert found.items.numpy().tolist() == [[0, 2, -1]]
    assert found.scores.numpy()[0, 2] == np.finfo(np.float32).min


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        (np.zeros((0, 4)), "a matrix"),
        (np.zeros(4), "a matrix"),
        (np.array([[1.0, np.nan]]), "finite numbers only"),
    ],
)
def test_vectors_that_cannot_be_compared_are_refused(vectors: np.ndarray, says: str) -> None:
    """One line that tells which item is wrong."""
    with pytest.raises(ExportError, match=says) as error:
        ExactIndex(vectors)
    assert "\n" not in str(error.value)
