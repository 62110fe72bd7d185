"""Conditions on items hold exactly, and an index never starves under them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.index.vectors import brute_force, clustered, recall
from tfrec.errors import ExportError
from tfrec.index import IvfIndex
from tfrec.index.item_filter import ItemFilter

SIZE = 40
RANDOM = np.random.default_rng(0)
YEARS = np.where(RANDOM.random(SIZE) < 0.2, np.nan, RANDOM.integers(1990, 2000, SIZE))
TAGS = RANDOM.integers(-1, 5, (SIZE, 3))
AVAILABLE = RANDOM.random(SIZE) < 0.8
ITEMS = ItemFilter(SIZE, {"year": YEARS}, {"tags": TAGS}, AVAILABLE)

_YEAR = st.one_of(st.just(float("nan")), st.integers(1988, 2002).map(float))


@settings(max_examples=60, deadline=None)
@given(_YEAR, _YEAR, st.lists(st.integers(-1, 9), min_size=1, max_size=4))
def test_conditions_hold_as_python_has_them(low: float, high: float, tags: list[int]) -> None:
    """NaN is no bound, a missing year is in no range, labels that no item has match nothing."""
    got = ITEMS.allowed(
        {"year": (tf.constant([low, np.nan]), tf.constant([high, np.nan]))},
        {"tags": tf.constant([tags, [-1] * len(tags)])},
    ).numpy()
    wanted = {tag for tag in tags if tag >= 0}
    for item in range(SIZE):
        fits = AVAILABLE[item]
        fits &= np.isnan(low) or YEARS[item] >= low
        fits &= np.isnan(high) or YEARS[item] <= high
        fits &= not wanted or bool(wanted & set(TAGS[item].tolist()))
        assert got[0, item] == fits
        assert got[1, item] == AVAILABLE[item]


def test_an_index_answers_within_the_conditions_of_each_row() -> None:
    """Two rows, two conditions: 1% and half of the items."""
    vectors, queries = clustered(2000), clustered(2, seed=4)
    label = np.random.default_rng(1).integers(0, 100, 2000)
    items = ItemFilter(2000, {"price": label.astype(np.float32)}, {"shop": label})
    allowed = items.allowed(
        {"price": (None, tf.constant([np.nan, 49.0]))}, {"shop": tf.constant([[7], [-1]])}
    )
    found = IvfIndex(vectors, probes=20).search(queries, tf.constant(5), None, allowed)
    banned = [set(np.flatnonzero(label != 7)), set(np.flatnonzero(label > 49))]
    for row, out in zip(found.items.numpy().tolist(), banned, strict=True):
        assert -1 not in row and not set(row) & out
    assert recall(found, brute_force(vectors, queries, 5, banned)) >= 0.9


def test_a_column_of_other_items_is_refused() -> None:
    """One line that names the column."""
    with pytest.raises(ExportError, match=r"filter price: .*2 values for 3 items"):
        ItemFilter(3, {"price": np.zeros(2)}, {})
