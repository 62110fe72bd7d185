"""Adds up a shard of users: all that the figures need, and nothing as large as the log.

requests, exposures, terms of one shard of users ─ by user ─▶ moments by variant, by policy
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfrec.fingerprint import fingerprint64
from tfrec.online.events.ignored import Ignored
from tfrec.online.experiments.assignment import assign_all
from tfrec.online.experiments.config import ExperimentConfig
from tfrec.online.experiments.metrics import COLUMNS, SUMS
from tfrec.online.moments import Moments
from tfrec.online.off_policy.trust import WeightSummary
from tfrec.online.resampling import replicate_sums
from tfrec.online.settings import Settings
from tfrec.online.terms import TERMS, PolicyTerms

__all__ = ["Piece", "PolicySums", "Sums", "add_up", "measure"]

Floats = npt.NDArray[np.float64]


@dataclass
class Piece:
    """What a shard of requests gives to a shard of users.

    Attributes:
        order: Where it comes from; pieces are put in this order.
        requests: Frame of user_id, timestamp and the request's sums.
        exposures: Frame of the schema.
        credits: Frame of user_id, pair and credit, one row an interleaved list.
        terms: By policy.
        ignored: What was left out on the way.
    """

    order: tuple[int, int]
    requests: pd.DataFrame | None = None
    exposures: pd.DataFrame | None = None
    credits: pd.DataFrame | None = None
    terms: dict[str, PolicyTerms] = field(default_factory=dict)
    ignored: Ignored = field(default_factory=Ignored)


@dataclass
class PolicySums:
    """One policy's sums.

    Attributes:
        users: Moments of user sums of `TERMS`.
        replicates: float64 [rounds, len(TERMS)], sums of the resamples.
        weights: Of requests.
        clipped: Moments of clipped IPS over requests, for Bernstein's interval.
        slots: Of the longest list.
    """

    users: Moments
    replicates: Floats
    weights: WeightSummary
    clipped: Moments
    slots: int

    def merge(self, other: PolicySums) -> PolicySums:
        """Of both parts together."""
        return PolicySums(
            self.users.merge(other.users),
            self.replicates + other.replicates,
            self.weights.merge(other.weights),
            self.clipped.merge(other.clipped),
            max(self.slots, other.slots),
        )


@dataclass
class Sums:
    """All sums of a shard of users; shards add up.

    Attributes:
        everyone: Moments of `experiments.metrics.COLUMNS` over all users.
        variants: By experiment and variant, over the users exposed.
        seen: By experiment, users whom the exposure log names, of whatever variant.
        policies: By name.
        interleaved: By pair of teams: users who preferred the first, the second, neither; lists.
        first, last: Moments of the first and last impression.
        ignored: What was left out.
    """

    everyone: Moments
    variants: dict[str, dict[str, Moments]]
    seen: dict[str, int]
    policies: dict[str, PolicySums]
    interleaved: dict[tuple[str, str], npt.NDArray[np.int64]]
    first: float
    last: float
    ignored: Ignored

    def merge(self, other: Sums) -> Sums:
        """Of both parts together."""
        variants = {
            test: {name: arm.merge(other.variants[test][name]) for name, arm in arms.items()}
            for test, arms in self.variants.items()
        }
        policies = dict(self.policies)
        for name, sums in other.policies.items():
            policies[name] = policies[name].merge(sums) if name in policies else sums
        interleaved = dict(self.interleaved)
        for pair, counts in other.interleaved.items():
            interleaved[pair] = interleaved.get(pair, np.zeros(4, np.int64)) + counts
        seen = {
            name: self.seen.get(name, 0) + other.seen.get(name, 0)
            for name in sorted(self.seen.keys() | other.seen.keys())
        }
        return Sums(
            self.everyone.merge(other.everyone),
            variants,
            seen,
            policies,
            interleaved,
            min(self.first, other.first),
            max(self.last, other.last),
            self.ignored.merge([other.ignored]),
        )


def measure(pieces: Iterable[Piece], settings: Settings) -> Sums:
    """Adds up all pieces of one shard of users.

    Args:
        pieces: In any order; a user's are all here.
        settings: Which experiments, and the bootstrap.
    """
    ordered = sorted(pieces, key=lambda piece: piece.order)
    requests = _stack([piece.requests for piece in ordered], ["user_id", "timestamp", *SUMS[1:]])
    exposures = _stack(
        [piece.exposures for piece in ordered],
        ["user_id", "timestamp", "experiment", "variant", "file", "line"],
    )
    ignored = Ignored().merge(piece.ignored for piece in ordered)
    times = requests["timestamp"].to_numpy(np.float64)
    users, codes = _users(requests["user_id"])
    everyone = np.zeros((len(users), len(COLUMNS)))
    everyone[:, 0] = 1
    everyone[:, 1 : len(SUMS)] = _by_user(requests, codes, len(users))
    return Sums(
        Moments.of(everyone),
        {test.name: _variants(test, requests, exposures, ignored) for test in settings.experiments},
        {
            str(name): int(group["user_id"].nunique())
            for name, group in exposures.groupby("experiment")
        },
        _policies(ordered, settings),
        _interleaved([piece.credits for piece in ordered]),
        float(times.min(initial=np.inf)),
        float(times.max(initial=-np.inf)),
        ignored,
    )


def _stack(frames: Sequence[pd.DataFrame | None], columns: list[str]) -> pd.DataFrame:
    some = [frame for frame in frames if frame is not None and len(frame)]
    if not some:
        return pd.DataFrame({name: [] for name in columns})
    return pd.concat(some, ignore_index=True)[columns]


def _users(names: pd.Series) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    codes, users = pd.factorize(names.to_numpy(object), sort=True)
    return users, codes.astype(np.int64)


def _by_user(requests: pd.DataFrame, codes: npt.NDArray[np.int64], users: int) -> Floats:
    """Sums of `SUMS[1:]` by user; a code of -1 is left out."""
    inside = codes >= 0
    values = requests[list(SUMS[1:])].to_numpy(np.float64)[inside]
    found = np.zeros((users, len(SUMS) - 1))
    for number in range(found.shape[1]):
        found[:, number] = np.bincount(codes[inside], weights=values[:, number], minlength=users)
    return found


def _variants(
    test: ExperimentConfig, requests: pd.DataFrame, exposures: pd.DataFrame, ignored: Ignored
) -> dict[str, Moments]:
    """Moments of the users of each variant, from their exposure on, with their past before."""
    exposed = _exposed(test, requests, exposures, ignored)
    place = pd.Index(exposed["user_id"])
    codes = place.get_indexer(requests["user_id"]).astype(np.int64)
    times = requests["timestamp"].to_numpy(np.float64)
    since = exposed["timestamp"].to_numpy(np.float64)
    shown_at = np.where(codes >= 0, since[codes], np.inf) if len(since) else np.full(len(codes), 0)
    past_ends = np.minimum(shown_at, test.starts) if test.start is not None else shown_at
    values = np.ones((len(exposed), len(COLUMNS)))
    now = np.where(times >= shown_at, codes, -1)
    past = np.where(times < past_ends, codes, -1)
    values[:, 1 : len(SUMS)] = _by_user(requests, now, len(exposed))
    values[:, len(SUMS) :] = _by_user(requests, past, len(exposed))
    variant = exposed["variant"].to_numpy(object)
    return {name: Moments.of(values[variant == name]) for name in test.variants}


def _exposed(
    test: ExperimentConfig, requests: pd.DataFrame, exposures: pd.DataFrame, ignored: Ignored
) -> pd.DataFrame:
    """First exposure of each user who has a single variant: user_id, timestamp, variant."""
    if test.exposure == "assigned":
        since = requests[requests["timestamp"] >= test.starts]
        first = since.groupby("user_id", sort=True)["timestamp"].min().reset_index()
        first["variant"] = assign_all(test, first["user_id"])
        return first[first["variant"].notna()].reset_index(drop=True)
    ours = exposures[
        (exposures["experiment"] == test.name) & (exposures["timestamp"] >= test.starts)
    ]
    known = ours["variant"].isin(list(test.variants))
    ignored.add_rows("unknown_variant", ours[~known], "variant")
    ours = ours[known].sort_values(["user_id", "timestamp", "file", "line"], kind="stable")
    several = ours.groupby("user_id")["variant"].transform("nunique") > 1
    ignored.add_rows("mixed_variants", ours[several].drop_duplicates("user_id"), "user_id")
    return ours[~several].drop_duplicates("user_id").reset_index(drop=True)


def _policies(pieces: Sequence[Piece], settings: Settings) -> dict[str, PolicySums]:
    found = {}
    for name in sorted({name for piece in pieces for name in piece.terms}):
        parts = [piece.terms[name] for piece in pieces if name in piece.terms]
        values = np.concatenate([part.values for part in parts])
        users, codes = _users(pd.Series(np.concatenate([part.user_id for part in parts])))
        sums = np.zeros((len(users), len(TERMS)))
        for number, column in enumerate(values.T):
            sums[:, number] = np.bincount(codes, weights=column, minlength=len(users))
        keys = np.array([fingerprint64("user", user) for user in users], np.uint64)
        clipped = values[:, [TERMS.index("clipped")]]
        found[name] = PolicySums(
            Moments.of(sums),
            replicate_sums(sums, keys, settings.rounds, settings.seed),
            WeightSummary.of(values[:, TERMS.index("weight")], settings.clip),
            Moments.of(clipped),
            max(part.slots for part in parts),
        )
    return found


def _interleaved(
    frames: Sequence[pd.DataFrame | None],
) -> dict[tuple[str, str], npt.NDArray[np.int64]]:
    """By pair: users for the first, for the second, for neither, and lists."""
    credits = _stack(frames, ["user_id", "first", "second", "credit"])
    found = {}
    for pair, group in credits.groupby(["first", "second"]):
        by_user = group.groupby("user_id")["credit"].sum().to_numpy()
        found[pair] = np.array(
            [(by_user > 0).sum(), (by_user < 0).sum(), (by_user == 0).sum(), len(group)], np.int64
        )
    return found


def add_up(parts: Sequence[Sums]) -> Sums:
    """The sums of all shards, merged in their order."""
    return reduce(Sums.merge, parts)
