"""Lists of a system for every candidate set that is asked for, and their cache for baselines."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tfrec.baselines import Baseline
from tfrec.evaluation.held_out import HeldOut
from tfrec.evaluation.metrics import RankedLists, mean
from tfrec.evaluation.top_k import top_k, top_k_of_scores
from tfrec.schema import DataLayout

__all__ = ["CANDIDATE_SETS", "Rankings", "candidates_of", "rank_baselines", "rank_vectors"]

CandidateSet = Literal["all", "warm", "cold"]
CANDIDATE_SETS: tuple[CandidateSet, ...] = ("all", "warm", "cold")
DEPTH = 100
# Raised when a baseline or the protocol changes what it gives.
_CACHE_VERSION = 2
_TUNING_USERS = 2000


@dataclass(frozen=True)
class Rankings:
    """A system's lists.

    Attributes:
        name: Of the system.
        lists: By candidate set, int32 [users, DEPTH], -1 after the end. A set is absent when the
            data has no such items, or the system can't tell them apart.
        options: What validation chose, for a baseline.
        scores: Of the lists over all candidates, float32 [users, DEPTH], -inf after the end; `None`
            for a baseline.
    """

    name: str
    lists: Mapping[CandidateSet, NDArray[np.int32]]
    options: Mapping[str, Any]
    scores: NDArray[np.float32] | None = None


def candidates_of(held_out: HeldOut, which: CandidateSet) -> NDArray[np.int64] | None:
    """Item indices of a candidate set; `None` for all."""
    if which == "all":
        return held_out.candidates
    listed, warm = held_out.listed, held_out.warm
    return listed[warm[listed] if which == "warm" else ~warm[listed]]


def _sets(held_out: HeldOut, reaches_cold: bool) -> list[CandidateSet]:
    warm = held_out.warm[held_out.listed]
    sets: list[CandidateSet] = ["all"]
    if warm.any() and not warm.all():
        sets.append("warm")
        if reaches_cold:
            sets.append("cold")
    return sets


def rank_vectors(
    name: str, queries: NDArray[np.float32], items: NDArray[np.float32], held_out: HeldOut
) -> Rankings:
    """Lists of a two-tower model.

    Args:
        name: Of the system.
        queries: float32 [U, dim], of the held-out users.
        items: float32 [N, dim].
        held_out: The users, and what they have seen.
    """
    lists, scores = {}, None
    for which in _sets(held_out, reaches_cold=True):
        chosen = candidates_of(held_out, which)
        found = top_k(queries, items, DEPTH, seen=held_out.seen, candidates=chosen)
        lists[which] = found.items
        scores = found.scores if scores is None else scores
    return Rankings(name, lists, {}, scores)


def rank_baselines(
    baselines: Sequence[type[Baseline]],
    held_out: HeldOut,
    tuning: Callable[[], HeldOut | None],
    *,
    cache: str | Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Rankings]:
    """Fits each baseline that applies, chooses its options on validation, and ranks.

    Args:
        baselines: Classes.
        held_out: The users to rank for.
        tuning: Gives the validation part when options have to be chosen; called at most once.
            `None` takes each baseline's defaults.
        cache: The data directory: lists are kept in its `baselines/` and read from there while
            data, split and users are the same. A directory that can't be written only costs time.
        say: Told each baseline's name before it is fitted.

    Returns:
        One a baseline that applies to the data.
    """
    validation: list[HeldOut | None] = []
    found = []
    for baseline in baselines:
        if not baseline.applies(held_out.train, held_out.items):
            continue
        path = _cache_path(cache, baseline, held_out) if cache is not None else None
        ranked = _read(path, baseline.name) if path is not None else None
        if ranked is None:
            say(baseline.name)
            if len(baseline.grid) > 1 and not validation:
                validation.append(tuning())
            fitted, options = _tuned(baseline, held_out, validation[0] if validation else None)
            lists = {
                which: _rank(fitted, held_out, candidates_of(held_out, which))
                for which in _sets(held_out, baseline.reaches_cold)
            }
            ranked = Rankings(baseline.name, lists, options)
            if path is not None:
                _write(path, ranked)
        found.append(ranked)
    return found


def _rank(
    baseline: Baseline, held_out: HeldOut, candidates: NDArray[np.int64] | None, k: int = DEPTH
) -> NDArray[np.int32]:
    users = held_out.past.user_index
    at_once = max(1, min(256, (1 << 26) // max(len(held_out.items), 1)))

    def scores(at: slice) -> NDArray[np.float32]:
        return baseline.score(held_out.past.select(users[at]))

    # `select` takes profiles of the past, which HeldOut has set to those of the split.
    return top_k_of_scores(
        scores,
        len(held_out),
        len(held_out.items),
        k,
        seen=held_out.seen,
        candidates=candidates,
        users_at_once=at_once,
    ).items


def _tuned(
    baseline: type[Baseline], held_out: HeldOut, validation: HeldOut | None
) -> tuple[Baseline, dict[str, Any]]:
    best: tuple[float, Baseline, dict[str, Any]] | None = None
    grid = baseline.grid if validation is not None else ({},)
    for options in grid:
        candidate = baseline(**options)
        candidate.fit(held_out.train, held_out.items)
        if validation is None or len(grid) == 1:
            return candidate, dict(options)
        lists = _rank(candidate, validation, None, k=20)
        ranked = RankedLists(lists, validation.relevant, items=len(validation.items))
        quality = mean(ranked.ndcg(20))
        if best is None or quality > best[0]:
            best = quality, candidate, dict(options)
    assert best is not None
    return best[1], best[2]


def tuning_users(data: str | Path) -> HeldOut:
    """The validation users that options are chosen on: a sample of at most 2,000."""
    return HeldOut.load(data, "validation", max_users=_TUNING_USERS)


def _cache_path(cache: str | Path, baseline: type[Baseline], held_out: HeldOut) -> Path:
    manifest = DataLayout(cache).read_manifest()
    users = hashlib.sha256(np.ascontiguousarray(held_out.targets.user_index).tobytes()).hexdigest()
    parts = [
        _CACHE_VERSION,
        manifest.fingerprint,
        [shard.sha256 for shard in manifest.shards],
        held_out.split,
        users,
        baseline.name,
        list(baseline.grid),
        DEPTH,
        None if held_out.candidates is None else held_out.candidates.tolist(),
    ]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return Path(cache) / "baselines" / f"{baseline.name.replace(' ', '-')}-{key}.npz"


def _read(path: Path, name: str) -> Rankings | None:
    try:
        with np.load(path, allow_pickle=False) as content:
            options = json.loads(str(content["options"]))
            lists = {which: content[which] for which in CANDIDATE_SETS if which in content}
    except (FileNotFoundError, BadZipFile, ValueError, KeyError, EOFError):
        # A damaged cache is made again; it holds nothing that can't be.
        return None
    return Rankings(name, lists, options)


def _write(path: Path, ranked: Rankings) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        with scratch.open("wb") as file:
            arrays: dict[str, Any] = {str(which): lists for which, lists in ranked.lists.items()}
            np.savez_compressed(file, options=np.array(json.dumps(dict(ranked.options))), **arrays)
        scratch.replace(path)
    except PermissionError:
        # Shared data is often read-only; the next evaluation fits the baselines again.
        return
