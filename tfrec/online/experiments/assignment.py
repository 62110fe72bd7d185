"""Who sees which variant: a hash of salt and user, the same in every process and on every day.

A user's place in a layer is one hash (salt: the layer), his variant within an experiment another
(salt: the experiment's), so a new experiment in the same buckets mixes the old one's users anew.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from tfrec.errors import DescriptionError
from tfrec.fingerprint import unit_interval
from tfrec.online.experiments.config import ExperimentConfig

__all__ = ["assign", "assign_all", "check_layers"]


def assign(experiment: ExperimentConfig, user_id: str) -> str | None:
    """The variant of a user; `None` if he takes no part.

    Args:
        experiment: The test.
        user_id: The stable id of whoever is assigned.

    Example:
        >>> test = ExperimentConfig(name="ranker")
        >>> [assign(test, user) for user in ("ada", "ben", "eva")]
        ['treatment', 'treatment', 'control']
        >>> assign(ExperimentConfig(name="ranker", buckets=(0.1, 1.0)), "ada") is None
        True
    """
    low, high = experiment.buckets
    if not low <= unit_interval("layer", experiment.layer, user_id) < high:
        return None
    place = unit_interval("variant", experiment.salt or experiment.name, user_id)
    edges = list(accumulate(experiment.variants.values()))
    # The last edge may be a rounding error short of 1.
    found = min(bisect_right(edges, place), len(edges) - 1)
    return list(experiment.variants)[found]


def assign_all(experiment: ExperimentConfig, user_ids: Iterable[str]) -> list[str | None]:
    """The variants of many users."""
    return [assign(experiment, user) for user in user_ids]


def check_layers(experiments: Sequence[ExperimentConfig]) -> None:
    """Refuses experiments that share users, or draw alike.

    Args:
        experiments: All that are live.

    Raises:
        DescriptionError: Two of a layer overlap, or two have one salt, so that their variants would
            be the same users.
    """
    by_place = sorted(experiments, key=lambda test: (test.layer, test.buckets))
    for first, second in pairwise(by_place):
        if first.layer == second.layer and second.buckets[0] < first.buckets[1]:
            raise DescriptionError(
                f"experiment {second.name!r}",
                f"`buckets` of one layer don't overlap, else {first.name!r} shares its users",
                received=f"{first.buckets} and {second.buckets} in layer {first.layer!r}",
                remedy="Move one of them, or put it into another layer",
            )
    salts: dict[str, str] = {}
    for test in experiments:
        salt = test.salt or test.name
        if salt in salts:
            raise DescriptionError(
                f"experiment {test.name!r}",
                "each experiment has a salt of its own, else the same users are treated twice",
                received=f"{salt!r}, as {salts[salt]!r} has",
                remedy="Give it another `salt`",
            )
        salts[salt] = test.name
