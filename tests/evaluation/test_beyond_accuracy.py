"""Coverage, concentration, novelty, diversity: small cases by hand."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from tfrec.evaluation import beyond_accuracy as ba
from tfrec.evaluation.compressed_rows import CompressedRows

# Exposure: item 0 twice, 1 and 3 once, 2 and 4 never.
LISTS = np.array([[0, 1], [3, 0], [-1, -1]])
COUNTS = ba.exposure(LISTS, 5)


def test_exposure_coverage_gini_and_entropy():
    """Sorted 0 0 1 1 2: Gini = (-4·0 - 2·0 + 0·1 + 2·1 + 4·2) / (5·4) = 10/20."""
    assert COUNTS.tolist() == [2, 1, 0, 1, 0]
    assert ba.coverage(COUNTS) == pytest.approx(3 / 5)
    assert ba.gini(COUNTS) == pytest.approx(10 / 20)
    assert ba.entropy(COUNTS) == pytest.approx(1 / 2 + 2 * (1 / 4) * 2)
    assert ba.gini(np.zeros(4, int)) == 0 and ba.entropy(np.zeros(4, int)) == 0


def test_novelty_is_the_mean_self_information_in_bits():
    """Of 8 users 4, 2, 0 met the items: 1, 2 and (counted as one) 3 bits."""
    train_count = np.array([4, 2, 9, 0, 1])
    found = ba.novelty(LISTS, train_count, users=8)
    np.testing.assert_allclose(found, [(1 + 2) / 2, (3 + 1) / 2, np.nan])


def test_popularity_rank_averages_ties_and_leaves_out_cold_items():
    """Counts 5, 2, 2: ranks 1, 2.5, 2.5; item 3 is cold."""
    train_count = np.array([2, 5, 2, 0, 0])
    assert ba.popularity_rank(LISTS, train_count) == pytest.approx((2.5 + 1 + 2.5) / 3)
    assert np.isnan(ba.popularity_rank(LISTS, np.zeros(5, int)))


def test_popularity_lift_compares_lists_with_histories():
    """Lists have mean popularity 6 and 4, histories 2 and 8: (5 - 5) / 5; then only user 0."""
    train_count = np.array([4, 8, 2, 4, 8])
    histories = CompressedRows.from_pairs([0, 1], [2, 4], rows=3)
    assert ba.popularity_lift(LISTS, train_count, histories) == pytest.approx(0)
    one = CompressedRows.from_pairs([0], [2], rows=3)
    assert ba.popularity_lift(LISTS, train_count, one) == pytest.approx(6 / 2 - 1)


def test_intra_list_diversity_is_the_mean_cosine_distance_of_pairs():
    """Two alike and one at a right angle: pairs 0, 1, 1. An item without content is out."""
    vectors = np.array([[1.0, 0], [2, 0], [0, 3], [0, 0]])
    lists = np.array([[0, 1, 2], [0, 1, 3], [0, 3, -1]])
    found = ba.intra_list_diversity(lists, vectors)
    np.testing.assert_allclose(found, [2 / 3, 0, np.nan], atol=1e-12)


def test_serendipity_counts_hits_that_popularity_would_not_give():
    """User 0 hits items 0 and 1; the popularity list of two is 0, 4."""
    relevant = CompressedRows.from_pairs([0, 0, 1], [0, 1, 2], rows=3)
    found = ba.serendipity(LISTS, relevant, np.array([0, 4, 1, 2, 3]))
    np.testing.assert_allclose(found, [1 / 2, 0, 0])


def test_exposure_by_group_discounts_by_rank():
    """Group 0 holds items 0 and 1: places 1, 2 and 2; group 1 holds item 3: place 1."""
    share = ba.exposure_by_group(LISTS, np.array([0, 0, 0, 1, 1]), groups=2)
    second = 1 / log2(3)
    np.testing.assert_allclose(share, np.array([1 + 2 * second, 1]) / (2 + 2 * second))
