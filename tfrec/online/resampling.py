"""A bootstrap that merges: each unit's Poisson weights are a hash of its key and the round.

How often a unit is drawn in a bootstrap of many is nearly Poisson(1) and independent of the other
units (Chamandy et al., "Estimating uncertainty for massive data streams", Google 2012, section 3).
So each shard adds up its own weighted sums, and the order or number of shards changes nothing.
"""

from __future__ import annotations

from math import exp, factorial

import numpy as np
import numpy.typing as npt

__all__ = ["poisson_weights", "replicate_sums"]

Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

# P(Poisson(1) <= k); beyond 17 nothing is left of 53 bits.
_EDGES = np.cumsum([exp(-1) / factorial(k) for k in range(18)])
# Units x rounds hashed at once.
_AT_ONCE = 2_000_000


def _mix(values: Keys) -> Keys:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014): 64 bits to 64 well mixed bits."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def poisson_weights(keys: Keys, rounds: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """How often each unit is drawn in each round: int64 [rounds, units].

    Args:
        keys: uint64 [units], stable hashes of the units' names.
        rounds: Resamples.
        seed: Another seed gives other draws.

    Example:
        >>> keys = np.arange(1000, dtype=np.uint64)
        >>> drawn = poisson_weights(keys, 200)
        >>> bool(np.array_equal(drawn[:, 5:9], poisson_weights(keys[5:9], 200)))
        True
        >>> round(float(drawn.mean()), 2), round(float(drawn.var()), 2)
        (1.0, 1.0)
    """
    steps = np.arange(1, rounds + 1, dtype=np.uint64) + np.uint64(seed << 20)
    mixed = _mix(_mix(steps * np.uint64(0x9E3779B97F4A7C15))[:, None] ^ _mix(keys)[None])
    uniform = (mixed >> np.uint64(11)).astype(np.float64) / (1 << 53)
    return np.searchsorted(_EDGES, uniform, side="right")


def replicate_sums(values: Floats, keys: Keys, rounds: int, seed: int = 0) -> Floats:
    """Column sums of each resample: float64 [rounds, columns].

    Args:
        values: float64 [units, columns].
        keys: uint64 [units].
        rounds: Resamples.
        seed: Of the draws.
    """
    total = np.zeros((rounds, values.shape[1]))
    step = max(1, _AT_ONCE // max(rounds, 1))
    for start in range(0, len(values), step):
        part = slice(start, start + step)
        total += poisson_weights(keys[part], rounds, seed) @ values[part]
    return total
