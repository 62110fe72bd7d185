"""Off-policy terms of each request of a joined shard, for each policy that the log knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfrec.online.events.ignored import Ignored
from tfrec.online.events.joining import Joined
from tfrec.online.off_policy import estimators, slates

__all__ = ["ESTIMATORS", "TERMS", "PolicyTerms", "policy_terms"]

Floats = npt.NDArray[np.float64]

# Columns that are summed by user; an estimate is one of them over another.
TERMS = (
    "requests",
    "predicted",
    "reward",
    "weight",
    "ips",
    "clipped",
    "item_position",
    "reward_interaction",
    "direct",
    "doubly_robust",
    "cascade",
)
# Name, numerator, denominator.
ESTIMATORS = (
    ("logged", "reward", "requests"),
    ("IPS", "ips", "requests"),
    ("SNIPS", "ips", "weight"),
    ("clipped IPS", "clipped", "requests"),
    ("item-position IPS", "item_position", "requests"),
    ("reward-interaction IPS", "reward_interaction", "requests"),
    ("direct method", "direct", "predicted"),
    ("doubly robust", "doubly_robust", "predicted"),
    ("cascade doubly robust", "cascade", "predicted"),
)


@dataclass
class PolicyTerms:
    """One policy's terms.

    Attributes:
        user_id: object [requests].
        values: float64 [requests, len(TERMS)].
        slots: Of the longest list.
    """

    user_id: npt.NDArray[np.object_]
    values: Floats
    slots: int


def policy_terms(joined: Joined, clip: float, ignored: Ignored) -> dict[str, PolicyTerms]:
    """Terms by policy.

    Args:
        joined: A shard.
        clip: Greatest weight of clipped IPS.
        ignored: Counts impressions that are left out.

    Returns:
        By the policy's name; empty if no impression names one.
    """
    shown = joined.impressions
    names = sorted({name for targets in shown["targets"] for name in targets})
    bare = shown["propensities"].isna().to_numpy(bool)
    logged = _padded(shown["propensities"].where(~bare, None), joined, 1.0)
    fine = np.asarray(((logged > 0) & (logged <= 1)).all(axis=1))
    impossible = ~fine & ~bare
    found = {}
    for name in names:
        policies = [targets.get(name) for targets in shown["targets"]]
        absent = np.array([policy is None for policy in policies], bool)
        target = _padded([None if p is None else p[0] for p in policies], joined, 1.0)
        wrong = np.asarray(~((target >= 0) & (target <= 1)).all(axis=1))
        impossible |= wrong & ~absent & ~bare
        kept = fine & ~bare & ~absent & ~wrong
        expected = _padded([None if p is None else p[1] for p in policies], joined, 0.0, np.nan)
        found[name] = _terms(joined, kept, target, logged, expected, clip)
    aimless = np.array([not targets for targets in shown["targets"]], bool)
    ignored.add_rows("no_propensities", shown[bare])
    ignored.add_rows("impossible_propensity", shown[impossible], "propensities")
    ignored.add_rows("no_target", shown[aimless & ~bare & ~impossible], "request_id")
    return found


def _terms(
    joined: Joined,
    kept: npt.NDArray[np.bool_],
    target: Floats,
    logged: Floats,
    expected: Floats,
    clip: float,
) -> PolicyTerms:
    predicted = _padded(joined.impressions["expected_rewards"], joined, 0.0, np.nan)
    rewards = np.zeros(target.shape)
    rewards[joined.request, joined.place] = joined.reward
    rewards, q, v = rewards[kept], predicted[kept], expected[kept]
    slot_weights = estimators.importance_weights(target[kept], logged[kept])
    weight, reward = slot_weights.prod(axis=1), rewards.sum(axis=1)
    known = np.asarray(~np.isnan(q).any(axis=1) & ~np.isnan(v).any(axis=1))
    q, v = np.where(known[:, None], q, 0.0), np.where(known[:, None], v, 0.0)
    follow = v[:, ::-1].cumsum(axis=1)[:, ::-1]
    below = np.concatenate([follow[:, 1:], np.zeros((len(v), 1))], axis=1)[:, : v.shape[1]]
    terms = {
        "requests": np.ones(len(reward)),
        "predicted": known.astype(np.float64),
        "reward": reward,
        "weight": weight,
        "ips": estimators.inverse_propensity(weight, reward).numerator,
        "clipped": estimators.clipped_inverse_propensity(weight, reward, clip).numerator,
        "item_position": slates.slate_independent(slot_weights, rewards).numerator,
        "reward_interaction": slates.slate_reward_interaction(slot_weights, rewards).numerator,
        "direct": known * v.sum(axis=1),
        "doubly_robust": known
        * estimators.doubly_robust(weight, reward, q.sum(axis=1), v.sum(axis=1)).numerator,
        "cascade": known
        * slates.slate_cascade_doubly_robust(slot_weights, rewards, q + below, follow).numerator,
    }
    return PolicyTerms(
        joined.impressions["user_id"].to_numpy(object)[kept],
        np.stack([terms[name] for name in TERMS], axis=1).reshape(-1, len(TERMS)),
        target.shape[1],
    )


def _padded(
    lists: Sequence[list[float] | None], joined: Joined, fill: float, absent: float = 1.0
) -> Floats:
    """Lists as a matrix [requests, longest]; `fill` beyond a list's end, `absent` for no list."""
    width = int(joined.place.max(initial=-1)) + 1
    found = np.full((len(joined.impressions), width), fill)
    has = np.array([isinstance(one, list) for one in lists], bool)
    found[~has] = absent
    flat = np.concatenate([np.zeros(0), *[one for one in lists if isinstance(one, list)]])
    on = has[joined.request]
    found[joined.request[on], joined.place[on]] = flat
    return found
