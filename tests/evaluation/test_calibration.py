"""Scores are judged as probabilities on users that taught nothing of it; latency by the clock."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from tfrec.evaluation.calibration import calibrate, fit_sigmoid, read_calibration
from tfrec.evaluation.latency import LATENCY_REQUESTS, measure_latency
from tfrec.evaluation.score_metrics import reliability


def drawn(users=2000, k=20, seed=0):
    """Scores with the hits that `sigmoid(2 · score - 3)` makes likely."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1, (users, k)).astype(np.float32)
    return scores, rng.random((users, k)) < 1 / (1 + np.exp(3 - 2 * scores))


def test_the_sigmoid_is_that_of_scikit_learn():
    """An independent solver of the same regression, unpenalised."""
    scores, hits = (values.ravel() for values in drawn(300))
    theirs = LogisticRegression(C=1e9, tol=1e-10).fit(scores[:, None], hits)
    slope, intercept = fit_sigmoid(scores, hits)
    assert slope == pytest.approx(theirs.coef_[0, 0], abs=1e-4)
    assert intercept == pytest.approx(theirs.intercept_[0], abs=1e-4)


@pytest.mark.parametrize("hits", [np.zeros(40, bool), np.ones(40, bool), np.arange(40) > 30])
def test_the_sigmoid_of_extreme_hits_is_finite(hits):
    """Nobody found anything, everybody did, or the scores tell perfectly."""
    assert np.isfinite(fit_sigmoid(np.arange(40.0), hits)).all()


def test_a_score_that_tells_the_odds_is_calibrated_and_another_is_not():
    """The step of a score that doesn't follow a sigmoid is seen."""
    scores, hits = drawn()
    found = read_calibration(scores, hits)
    assert found.error < 0.01
    np.testing.assert_allclose(found.predicted, found.observed, atol=0.03)
    assert sum(found.count) == scores.size and len(found.count) == 10
    step = np.abs(scores) > 1  # likely at both ends
    assert read_calibration(scores, step).error > 0.2


def test_a_user_is_judged_by_what_others_taught():
    """Other hits of a user, and no other change, leave the user's own probabilities."""
    scores, hits = drawn(50)
    before = calibrate(scores, hits)
    hits[4] = ~hits[4]
    after = calibrate(scores, hits)
    np.testing.assert_array_equal(before[::2], after[::2])
    assert (before[1::2] != after[1::2]).any()


def test_places_after_the_end_of_a_list_count_nothing():
    """Short lists have -inf there."""
    scores, hits = drawn(50)
    scores[:, 10:] = -np.inf
    assert sum(read_calibration(scores, hits).count) == 500
    assert read_calibration(np.full((3, 2), -np.inf), np.zeros((3, 2), bool)) is None


def test_filled_bins_equal_scikit_learn():
    """Bins of equally many events are its `quantile` strategy."""
    scores, hits = drawn(200)
    p = (1 / (1 + np.exp(3 - 2 * scores.astype(np.float64)))).ravel()
    observed, predicted = calibration_curve(hits.ravel(), p, n_bins=10, strategy="quantile")
    found = reliability(p, hits.ravel(), filled=True)
    np.testing.assert_allclose(found.observed, observed)
    np.testing.assert_allclose(found.predicted, predicted)


def test_latency_is_the_median_and_the_slow_end_without_the_warm_up():
    """Three slow first questions, then 1 ms each, every tenth 11 ms."""
    now, asked = [0.0], []

    def ask(user):
        asked.append(user)
        place = len(asked) - 4
        now[0] += 1.0 if place < 0 else 0.011 if place % 10 == 0 else 0.001

    found = measure_latency(ask, 7, clock=lambda: now[0])
    assert len(asked) == LATENCY_REQUESTS + 3 and set(asked) == set(range(7))
    assert found["latency_ms"] == pytest.approx(1) and found["latency_p95_ms"] == pytest.approx(11)
