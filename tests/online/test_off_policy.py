"""Off-policy estimates equal cases worked by hand and obp, and say when not to trust them."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec.errors import DataError, DescriptionError
from tfrec.online.moments import Moments
from tfrec.online.off_policy import (
    Terms,
    WeightSummary,
    bootstrap_interval,
    clipped_inverse_propensity,
    direct_method,
    doubly_robust,
    empirical_bernstein_interval,
    importance_weights,
    inverse_propensity,
    normal_interval,
    self_normalised,
    slate_cascade_doubly_robust,
    slate_independent,
    slate_reward_interaction,
    slate_standard,
    warnings_of,
)
from tfrec.online.resampling import replicate_sums

# What obp 0.5.7 gives for `logged_rounds()`; its DR and cascade DR with two actions, the shown one
# predicted as `shown` and the other as `other`.
OBP = {
    "ips": 0.478482905982906,
    "snips": 0.39686836015523086,
    "clipped": 0.4042236467236468,
    "direct": 0.33148000000000005,
    "doubly robust": 0.36628838476338477,
    "standard": 1.6341370531690529,
    "independent": 1.5437622377622375,
    "reward interaction": 1.6930710365190362,
    "cascade doubly robust": 1.4808931674706032,
}


def logged_rounds():
    """60 requests of 3 slots by integer arithmetic, so that any library can be given the same."""
    i, k = np.arange(60)[:, None], np.arange(3)[None]
    return (
        0.2 + 0.05 * ((3 * i + 5 * k) % 11),
        0.1 + 0.06 * ((7 * i + 2 * k) % 13),
        ((i * 5 + k * 3) % 7 < 3).astype(float),
        0.1 + 0.07 * ((i + 2 * k) % 9),
        0.1 + 0.05 * ((2 * i + k) % 10),
    )


def test_every_estimator_equals_obp():
    """The figures are those of the field's library, to the last digits."""
    logged, target, reward, shown, other = logged_rounds()
    weights = importance_weights(target, logged)
    expected = target * shown + (1 - target) * other
    w, r, q, v = weights[:, 0], reward[:, 0], shown[:, 0], expected[:, 0]
    ours = {
        "ips": inverse_propensity(w, r),
        "snips": self_normalised(w, r),
        "clipped": clipped_inverse_propensity(w, r, 1.5),
        "direct": direct_method(v),
        "doubly robust": doubly_robust(w, r, q, v),
        "standard": slate_standard(weights, reward),
        "independent": slate_independent(weights, reward),
        "reward interaction": slate_reward_interaction(weights, reward),
        "cascade doubly robust": slate_cascade_doubly_robust(weights, reward, shown, expected),
    }
    assert {name: terms.value for name, terms in ours.items()} == pytest.approx(OBP, rel=1e-12)


def test_a_log_of_two_rounds_by_hand():
    """Weights w = (2, 1/2), r = (1, 0), q = (3/4, 1/4), v = (1/2, 1/2)."""
    w = importance_weights(np.array([0.5, 0.25]), np.array([0.25, 0.5]))
    r, q, v = np.array([1.0, 0.0]), np.array([0.75, 0.25]), np.array([0.5, 0.5])
    assert inverse_propensity(w, r).value == 1.0
    assert self_normalised(w, r).value == 0.8
    assert clipped_inverse_propensity(w, r, 1.0).value == 0.5
    assert direct_method(v).value == 0.5
    assert doubly_robust(w, r, q, v).value == 0.5 + (2 * 0.25 - 0.5 * 0.25) / 2


def test_an_empty_log_has_no_value():
    """Not 0: nothing was seen."""
    nothing = np.zeros(0)
    assert np.isnan(inverse_propensity(nothing, nothing).value)
    assert np.isnan(normal_interval(Terms(nothing, nothing)).low)
    assert warnings_of(WeightSummary()) == ["no request has both propensities"]


@pytest.mark.parametrize(("target", "logged"), [(0.5, 0.0), (0.5, 1.5), (-0.1, 0.5), (0.5, np.nan)])
def test_an_impossible_propensity_is_refused(target, logged):
    """What was shown can't have had probability 0; the line says which number."""
    with pytest.raises(DataError, match="propensity"):
        importance_weights(np.array([target]), np.array([logged]))


def test_a_users_rounds_are_not_independent():
    """Ten equal rounds of each of 50 users tell no more than one: the interval stays as wide."""
    once = np.random.default_rng(0).random(50)
    users = np.repeat(np.arange(50), 10)
    ten = Terms(np.repeat(once, 10), np.ones(500))
    wide = normal_interval(Terms(once, np.ones(50)))
    clustered, naive = normal_interval(ten, users), normal_interval(ten)
    assert clustered.high - clustered.low == pytest.approx(wide.high - wide.low)
    assert naive.high - naive.low < 0.4 * (wide.high - wide.low)
    drawn = bootstrap_interval(ten, users)
    assert drawn.high - drawn.low == pytest.approx(wide.high - wide.low, rel=0.15)


def test_bernstein_equals_its_formula_and_needs_a_span():
    """sqrt(2 * 1/4 * ln 80 / 100) + 7 * 2 * ln 80 / 297."""
    found = empirical_bernstein_interval(0.5, 0.25, 100, 2.0)
    assert found.high - 0.5 == pytest.approx(0.148021 + 0.206561, abs=1e-5)
    with pytest.raises(DescriptionError, match="span"):
        empirical_bernstein_interval(0.5, 0.25, 100, float("inf"))


def test_parts_merge_to_the_whole():
    """Shards, in any order, give the moments, resamples and weight sums of the whole log."""
    values = np.random.default_rng(1).random((100, 3))
    keys = np.arange(100, dtype=np.uint64)
    merged = Moments.of(values[70:]).merge(Moments.of(values[:70]))
    assert merged.mean == pytest.approx(values.mean(axis=0))
    assert merged.covariance == pytest.approx(np.cov(values.T))
    parts = replicate_sums(values[:30], keys[:30], 20) + replicate_sums(values[30:], keys[30:], 20)
    assert parts == pytest.approx(replicate_sums(values, keys, 20))
    weights = WeightSummary.of(values[:50, 0], 0.9).merge(WeightSummary.of(values[50:, 0], 0.9))
    assert weights.effective == pytest.approx(values[:, 0].sum() ** 2 / (values[:, 0] ** 2).sum())
    assert weights.largest == values[:, 0].max()


@pytest.mark.parametrize(
    ("weights", "clip", "said"),
    [
        (np.array([50.0] + [0.5] * 99), 1e9, "effective requests"),
        (np.r_[np.full(20, 60.0), np.zeros(1180)], 1e9, "effective requests"),
        (np.r_[np.full(1000, 0.9), 100.0], 1e9, "of all weight"),
        (np.full(10_000, 1.3), 1e9, "mean weight"),
        (np.r_[np.ones(900), np.full(100, 1.9), np.full(100, 0.1)], 1.2, "clipping"),
    ],
)
def test_weights_that_allow_no_answer_are_told(weights, clip, said):
    """Too few effective rounds, one that rules, wrong propensities, a clip that bites."""
    assert any(said in line for line in warnings_of(WeightSummary.of(weights, clip)))


def test_weights_near_one_are_trusted():
    """No warning without a cause."""
    weights = np.random.default_rng(2).gamma(4, 0.25, 5_000)
    assert warnings_of(WeightSummary.of(weights, 10.0)) == []
