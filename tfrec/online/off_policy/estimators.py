"""What another policy would have earned, from the log of the policy that was live.

Each estimator turns the rounds of a log into terms whose sum over sum is the estimate, so that one
delta method and one bootstrap give every interval. With w = target propensity / logged propensity
of what was shown, r the reward, q the predicted reward of what was shown and v the prediction
averaged over the target policy's choices:

    IPS             mean(w r)                       Horvitz & Thompson 1952; Li et al., WSDM 2011
    SNIPS           sum(w r) / sum(w)               Swaminathan & Joachims, NeurIPS 2015, eq. 7
    clipped IPS     mean(min(w, M) r)               Ionides 2008; Bottou et al., JMLR 2013
    direct method   mean(v)
    doubly robust   mean(v + w (r - q))             Dudík, Langford & Li, ICML 2011, eq. 1

IPS and doubly robust are unbiased when the propensities are right and the live policy could have
shown whatever the target would show; SNIPS is biased by O(1/n); clipping lowers the estimate of a
reward that is never negative; the direct method is as wrong as its prediction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfrec.errors import DataError

__all__ = [
    "Terms",
    "clipped_inverse_propensity",
    "direct_method",
    "doubly_robust",
    "importance_weights",
    "inverse_propensity",
    "self_normalised",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """An estimate as a ratio of sums over rounds.

    Attributes:
        numerator, denominator: float64 [rounds].
    """

    numerator: Floats
    denominator: Floats

    @property
    def value(self) -> float:
        """The estimate; NaN for an empty log or weights that are all 0."""
        total = float(self.denominator.sum())
        return float(self.numerator.sum()) / total if total else float("nan")


def _mean_of(values: Floats) -> Terms:
    return Terms(values, np.ones(len(values)))


def importance_weights(target: Floats, logged: Floats) -> Floats:
    """Target over logged propensity of what was shown: float64, of the arguments' shape.

    Args:
        target: Probability that the target policy shows it.
        logged: Probability with which the live policy did show it.

    Raises:
        DataError: A logged propensity is not within (0, 1], or a target one not within [0, 1].

    Example:
        >>> importance_weights(np.array([0.5, 0.1]), np.array([0.25, 0.5])).tolist()
        [2.0, 0.2]
    """
    for name, values, fine in (
        ("logged", logged, (logged > 0) & (logged <= 1)),
        ("target", target, (target >= 0) & (target <= 1)),
    ):
        if not fine.all():
            raise DataError(
                f"`{name}`",
                "a propensity of what was shown lies within (0, 1], a target policy's in [0, 1]",
                received=f"{values[~fine][0]} and {int((~fine).sum())} such in all",
                remedy="Leave such rounds out, and log the probability at the time of the choice",
            )
    return np.asarray(target / logged, np.float64)


def inverse_propensity(weights: Floats, rewards: Floats) -> Terms:
    """IPS.

    Args:
        weights: float64 [rounds], from `importance_weights`.
        rewards: float64 [rounds].

    Example:
        >>> inverse_propensity(np.array([2.0, 0.2]), np.array([1.0, 1.0])).value
        1.1
    """
    return _mean_of(weights * rewards)


def self_normalised(weights: Floats, rewards: Floats) -> Terms:
    """SNIPS: within the range of the rewards, and unmoved by a constant added to them.

    Example:
        >>> self_normalised(np.array([2.0, 0.5]), np.array([1.0, 0.0])).value
        0.8
    """
    return Terms(weights * rewards, weights)


def clipped_inverse_propensity(weights: Floats, rewards: Floats, clip: float) -> Terms:
    """IPS with weights cut at `clip`: less variance for a bias that `trust` measures.

    Example:
        >>> clipped_inverse_propensity(np.array([4.0, 1.0]), np.array([1.0, 1.0]), 2.0).value
        1.5
    """
    return _mean_of(np.minimum(weights, clip) * rewards)


def direct_method(expected_target: Floats) -> Terms:
    """The prediction alone.

    Args:
        expected_target: float64 [rounds]; predicted reward, averaged over the target's choices.
    """
    return _mean_of(expected_target)


def doubly_robust(
    weights: Floats, rewards: Floats, expected_shown: Floats, expected_target: Floats
) -> Terms:
    """The direct method, corrected by IPS of its residuals: right if either half is.

    Args:
        weights: float64 [rounds].
        rewards: float64 [rounds].
        expected_shown: float64 [rounds]; predicted reward of what was shown.
        expected_target: float64 [rounds]; the prediction averaged over the target's choices.

    Example:
        >>> one = np.array([1.0])
        >>> doubly_robust(2 * one, one, 0.5 * one, 0.6 * one).value
        1.6
    """
    return _mean_of(expected_target + weights * (rewards - expected_shown))
