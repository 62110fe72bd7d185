"""Assignment is stable, exposure is logged once, effects equal cases worked by hand."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from tfrec.errors import DescriptionError
from tfrec.online.experiments import (
    METRICS,
    ExperimentConfig,
    ExposureLog,
    GuardrailConfig,
    assign_all,
    check_guardrail,
    check_layers,
    check_sample_ratio,
    measure_effect,
)
from tfrec.online.experiments.metrics import COLUMNS, column
from tfrec.online.moments import Moments

GOLDEN = "tccctccctctc"
USERS = [f"user {number}" for number in range(4_000)]


def sums(**columns) -> np.ndarray:
    """User sums with 1 in `users` and the given columns; `/` is written `__`."""
    size = len(next(iter(columns.values())))
    values = np.zeros((size, len(COLUMNS)))
    values[:, column("users")] = 1
    for name, given in columns.items():
        values[:, column(name.replace("__", "/"))] = given
    return values


def test_assignment_never_changes():
    """These are the variants of these users on every machine and in every release."""
    test = ExperimentConfig(name="ranker", salt="s1")
    drawn = assign_all(test, USERS[:12])
    assert "".join(name[0] for name in drawn) == GOLDEN


def test_shares_are_kept_and_salts_draw_anew():
    """Variants get their shares; another salt, and another layer, are independent draws."""
    first = ExperimentConfig(name="a", variants={"control": 0.8, "treatment": 0.2})
    second = ExperimentConfig(name="b", variants={"control": 0.8, "treatment": 0.2})
    one, two = assign_all(first, USERS), assign_all(second, USERS)
    assert not check_sample_ratio(Counter(one), first.variants).mismatch
    both = np.array([[a == "treatment", b == "treatment"] for a, b in zip(one, two, strict=True)])
    assert abs(np.corrcoef(both.T)[0, 1]) < 0.05
    assert one != two


def test_experiments_of_a_layer_share_no_user():
    """Buckets cut the layer; every user is in exactly one of two halves."""
    low = ExperimentConfig(name="low", buckets=(0, 0.5))
    high = ExperimentConfig(name="high", buckets=(0.5, 1))
    inside = [
        (a is None, b is None)
        for a, b in zip(assign_all(low, USERS), assign_all(high, USERS), strict=True)
    ]
    assert set(inside) == {(True, False), (False, True)}
    check_layers([low, high])


def test_overlapping_layers_and_shared_salts_are_refused():
    """Two experiments on the same users, or with the same draw, would spoil each other."""
    with pytest.raises(DescriptionError, match="overlap"):
        check_layers(
            [
                ExperimentConfig(name="a", buckets=(0, 0.6)),
                ExperimentConfig(name="b", buckets=(0.5, 1)),
            ]
        )
    with pytest.raises(DescriptionError, match="salt"):
        check_layers(
            [
                ExperimentConfig(name="a", salt="x", layer="1"),
                ExperimentConfig(name="b", salt="x", layer="2"),
            ]
        )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"variants": {"control": 0.5, "b": 0.4}}, "sum to 1"),
        ({"variants": {"control": 1.0}}, "at least two"),
        ({"control": "gone"}, "control"),
        ({"buckets": (0.5, 0.5)}, "buckets"),
        ({"primary": "joy"}, "a metric is one of"),
        ({"start": "2026-01-01T00:00:00"}, "time zone"),
    ],
)
def test_a_wrong_experiment_is_refused(wrong, said):
    """The line names the rule."""
    with pytest.raises(ValidationError, match=said):
        ExperimentConfig.model_validate({"name": "x", **wrong})


def test_exposure_is_logged_once_a_user(tmp_path):
    """Another page of the same user adds no line; a user outside of the buckets none at all."""
    test = ExperimentConfig(name="ranker", salt="s1")
    log = ExposureLog(tmp_path / "exposures.jsonl", clock=lambda: 5.0)
    variants = [log.expose(test, user) for user in ("user 0", "user 1", "user 0")]
    lines = [json.loads(line) for line in (tmp_path / "exposures.jsonl").read_text().splitlines()]
    assert variants == ["treatment", "control", "treatment"]
    assert [(line["user_id"], line["variant"], line["timestamp"]) for line in lines] == [
        ("user 0", "treatment", 5.0),
        ("user 1", "control", 5.0),
    ]
    nobody = ExperimentConfig(name="none", buckets=(0.0, 1e-12))
    assert log.expose(nobody, "user 0") is None


def test_sample_ratio_equals_scipy():
    """The chi-square test of the field; 1,000 against 1,200 is no chance, 1,020 may be."""
    expected = stats.chisquare([1000, 1200, 800], [1200, 1200, 600])
    found = check_sample_ratio({"a": 1000, "b": 1200, "c": 800}, {"a": 0.4, "b": 0.4, "c": 0.2})
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)
    shares = {"a": 0.5, "b": 0.5}
    assert check_sample_ratio({"a": 1000, "b": 1200}, shares).mismatch
    assert not check_sample_ratio({"a": 1000, "b": 1020}, shares).mismatch


def test_a_mean_per_user_equals_the_t_test_of_welch():
    """With one page a user the ratio is a mean, and the error that of the two samples."""
    rng = np.random.default_rng(0)
    one, two = rng.exponential(10, 300), rng.exponential(12, 200)
    found = measure_effect(
        METRICS["dwell"],
        "new",
        Moments.of(sums(requests=np.ones(300), dwell=one)),
        Moments.of(sums(requests=np.ones(200), dwell=two)),
    )
    welch = stats.ttest_ind(two, one, equal_var=False)
    assert found is not None
    assert found.difference == pytest.approx(two.mean() - one.mean())
    assert found.difference / found.error == pytest.approx(welch.statistic)
    assert found.variance_saved == 0


def test_cuped_takes_off_what_the_past_foretells():
    """Clicks = clicks before + variant: all variance is foretold, and the effect is exactly 1."""
    past = np.arange(20.0)
    ones = np.ones(20)
    found = measure_effect(
        METRICS["dwell"],
        "new",
        Moments.of(sums(requests=ones, dwell=past, before__requests=ones, before__dwell=past)),
        Moments.of(
            sums(
                requests=ones,
                dwell=past[::-1] + 3,
                before__requests=ones,
                before__dwell=past[::-1] + 2,
            )
        ),
    )
    assert found is not None
    assert found.treatment - found.control == pytest.approx(3)
    assert found.difference == pytest.approx(1)
    assert found.variance_saved == pytest.approx(1)


def test_an_effect_needs_two_users_and_a_denominator():
    """No figure rather than a division by nothing."""
    one, two = sums(requests=[1.0]), sums(requests=[1.0, 1.0])
    assert (
        measure_effect(METRICS["dwell"], "new", Moments.of(one), Moments.of(two)) is None
        and measure_effect(METRICS["satisfaction"], "new", Moments.of(two), Moments.of(two)) is None
    )


@pytest.mark.parametrize(
    ("slower", "status"), [(1.0, "held"), (1.5, "broken"), (1.05, "open"), (0.9, "held")]
)
def test_a_guardrail_is_held_only_when_harm_is_ruled_out(slower, status):
    """Of latency, more is harm: 5 % are put up with, and doubt is no pass."""
    rng = np.random.default_rng(1)
    timed = np.ones(3_000)
    arms = [
        Moments.of(sums(timed=timed, latency=factor * rng.gamma(20, 5, 3_000)))
        for factor in (1.0, slower)
    ]
    effect = measure_effect(METRICS["latency"], "new", *arms)
    assert effect is not None
    assert check_guardrail(GuardrailConfig(metric="latency", worst=0.05), effect, True).status == (
        status
    )


def test_of_satisfaction_the_scale_counts_and_not_percent():
    """Sentiment near 0 has no percent: the guardrail is on the difference."""
    values = np.tile([0.3, -0.3], 2_000)
    arms = [
        Moments.of(sums(ratings=np.ones(4_000), satisfaction=values - drop)) for drop in (0, 0.1)
    ]
    effect = measure_effect(METRICS["satisfaction"], "new", *arms)
    assert effect is not None and effect.lift is None
    found = check_guardrail(GuardrailConfig(metric="satisfaction", worst=0.02), effect, True)
    assert found.status == "broken"
    assert found.harm_low < 0.1 < found.harm_high
