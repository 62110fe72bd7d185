"""Sets of items by user behave as Python's sets do."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tfrec.evaluation.compressed_rows import CompressedRows

sets = st.lists(st.sets(st.integers(0, 20)), min_size=1, max_size=6)


def rows_of(given_sets):
    pairs = [(row, item) for row, items in enumerate(given_sets) for item in items]
    return CompressedRows.from_pairs(
        [row for row, _ in pairs], [item for _, item in pairs], rows=len(given_sets)
    )


def as_sets(rows):
    return [set(rows[row].tolist()) for row in range(len(rows))]


@given(sets, st.sets(st.integers(0, 20)))
def test_operations_equal_those_of_sets(given_sets, allowed):
    """`keep`, `without` and `take` against Python's own sets."""
    rows = rows_of(given_sets)
    assert as_sets(rows) == given_sets
    mask = np.isin(np.arange(21), list(allowed))
    assert as_sets(rows.keep(mask)) == [items & allowed for items in given_sets]
    others = list(reversed(given_sets))
    assert as_sets(rows.without(rows_of(others))) == [
        ours - theirs for ours, theirs in zip(given_sets, others, strict=True)
    ]
    last = len(given_sets) - 1
    assert as_sets(rows.take(np.array([last, -1, 0]))) == [given_sets[last], set(), given_sets[0]]


@given(sets)
def test_contains_marks_members_and_never_padding(given_sets):
    """-1 stands for no item, so it is in no set."""
    lists = np.tile(np.arange(-1, 21), (len(given_sets), 1))
    found = rows_of(given_sets).contains(lists)
    for row, items in enumerate(given_sets):
        assert found[row].tolist() == [item in items for item in range(-1, 21)]
