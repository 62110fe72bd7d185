"""Cut-off moments are exact over any number of ranges."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocessing.cells import LATEST
from preprocessing.splitting import assign_parts, find_cuts
from tfrec.config import SplitConfig


@settings(deadline=None)
@given(
    times=st.lists(st.integers(0, LATEST), min_size=1, max_size=30),
    validation=st.integers(0, 5),
    test=st.integers(0, 4),
    pieces=st.integers(1, 4),
)
def test_cuts_are_order_statistics(
    times: list[int], validation: int, test: int, pieces: int
) -> None:
    """The first moment of a part is that of the first event beyond the share before it."""
    split = SplitConfig(validation=validation / 10, test=test / 10)
    arrays = [np.sort(np.asarray(times[place::pieces], np.int64)) for place in range(pieces)]
    ordered = [*sorted(times), LATEST + 1]
    shares = (Fraction(10 - validation - test, 10), Fraction(10 - test, 10))
    expected = tuple(ordered[math.ceil(len(times) * share)] for share in shares)
    assert find_cuts(arrays, split) == expected


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_each_user_is_cut_by_his_own_count(counts: list[int]) -> None:
    """80/10/10 in time order; whoever has any event has one to be trained on."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    total = int(offsets[-1])
    split = SplitConfig(method="per_user_time")
    times = np.arange(total, dtype=np.int64)
    parts = assign_parts(split, None, offsets, times, np.full(total, -1, np.int8))
    for count, start in zip(counts, offsets, strict=False):
        own = parts[start : start + count].tolist()
        assert own == sorted(own)
        assert own.count(0) == math.ceil(Fraction(8, 10) * count)
        assert own.count(2) == count - math.ceil(Fraction(9, 10) * count)
