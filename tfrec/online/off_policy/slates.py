"""Off-policy estimates of whole lists, under what one is ready to assume of the reader.

All arrays are float64 [requests, slots]; slots beyond a request's list hold weight 1, else 0.
`weights[i, k]` is target over logged propensity of the item in slot k, given the slots above it.
The value is the reward summed over slots.

    standard            (prod_l w_l) sum_k r_k      nothing assumed
    independent         sum_k w_k r_k               a slot's reward depends on its item alone
                                                    (item-position; Li et al., KDD 2018)
    reward interaction  sum_k (prod_{l<=k} w_l) r_k  the reader goes from the top and a slot depends
                                                    on what was above (McInerney et al., KDD 2020)
    cascade DR          the same, with a prediction of what follows taken off (Kiyohara et al.,
                        WSDM 2022, eq. 7)

From top to bottom of the first three the assumption is weakest, strongest, between; variance goes
the other way. `independent` needs each slot's probability by itself; where slots are drawn one
after the other from one pool, the conditional propensities are not that.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfrec.online.off_policy.estimators import Terms

__all__ = [
    "slate_cascade_doubly_robust",
    "slate_independent",
    "slate_reward_interaction",
    "slate_standard",
]

Floats = npt.NDArray[np.float64]


def _mean_of(values: Floats) -> Terms:
    return Terms(values, np.ones(len(values)))


def slate_standard(weights: Floats, rewards: Floats) -> Terms:
    """IPS of the whole list.

    Example:
        >>> slate_standard(np.array([[2.0, 0.5]]), np.array([[1.0, 1.0]])).value
        2.0
    """
    return _mean_of(weights.prod(axis=1) * rewards.sum(axis=1))


def slate_independent(weights: Floats, rewards: Floats) -> Terms:
    """Item-position IPS.

    Example:
        >>> slate_independent(np.array([[2.0, 0.5]]), np.array([[1.0, 1.0]])).value
        2.5
    """
    return _mean_of((weights * rewards).sum(axis=1))


def slate_reward_interaction(weights: Floats, rewards: Floats) -> Terms:
    """IPS under the cascade: a slot is weighted by all that was above it.

    Example:
        >>> slate_reward_interaction(np.array([[2.0, 0.5]]), np.array([[1.0, 1.0]])).value
        3.0
    """
    return _mean_of((weights.cumprod(axis=1) * rewards).sum(axis=1))


def slate_cascade_doubly_robust(
    weights: Floats, rewards: Floats, follow_shown: Floats, follow_target: Floats
) -> Terms:
    """Doubly robust under the cascade.

    Args:
        weights: float64 [requests, slots].
        rewards: float64 [requests, slots].
        follow_shown: Predicted sum of rewards from slot k downwards, given the items down to k.
        follow_target: The same, averaged over what the target policy would put into slot k.

    Example:
        Slot 1 gives 2 (1 - 1.5) + 1.4, slot 2 gives 1 (0 - 0.5) + 2 * 0.4.

        >>> w, r = np.array([[2.0, 0.5]]), np.array([[1.0, 0.0]])
        >>> q, v = np.array([[1.5, 0.5]]), np.array([[1.4, 0.4]])
        >>> round(slate_cascade_doubly_robust(w, r, q, v).value, 6)
        0.7
    """
    down_to = weights.cumprod(axis=1)
    above = np.concatenate([np.ones((len(weights), 1)), down_to[:, :-1]], axis=1)
    return _mean_of((down_to * (rewards - follow_shown) + above * follow_target).sum(axis=1))
