"""Estimates of a policy that was not live, from logs with propensities."""

from tfrec.online.off_policy.estimators import (
    Terms,
    clipped_inverse_propensity,
    direct_method,
    doubly_robust,
    importance_weights,
    inverse_propensity,
    self_normalised,
)
from tfrec.online.off_policy.intervals import (
    Interval,
    bootstrap_interval,
    empirical_bernstein_interval,
    normal_interval,
)
from tfrec.online.off_policy.slates import (
    slate_cascade_doubly_robust,
    slate_independent,
    slate_reward_interaction,
    slate_standard,
)
from tfrec.online.off_policy.trust import WeightSummary, effective_sample_size, warnings_of

__all__ = [
    "Interval",
    "Terms",
    "WeightSummary",
    "bootstrap_interval",
    "clipped_inverse_propensity",
    "direct_method",
    "doubly_robust",
    "effective_sample_size",
    "empirical_bernstein_interval",
    "importance_weights",
    "inverse_propensity",
    "normal_interval",
    "self_normalised",
    "slate_cascade_doubly_robust",
    "slate_independent",
    "slate_reward_interaction",
    "slate_standard",
    "warnings_of",
]
