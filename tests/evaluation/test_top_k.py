"""The blocked top-k gives what sorting everything gives, in every shape that could break it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from tfrec.errors import DataError
from tfrec.evaluation.compressed_rows import CompressedRows
from tfrec.evaluation.top_k import _blocks, top_k, top_k_blocks, top_k_of_scores


def sorted_lists(scores, k, seen=None, candidates=None):
    """By definition: sort each user's scores, then item index; drop what may not be listed."""
    lists = np.full((len(scores), k), -1)
    for user, row in enumerate(scores):
        allowed = np.arange(len(row)) if candidates is None else np.unique(candidates)
        if seen is not None:
            allowed = np.setdiff1d(allowed, seen[user])
        order = allowed[np.lexsort((allowed, -row[allowed]))][:k]
        lists[user, : len(order)] = order
    return lists


def integer_vectors(rng, rows, dim, high):
    """Whole numbers: their products are exact in any order of summation, and they tie a lot."""
    return rng.integers(-high, high + 1, (rows, dim)).astype(np.float32)


def random_seen(rng, users, items, each):
    return CompressedRows.from_pairs(
        np.repeat(np.arange(users), each), rng.integers(0, items, users * each), rows=users
    )


@pytest.mark.parametrize("high", [1, 3, 1000])
@pytest.mark.parametrize("items", [1, 15, 16, 17, 4096, 9001])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_top_k_equals_a_full_sort(high, items, k):
    """Exact with few ties and with many, at tile and block borders, beyond the catalogue."""
    rng = np.random.default_rng(items + k)
    queries = integer_vectors(rng, 7, 5, high)
    vectors = integer_vectors(rng, items, 5, high)
    seen = random_seen(rng, 7, items, 20)
    found = top_k(queries, vectors, k, seen=seen)
    scores = queries @ vectors.T
    expected = sorted_lists(scores, k, seen)
    np.testing.assert_array_equal(found.items, expected)
    picked = np.take_along_axis(scores, np.maximum(expected, 0), axis=1)
    np.testing.assert_array_equal(found.scores, np.where(expected >= 0, picked, -np.inf))


@pytest.mark.parametrize(
    "row",
    [
        np.r_[np.zeros(8192), np.arange(16), np.zeros(5000)],  # the best all in one block
        np.arange(14_000),  # each item beats all before it: no block stays closed
        -np.arange(14_000),
        np.zeros(14_000),  # nothing but ties
        np.tile(np.arange(16), 800),  # every block's maximum ties
        np.tile([-0.0, 0.0], 7000),  # equal, though their bits differ
    ],
    ids=["one block", "rising", "falling", "constant", "tied blocks", "signed zeros"],
)
def test_adversarial_scores_are_ranked_exactly(row):
    """The shortcut over block maxima has no case in which it is wrong."""
    scores = np.stack([row, row[::-1]]).astype(np.float32)
    found = top_k_of_scores(lambda users: scores[users], 2, len(row), k=20)
    np.testing.assert_array_equal(found.items, sorted_lists(scores, 20))


def test_seen_items_never_appear_even_when_they_are_the_best():
    """The mask acts before the maxima: else a seen item would raise the bar for its neighbours."""
    scores = np.arange(10_000, dtype=np.float32)[None]
    best = np.arange(9_000, 10_000)
    seen = CompressedRows.from_pairs(np.zeros(1000, int), best, rows=1)
    found = top_k_of_scores(lambda users: scores[users], 1, 10_000, k=3, seen=seen)
    assert found.items.tolist() == [[8999, 8998, 8997]]


