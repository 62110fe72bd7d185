"""Closed forms against hand-worked and float64 results; planted structure that they find."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tests.teachers.planted import block, timelines, two_tastes
from tfrec.errors import DataError
from tfrec.teachers import fit_cold, fit_warm, place
from tfrec.teachers.closed_form import cut_to_rank, ease_weights, kernel_ridge
from tfrec.teachers.content import ContentBlock, fit_standardizers, standardize
from tfrec.teachers.histories import decayed_gram, history_matrix, ndcg
from tfrec.teachers.warm import trials_for


def test_the_latest_event_counts_most() -> None:
    matrix = history_matrix(timelines([[0, 1, 2]]), 4, 1.0).toarray()
    np.testing.assert_allclose(matrix, [[1 / 3, 1 / 2, 1, 0]], rtol=1e-6)


def test_pairs_count_by_their_distance() -> None:
    """(1 + d/5)^-1: neighbours 5/6, two apart 5/7."""
    gram = decayed_gram(timelines([[0, 1, 2], [0, 1]]), 3, 1.0)
    expected = [[2, 10 / 6, 5 / 7], [10 / 6, 2, 5 / 6], [5 / 7, 5 / 6, 1]]
    np.testing.assert_allclose(gram, expected, rtol=1e-6)


def test_without_decay_it_is_the_gram_matrix_also_when_items_repeat() -> None:
    histories = [[0, 1, 1], [2]]
    x = np.array([[1, 2, 0], [0, 0, 1]], float)
    np.testing.assert_allclose(decayed_gram(timelines(histories), 3, 0.0), x.T @ x)
    repeated = decayed_gram(timelines([[1, 1]]), 2, 1.0)
    np.testing.assert_allclose(repeated, [[0, 0], [0, 2 + 2 * 5 / 6]], rtol=1e-6)


def test_a_long_history_weighs_less_but_the_mean_event_weighs_one() -> None:
    gram = decayed_gram(timelines([[0, 1, 2, 3], [4]]), 5, 0.0, user_power=0.5)
    # Weights 4^-0.5 = 0.5 and 1, mean over the five events 0.6.
    np.testing.assert_allclose(np.diag(gram), [0.5 / 0.6] * 4 + [1 / 0.6], rtol=1e-5)


def test_ease_equals_its_formula_in_float64() -> None:
    generator = np.random.default_rng(0)
    x = (generator.random((50, 12)) < 0.3).astype(float)
    inverse = np.linalg.inv(x.T @ x + 3 * np.eye(12))
    expected = np.eye(12) - inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    found = ease_weights((x.T @ x).astype(np.float32), 3.0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (np.diag(found) == 0).all()


def test_content_makes_like_items_go_together() -> None:
    gram = np.eye(3, dtype=np.float32) * 5
    rows = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    weights = ease_weights(gram, 1.0, [(4.0, rows)])
    assert abs(weights[0, 1]) > 100 * abs(weights[0, 2])


def test_a_matrix_that_cannot_be_inverted_is_one_line() -> None:
    with pytest.raises(DataError, match="positive definite"):
        ease_weights(-np.eye(3, dtype=np.float32), 0.5)
    with pytest.raises(DataError, match="positive definite"):
        kernel_ridge(-np.eye(3, dtype=np.float32), np.ones((3, 1), np.float32), 0.5)


@pytest.mark.parametrize("rows", [30, 2_600])
def test_the_cut_keeps_the_users_scores_at_full_rank(rows: int) -> None:
    """Both ways of decomposition give tables whose product is the full score."""
    generator = np.random.default_rng(1)
    histories = sp.csr_matrix((generator.random((rows, 20)) < 0.3).astype(np.float32))
    weights = generator.standard_normal((20, 20)).astype(np.float32)
    inner, outer = cut_to_rank(weights, histories, 19, seed=0)
    scores = np.asarray(histories @ weights)
    error = np.linalg.norm(np.asarray(histories @ inner) @ outer.T - scores)
    _, values, _ = np.linalg.svd(scores)
    assert error < 1.5 * values[-1] + 1e-2


def test_kernel_ridge_solves_its_equation() -> None:
    kernel = np.array([[2, 1], [1, 2]], np.float32)
    found = kernel_ridge(kernel, np.array([[1.0], [0.0]], np.float32), 1.0)
    # (K + I) = [[3, 1], [1, 3]], inverse [[3, -1], [-1, 3]] / 8.
    np.testing.assert_allclose(found, [[3 / 8], [-1 / 8]], rtol=1e-6)


def test_ndcg_by_hand() -> None:
    scores = np.array([[9, 5, 4, 3], [1, 2, 3, 4]], np.float32)
    seen = sp.csr_matrix(np.array([[1, 0, 0, 0], [0, 0, 0, 0]]))
    relevant = sp.csr_matrix(np.array([[0, 0, 1, 0], [0, 0, 0, 0]]))
    # Item 0 is seen, so the hit is second: 1 / log2(3). The other user has nothing to find.
    assert ndcg(scores, seen, relevant, 2) == pytest.approx(0.63093, abs=1e-5)


def test_absent_content_is_zero_whatever_it_holds() -> None:
    present = np.array([True, True, False])
    blocks = {"x": ContentBlock(np.array([[1, 0], [3, 1], [9, 9]], np.float32), present)}
    fitted = fit_standardizers(blocks, np.ones(3, bool))
    rows = standardize(blocks["x"], fitted["x"])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1, 1, 0], rtol=1e-6)
    other = ContentBlock(np.array([[1, 0], [3, 1], [np.pi, -7]], np.float32), present)
    assert np.array_equal(
        fit_standardizers({"x": other}, np.ones(3, bool))["x"].mean, fitted["x"].mean
    )


def test_the_warm_view_finds_two_tastes() -> None:
    train, later, half = two_tastes(0)
    view = fit_warm(train, later, {}, 60, rank=8, seed=0, max_items=100, max_trials=3)
    scores = view.in_table @ view.out_table.T
    same = half[:, None] == half[None]
    np.fill_diagonal(same, False)
    other = half[:, None] != half[None]
    assert scores[same].mean() > 10 * abs(scores[other].mean())


def test_tables_are_fitted_on_the_train_part_alone() -> None:
    """With nothing to choose, another validation part changes nothing."""
    train, later, _ = two_tastes(0)
    options = {"rank": 8, "seed": 0, "max_items": 100, "max_trials": 1}
    one = fit_warm(train, later, {}, 60, **options)
    two = fit_warm(train, timelines([[59]] * 120), {}, 60, **options)
    assert np.array_equal(one.in_table, two.in_table)
    assert np.array_equal(one.out_table, two.out_table)


def test_items_beyond_the_limit_are_left_to_content() -> None:
    train, later, _ = two_tastes(0)
    view = fit_warm(train, later, {}, 60, rank=8, seed=0, max_items=20, max_trials=1)
    assert view.covered.sum() == 20
    counts = np.bincount(train.item_index, minlength=60)
    assert counts[view.covered].min() >= counts[~view.covered].max()
    assert not view.out_table[~view.covered].any()
    assert trials_for(5_000, 10) == 10 > trials_for(12_000, 10) >= 1


@pytest.mark.parametrize("noise", [False, True])
def test_the_cold_view_places_unseen_items_by_content_and_only_by_it(noise: bool) -> None:
    """Items 50 … 59 have no event; content tells their half, noise can't."""
    half, right = np.arange(60) % 2, 0
    for seed in range(4):
        generator = np.random.default_rng(seed)
        train, later, _ = two_tastes(seed, items=50)
        told = generator.standard_normal((60, 4)) if noise else np.eye(2)[half]
        content = {"x": block(told + 0.05 * generator.standard_normal(told.shape))}
        view = fit_cold(train, later, content, 60, rank=8, seed=0, max_items=100, max_trials=1)
        assert view is not None
        vectors = view.item_vectors(view.content_features(content))
        users = np.asarray(history_matrix(train, 60, view.decay) @ view.in_table)
        scores = users @ vectors[50:].T
        even = np.arange(len(users)) % 2 == 0
        right += int(((scores[even].mean(0) > scores[~even].mean(0)) == (half[50:] == 0)).sum())
    # Of 40 items: by chance 20 with a deviation of 3.2.
    assert (9 <= right <= 31) if noise else (right >= 39)


def test_without_content_there_is_no_cold_view() -> None:
    train, later, _ = two_tastes(0)
    assert fit_cold(train, later, {}, 60, rank=4, seed=0, max_items=100) is None


def test_vectors_are_carried_over_by_content_and_only_by_it() -> None:
    """Held-out vectors are foretold where content tells them, and left near the mean by noise."""
    train, later, _ = two_tastes(0, items=50)
    generator = np.random.default_rng(0)
    told = np.eye(2)[np.arange(60) % 2] + 0.05 * generator.standard_normal((60, 2))
    content = {"x": block(told)}
    view = fit_cold(train, later, content, 60, rank=8, seed=0, max_items=100, max_trials=1)
    assert view is not None
    half = np.where(view.landmarks % 2 == 0, 1.0, -1.0)
    vectors = np.outer(half, [1.0, -2.0, 0.5]).astype(np.float32)
    known = place(view, vectors, seed=0)
    assert (known.predicted[:, 0] * half[known.held_out] > 0.3).all()
    assert known.coefficients.shape == vectors.shape
    noise = generator.standard_normal(vectors.shape).astype(np.float32)
    unknown = place(view, noise, seed=0)
    assert np.abs(unknown.predicted).mean() < 0.5 * np.abs(known.predicted).mean()
