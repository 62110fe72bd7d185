"""Each metric equals fractions worked by hand, and independent libraries on random data."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from tfrec.errors import DataError
from tfrec.evaluation.compressed_rows import CompressedRows
from tfrec.evaluation.metrics import RankedLists, mean

ITEMS = 10


def by_hand():
    """Four users: both kinds of hits; a short list; no hit; nothing relevant.

    User 0 has {1, 4, 6} and gets 4, 2, 6, 3: hits at ranks 1 and 3. User 1 has {0} and gets 5, 0.
    User 2 has {9} and gets 1, 2, 3, 4. User 3 has nothing and gets 1, 2, 3, 4.
    """
    relevant = CompressedRows.from_pairs([0, 0, 0, 1, 2], [1, 4, 6, 0, 9], rows=4)
    lists = np.array([[4, 2, 6, 3], [5, 0, -1, -1], [1, 2, 3, 4], [1, 2, 3, 4]])
    return RankedLists(lists, relevant, items=ITEMS)


NAN = float("nan")
IDEAL = 1 + 1 / log2(3) + 1 / 2


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("precision", [2 / 4, 1 / 4, 0, NAN]),
        ("recall", [2 / 3, 1, 0, NAN]),
        ("f1", [4 / 7, 2 / 5, 0, NAN]),
        # User 0: 2, 3 listed for nothing and 1 missed. User 1: 5. User 2: all four and 9.
        ("accuracy", [7 / 10, 9 / 10, 5 / 10, NAN]),
        ("hit_rate", [1, 1, 0, NAN]),
        ("ndcg", [(1 + 1 / 2) / IDEAL, 1 / log2(3), 0, NAN]),
        ("mrr", [1, 1 / 2, 0, NAN]),
        ("average_precision", [(1 + 2 / 3) / 3, 1 / 2, 0, NAN]),
    ],
)
def test_metrics_equal_fractions_worked_by_hand(metric, expected):
    """Also for lists that end early, without a hit, and with nothing relevant."""
    np.testing.assert_allclose(getattr(by_hand(), metric)(4), expected)


def test_depth_cuts_the_list_and_the_ideal():
    """At k = 2 user 0 has one hit of at most two: the ideal list is two hits, not three."""
    ranked = by_hand()
    assert ranked.recall(2)[0] == pytest.approx(1 / 3)
    assert ranked.ndcg(2)[0] == pytest.approx(1 / (1 + 1 / log2(3)))
    assert ranked.mrr(1)[1] == 0
    assert ranked.average_precision(2)[0] == pytest.approx(1 / 2)
    assert ranked.average_precision(2, over="relevant")[0] == pytest.approx(1 / 3)


def test_a_depth_beyond_the_list_counts_missing_places_as_wrong():
    """Precision at 8 of a list of four is out of eight."""
    assert by_hand().precision(8)[0] == pytest.approx(2 / 8)
    assert by_hand().ndcg(8)[0] == pytest.approx((1 + 1 / 2) / IDEAL)


def test_r_precision_looks_as_deep_as_there_are_relevant_items():
    """User 0: two hits in three places; user 1: none in one."""
    np.testing.assert_allclose(by_hand().r_precision(), [2 / 3, 0, 0, NAN])


def test_users_without_relevant_items_are_left_out_of_the_mean():
    """They would otherwise pull every figure down by how the data was cut."""
    assert mean(by_hand().hit_rate(4)) == pytest.approx(2 / 3)
    assert np.isnan(mean(np.array([NAN])))


def test_graded_ndcg_by_hand():
    """Grades 3 (item 4), 1 (item 6), 2 (item 1, not listed): found at ranks 1 and 3."""
    relevant = CompressedRows.from_pairs([0, 0, 0], [1, 4, 6], rows=1)
    ranked = RankedLists(np.array([[4, 2, 6]]), relevant, items=ITEMS)
    grades = np.array([2, 3, 1])  # of items 1, 4, 6
    exp = (7 + 1 / 2) / (7 + 3 / log2(3) + 1 / 2)
    linear = (3 + 1 / 2) / (3 + 2 / log2(3) + 1 / 2)
    assert ranked.graded_ndcg(3, grades)[0] == pytest.approx(exp)
    assert ranked.graded_ndcg(3, grades, gain="linear")[0] == pytest.approx(linear)


def random_case(seed, users=60, items=50, length=20):
    """Short lists and users without relevant items among them."""
    rng = np.random.default_rng(seed)
    lists = np.argsort(rng.random((users, items)), axis=1)[:, :length]
    ends = rng.integers(0, length + 1, users)
    lists[np.arange(length) >= ends[:, None]] = -1
    pairs = np.argwhere(rng.random((users, items)) < rng.random((users, 1)) * 0.3)
    return lists, CompressedRows.from_pairs(pairs[:, 0], pairs[:, 1], rows=users), items


@pytest.mark.parametrize("k", [1, 5, 20, 30])
def test_metrics_equal_scikit_learn(k):
    """Precision, recall, F1, accuracy and NDCG, user by user."""
    lists, relevant, items = random_case(k)
    ranked = RankedLists(lists, relevant, items=items)
    for user in range(len(lists)):
        truth = np.zeros(items, int)
        truth[relevant[user]] = 1
        listed = lists[user][:k][lists[user][:k] >= 0]
        predicted = np.zeros(items, int)
        predicted[listed] = 1
        if not truth.any():
            assert np.isnan(ranked.ndcg(k)[user]) and np.isnan(ranked.precision(k)[user])
            continue
        # Scores that rank as the list does, with everything after its end further down; scikit-
        # learn knows no end, so what it finds there is not counted.
        scores = np.full(items, -1.0)
        scores[listed] = np.arange(len(listed), 0, -1)
        listed_truth = np.where(predicted, truth, 0)
        best = sklearn_metrics.dcg_score([truth], [truth], k=k)
        assert ranked.ndcg(k)[user] == pytest.approx(
            sklearn_metrics.dcg_score([listed_truth], [scores], k=k) / best
        )
        assert ranked.recall(k)[user] == pytest.approx(
            sklearn_metrics.recall_score(truth, predicted)
        )
        assert ranked.accuracy(k)[user] == pytest.approx(
            sklearn_metrics.accuracy_score(truth, predicted)
        )
        if len(listed) == k:
            assert ranked.precision(k)[user] == pytest.approx(
                sklearn_metrics.precision_score(truth, predicted, zero_division=0)
            )
            assert ranked.f1(k)[user] == pytest.approx(
                sklearn_metrics.f1_score(truth, predicted, zero_division=0)
            )


def test_graded_ndcg_equals_scikit_learn():
    """Linear gains, full lists."""
    rng = np.random.default_rng(5)
    grades = rng.integers(0, 4, (30, 40))
    lists = np.argsort(rng.random((30, 40)), axis=1)
    pairs = np.argwhere(grades > 0)
    relevant = CompressedRows.from_pairs(pairs[:, 0], pairs[:, 1], rows=30)
    ranked = RankedLists(lists, relevant, items=40)
    scores = np.zeros((30, 40))
    np.put_along_axis(scores, lists, np.arange(40, 0, -1)[None].repeat(30, 0), axis=1)
    for k in (1, 10, 40):
        found = ranked.graded_ndcg(k, grades[pairs[:, 0], pairs[:, 1]], gain="linear")
        expected = [
            sklearn_metrics.ndcg_score(grades[user : user + 1], scores[user : user + 1], k=k)
            for user in range(30)
        ]
        np.testing.assert_allclose(found, expected)


def test_average_precision_and_reciprocal_rank_equal_scikit_learn():
    """Whole rankings; with one relevant item scikit-learn's ranking precision is 1 / rank."""
    rng = np.random.default_rng(9)
    lists = np.argsort(rng.random((30, 40)), axis=1)
    scores = np.zeros((30, 40))
    np.put_along_axis(scores, lists, np.arange(40, 0, -1)[None].repeat(30, 0), axis=1)
    for share, name in ((0.2, "map"), (0.0, "mrr")):
        truth = rng.random((30, 40)) < share
        truth[np.arange(30), rng.integers(0, 40, 30)] = True
        pairs = np.argwhere(truth)
        relevant = CompressedRows.from_pairs(pairs[:, 0], pairs[:, 1], rows=30)
        ranked = RankedLists(lists, relevant, items=40)
        for user in range(30):
            one = (truth[user : user + 1].astype(int), scores[user : user + 1])
            expected = sklearn_metrics.label_ranking_average_precision_score(*one)
            assert ranked.all([40])[f"{name}@40"][user] == pytest.approx(expected)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_laws_hold_on_any_lists(seed):
    """Bounds, growth with k, and what a perfect list scores."""
    lists, relevant, items = random_case(seed, users=8, items=15, length=10)
    found = RankedLists(lists, relevant, items=items).all([3, 10])
    for values in found.values():
        assert np.all((values >= 0) & (values <= 1 + 1e-12) | np.isnan(values))
    for name in ("recall", "hit_rate", "mrr"):
        grown = found[f"{name}@10"] - found[f"{name}@3"]
        assert np.all((grown >= 0) | np.isnan(grown))
    perfect = np.full((8, items), -1)
    for user in range(8):
        perfect[user, : len(relevant[user])] = relevant[user]
    ideal = RankedLists(perfect, relevant, items=items).all([3])
    for name in ("ndcg", "map", "mrr", "hit_rate"):
        np.testing.assert_allclose(ideal[f"{name}@3"][relevant.counts > 0], 1)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ([[1, 1]], "an item is listed once"),
        ([[-1, 1]], "-1 only follows a list's end"),
        ([[1, ITEMS]], f"Received: {ITEMS}"),
        ([[-2, 1]], "Received: -2"),
        ([[1, 2], [1, 2]], "2 lists, 1 users"),
    ],
)
def test_lists_that_would_be_judged_wrongly_are_refused(lists, message):
    """A repeated hit would count twice."""
    relevant = CompressedRows.from_pairs([0], [1], rows=1)
    with pytest.raises(DataError, match=message):
        RankedLists(np.array(lists), relevant, items=ITEMS)
