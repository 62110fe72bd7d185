"""AUC, log loss, calibration and errors equal scikit-learn's, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import calibration, metrics

from tfrec.errors import DataError
from tfrec.evaluation import score_metrics as sm

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 500)
SCORES = RNG.integers(0, 20, 500) / 19  # many ties, 0 and 1 among them
GROUP = RNG.integers(0, 12, 500)


def test_auc_equals_scikit_learn_with_ties():
    """A tie counts half."""
    assert sm.auc(SCORES, LABELS) == pytest.approx(metrics.roc_auc_score(LABELS, SCORES))


def test_grouped_auc_weights_groups_by_their_events():
    """Group 12 has one kind only and is left out."""
    group = np.append(GROUP, [12, 12])
    labels, scores = np.append(LABELS, [1, 1]), np.append(SCORES, [0.1, 0.2])
    rows = [np.flatnonzero(g == GROUP) for g in range(12)]
    values = [metrics.roc_auc_score(LABELS[row], SCORES[row]) for row in rows]
    expected = np.average(values, weights=np.bincount(GROUP))
    assert sm.grouped_auc(scores, labels, group, 13) == pytest.approx(expected)


def test_auc_of_one_kind_is_not_a_number():
    """No pair to compare."""
    assert np.isnan(sm.auc(np.array([0.1, 0.2]), np.array([1, 1])))


def test_log_loss_equals_scikit_learn():
    """Away from 0 and 1, where each library clips in its own way."""
    probabilities = np.clip(SCORES, 0.01, 0.99)
    expected = metrics.log_loss(LABELS, probabilities)
    assert sm.log_loss(probabilities, LABELS) == pytest.approx(expected)


def test_reliability_equals_scikit_learn():
    """The same bins, the same means."""
    observed, predicted = calibration.calibration_curve(LABELS, SCORES * 0.999, n_bins=10)
    found = sm.reliability(SCORES * 0.999, LABELS)
    np.testing.assert_allclose(found.observed, observed)
    np.testing.assert_allclose(found.predicted, predicted)


def test_calibration_error_of_a_calibrated_forecast_is_zero():
    """Half of those told 0.5 come true."""
    assert sm.expected_calibration_error(np.full(10, 0.5), np.tile([0, 1], 5)) == 0
    assert sm.expected_calibration_error(np.ones(4), np.zeros(4)) == 1


def test_rating_errors_equal_scikit_learn():
    """RMSE and MAE."""
    ratings = LABELS * 4 + 1.0
    predicted = SCORES * 5
    expected = metrics.root_mean_squared_error(ratings, predicted)
    assert sm.root_mean_squared_error(predicted, ratings) == pytest.approx(expected)
    expected = metrics.mean_absolute_error(ratings, predicted)
    assert sm.mean_absolute_error(predicted, ratings) == pytest.approx(expected)


def test_values_that_are_no_probabilities_are_refused():
    """Raw scores would give a log loss that means nothing."""
    with pytest.raises(DataError, match=r"between 0 and 1. Received: 1.5 at 1"):
        sm.log_loss(np.array([0.5, 1.5]), np.array([0, 1]))
    with pytest.raises(DataError, match="must be finite"):
        sm.auc(np.array([0.5, np.nan]), np.array([0, 1]))
