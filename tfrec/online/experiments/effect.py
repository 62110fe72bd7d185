"""Treatment against control in one metric: difference, lift, CUPED, fixed and sequential intervals.

CUPED (Deng, Xu, Kohavi & Walker, WSDM 2013, section 3; ratios as in their appendix B) takes off
what the users' own past foretells. With y a user's linearised metric (`tfrec.online.moments`), x
the same of the time before, and dy, dx treatment minus control:

    dy - theta dx,   theta = sum_arms(cov(y, x) / n) / sum_arms(var(x) / n)

which is the theta of least variance. x is from before the treatment, so dx is 0 but for chance and
the effect stays what it was.
"""

from __future__ import annotations

from math import erfc, sqrt

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from scipy.special import ndtri

from tfrec.online.experiments.metrics import OnlineMetric
from tfrec.online.experiments.sequential import always_valid_p_value, sequential_quantile
from tfrec.online.moments import Moments
from tfrec.online.number import Number

__all__ = ["Effect", "Ends", "measure_effect"]


class Ends(BaseModel):
    """An interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: Number
    high: Number


class Effect(BaseModel):
    """One metric of one variant against the control.

    Attributes:
        metric, variant: Which.
        control, treatment: The metric as it is in each, without CUPED.
        difference: Treatment minus control, by CUPED where there is a past.
        error: Its standard error.
        fixed, always: Its intervals for one planned look, and for any number of looks.
        p_value, always_p_value: Of no difference, likewise.
        lift: Difference over control; `None` for a metric whose 0 is arbitrary, or a control of 0.
        lift_fixed, lift_always: Its intervals, Fieller's; `None` too when the control may be 0.
        variance_saved: Share of the variance that CUPED took away; 0 without.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    variant: str
    control: float
    treatment: float
    difference: float
    error: float
    fixed: Ends
    always: Ends
    p_value: float
    always_p_value: float
    lift: float | None
    lift_fixed: Ends | None
    lift_always: Ends | None
    variance_saved: float


def measure_effect(
    metric: OnlineMetric,
    variant: str,
    control: Moments,
    treatment: Moments,
    *,
    level: float = 0.95,
    tuned_for: float = 1_000,
    cuped: bool = True,
) -> Effect | None:
    """Measures an effect from the moments of the user sums of both arms.

    Args:
        metric: What to measure.
        variant: Name of the treatment.
        control: Of `metrics.COLUMNS`, over the control's users.
        treatment: Over the treatment's.
        level: Share of intervals that hold the truth.
        tuned_for: Users at which the sequential interval is shortest.
        cuped: Whether to use the past.

    Returns:
        The effect; `None` when an arm has fewer than two users or nothing in the denominator.
    """
    arms = (control, treatment)
    ratios = [arm.ratio(*metric.columns) for arm in arms]
    if not np.isfinite([ratio.error for ratio in ratios]).all():
        return None
    variances = np.array([ratio.error**2 for ratio in ratios])
    difference, plain = ratios[1].value - ratios[0].value, float(variances.sum())
    base = ratios[0].value
    pasts = [arm.ratio(*metric.before) for arm in arms]
    if cuped and np.isfinite([past.error for past in pasts]).all():
        weights = [
            np.stack([y.gradient, x.gradient], axis=1) for y, x in zip(ratios, pasts, strict=True)
        ]
        covariances = [
            arm.combine(weight).covariance / arm.count
            for arm, weight in zip(arms, weights, strict=True)
        ]
        spread = sum(float(matrix[1, 1]) for matrix in covariances)
        if spread > 0:
            theta = sum(float(matrix[0, 1]) for matrix in covariances) / spread
            along = np.array([1.0, -theta])
            variances = np.array([along @ matrix @ along for matrix in covariances])
            difference -= theta * (pasts[1].value - pasts[0].value)
            users = control.count + treatment.count
            middle = sum(p.value * a.count for p, a in zip(pasts, arms, strict=True)) / users
            base -= theta * (pasts[0].value - middle)
    error = float(np.sqrt(max(float(variances.sum()), 0.0)))
    users = control.count + treatment.count
    quantile = float(ndtri((1 + level) / 2))
    always = sequential_quantile(users, tuned_for, level)
    return Effect(
        metric=metric.name,
        variant=variant,
        control=ratios[0].value,
        treatment=ratios[1].value,
        difference=difference,
        error=error,
        fixed=_ends(difference, error * quantile),
        always=_ends(difference, error * always),
        p_value=erfc(abs(difference) / error / sqrt(2)) if error > 0 else 1.0,
        always_p_value=always_valid_p_value(difference, error, users, tuned_for, level),
        lift=difference / base if metric.relative and base else None,
        lift_fixed=_lift(base, difference, variances, quantile) if metric.relative else None,
        lift_always=_lift(base, difference, variances, always) if metric.relative else None,
        variance_saved=1 - float(variances.sum()) / plain if plain > 0 else 0.0,
    )


def _ends(middle: float, half: float) -> Ends:
    return Ends(low=middle - half, high=middle + half)


def _lift(
    control: float, difference: float, variances: npt.NDArray[np.float64], quantile: float
) -> Ends | None:
    """Fieller's interval (1954) of the lift: 0 is in it exactly when it is in the difference's.

    The ratios r with |t - r c| <= quantile sqrt(var(t) + r^2 var(c)): the roots of a quadratic.
    """
    treatment = control + difference
    square = quantile**2
    lead = control**2 - square * variances[0]
    if not lead > 0:
        return None
    middle = treatment * control
    rest = treatment**2 - square * variances[1]
    half = sqrt(max(middle**2 - lead * rest, 0.0))
    return Ends(low=(middle - half) / lead - 1, high=(middle + half) / lead - 1)
