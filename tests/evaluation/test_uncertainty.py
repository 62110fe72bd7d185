"""Intervals cover what they promise, and tests of no difference find none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tfrec.evaluation.uncertainty import (
    bootstrap_intervals,
    minimum_detectable_effect,
    paired_difference,
)


def test_bootstrap_equals_scipy():
    """The percentile interval of a mean, up to the noise of 4,000 resamples."""
    values = np.random.default_rng(0).exponential(size=200)
    ours = bootstrap_intervals(values[:, None], rounds=4000)[0]
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.high, abs=0.01)


def test_users_without_a_value_are_left_out_of_mean_and_interval():
    """NaN is no zero."""
    values = np.array([0.5, np.nan, 0.5, 0.5])
    assert bootstrap_intervals(values[:, None])[0].value == 0.5
    assert bootstrap_intervals(values[:, None])[0].low == 0.5
    assert np.isnan(bootstrap_intervals(np.full((3, 1), np.nan))[0].value)
    assert np.isnan(bootstrap_intervals(np.zeros((0, 1)))[0].low)


def test_intervals_cover_the_true_mean_as_often_as_they_say():
    """95 % of intervals from 300 samples hold it, within 3 standard errors of that count."""
    rng = np.random.default_rng(3)
    intervals = [
        bootstrap_intervals(rng.gamma(2.0, size=(120, 1)), rounds=300, seed=n)[0]
        for n in range(300)
    ]
    covered = np.mean([interval.low <= 2.0 <= interval.high for interval in intervals])
    assert abs(covered - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 300)


def test_the_paired_test_equals_scipys_permutation_test():
    """Swapping signs of the differences."""
    rng = np.random.default_rng(5)
    ours, theirs = rng.random(60) + 0.06, rng.random(60)
    found = paired_difference(ours, theirs, rounds=5000)
    expected = stats.permutation_test(
        (ours, theirs),
        lambda a, b: np.mean(a - b),
        permutation_type="samples",
        n_resamples=5000,
        rng=np.random.default_rng(0),
    ).pvalue
    assert found.value == pytest.approx((ours - theirs).mean())
    assert found.p_value == pytest.approx(expected, abs=0.03)


def test_systems_that_do_not_differ_are_told_apart_in_five_of_a_hundred():
    """The p-values of 400 comparisons of noise: as many below 0.05 as promised."""
    rng = np.random.default_rng(6)
    p_values = [
        paired_difference(rng.random(50), rng.random(50), rounds=200, seed=n).p_value
        for n in range(400)
    ]
    assert abs(np.mean(np.array(p_values) < 0.05) - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 400)


def test_the_minimum_detectable_effect_is_found_with_the_power_it_states():
    """Of 400 experiments with just that effect about 80 % have a significant t-test."""
    rng = np.random.default_rng(7)
    noise = rng.normal(size=(400, 100))
    effect = minimum_detectable_effect(
        noise.ravel()[:100] / noise.ravel()[:100].std(ddof=1), np.zeros(100)
    )
    p_values = stats.ttest_1samp(noise + effect, 0, axis=1).pvalue
    assert abs((p_values < 0.05).mean() - 0.8) < 0.07