def test_candidates_alone_are_listed_and_keep_their_catalogue_index():
    """A subset in any order, with repeats, some of it seen."""
    rng = np.random.default_rng(0)
    queries, vectors = integer_vectors(rng, 9, 4, 2), integer_vectors(rng, 6000, 4, 2)
    candidates = rng.integers(0, 6000, 300)
    seen = random_seen(rng, 9, 6000, 500)
    found = top_k(queries, vectors, 400, seen=seen, candidates=candidates)
    expected = sorted_lists(queries @ vectors.T, 400, seen, candidates)
    np.testing.assert_array_equal(found.items, expected)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_shape_equals_a_full_sort(data):
    """Property: users, items, k, ties, seen and candidates drawn together."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    users, items = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 5000))
    k, high = data.draw(st.integers(1, 50)), data.draw(st.integers(1, 5))
    queries, vectors = integer_vectors(rng, users, 3, high), integer_vectors(rng, items, 3, high)
    seen = random_seen(rng, users, items, data.draw(st.integers(0, 30)))
    chosen = rng.integers(0, items, items) if data.draw(st.booleans()) else None
    found = top_k(queries, vectors, k, seen=seen, candidates=chosen)
    expected = sorted_lists(queries @ vectors.T, k, seen, chosen)
    np.testing.assert_array_equal(found.items, expected)


def test_blocks_of_users_give_the_same_lists():
    """More users than a tile holds."""
    rng = np.random.default_rng(1)
    queries, vectors = integer_vectors(rng, 2500, 3, 4), integer_vectors(rng, 500, 3, 4)
    parts = list(top_k_blocks(queries, vectors, 5))
    assert [(at.start, at.stop) for at, _ in parts][-1][1] == 2500 and len(parts) > 1
    together = np.concatenate([part.items for _, part in parts])
    np.testing.assert_array_equal(together, sorted_lists(queries @ vectors.T, 5))


def test_threads_give_the_same_lists_and_leave_blas_as_it_was():
    """Each processor has users of its own; between blocks the caller's products use all again."""
    rng = np.random.default_rng(3)
    queries, vectors = integer_vectors(rng, 390, 4, 3), integer_vectors(rng, 5000, 4, 3)
    # The best of everyone in one block, which most of them have seen.
    vectors[4096:4112] = 30
    seen = random_seen(rng, 390, 5000, 50)
    before = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    arguments = {"threads": 3, "users_at_once": 1024, "k": 25, "items": 5000}
    found = []
    for at, lists in _blocks(
        lambda at: (
            lambda start, stop, tile: np.matmul(vectors[start:stop], queries[at].T, out=tile)
        ),
        users=390,
        seen=seen,
        chosen=None,
        **arguments,
    ):
        assert before == [
            pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"
        ]
        found.append((at.start, lists.items))
    assert [start for start, _ in found] == [0, 130, 260]
    expected = sorted_lists(queries @ vectors.T, 25, seen)
    np.testing.assert_array_equal(np.concatenate([lists for _, lists in found]), expected)


def test_memory_does_not_grow_with_users_times_items():
    """2,000 users × 60k items would be 480 MB of scores; a tile is 16 MB."""
    rng = np.random.default_rng(2)
    queries = rng.standard_normal((2000, 8), dtype=np.float32)
    vectors = rng.standard_normal((60_000, 8), dtype=np.float32)
    tracemalloc.start()
    top_k(queries, vectors, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120e6


def test_no_users_and_no_candidates_give_empty_lists():
    """Empty parts of a split are no special case for the caller."""
    vectors = np.ones((3, 2), np.float32)
    assert top_k(np.zeros((0, 2), np.float32), vectors, 4).items.shape == (0, 4)
    nothing = top_k(np.ones((1, 2), np.float32), vectors, 2, candidates=np.zeros(0, int))
    assert nothing.items.tolist() == [[-1, -1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queries": np.full((1, 2), np.nan, np.float32)}, "vector of `queries` must be finite"),
        ({"items": np.full((3, 2), np.inf, np.float32)}, "vector of `items` must be finite"),
        ({"items": np.ones((3, 5), np.float32)}, "must have one dim"),
        ({"candidates": np.array([3])}, "item index from 0 to 2. Received: 3"),
        ({"candidates": np.array([-1, 2])}, "Received: -1"),
        ({"k": 0}, "`k` must be at least 1"),
        ({"seen": CompressedRows.from_pairs([], [], rows=5)}, "a row for each of 1 users"),
    ],
)
def test_wrong_arguments_are_one_clear_line(change, message):
    """A NaN would otherwise end as a silently wrong order."""
    arguments = {"queries": np.ones((1, 2), np.float32), "items": np.ones((3, 2), np.float32)}
    with pytest.raises(DataError, match=message):
        top_k(**({"k": 1} | arguments | change))


def test_a_nan_score_is_refused():
    """Also from models that give scores."""
    with pytest.raises(DataError, match="a score must be a number"):
        top_k_of_scores(lambda users: np.full((1, 3), np.nan, np.float32), 1, 3, k=1)
