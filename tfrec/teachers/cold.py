"""The cold view: items placed by their content alone.

1. A teacher: EASE without order or content, users weighted by n^-1/2, cut to `in` and `out` tables.
   A smoothed teacher matters more than the map: raw interactions regressed on content gave 0.20 to
   0.24 where this gives 0.33 (NDCG@20 over 749 films without behaviour).
2. The teacher's out vectors are regressed on content by kernel ridge with
   `k(x, x') = exp(-sqrt(Σ_b w_b |x_b - x'_b|²))` over standardised unit blocks and presence flags.
3. A user is `Σ_p (1 + age_p)^-γ in[item_p]` again, now in the teacher's `in` table.

Everything is chosen on pseudo-cold items: seeded draws of warm items whose events are hidden from
teacher and histories, and which are ranked among themselves. No test item is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.input import Timelines
from tfrec.teachers.closed_form import (
    cut_to_rank,
    ease_weights,
    exponential_kernel,
    kernel_ridge,
    squared_distance,
)
from tfrec.teachers.content import ContentBlock, Standardizer, fit_standardizers, standardize
from tfrec.teachers.histories import decayed_gram, history_matrix, ndcg, relevance_matrix
from tfrec.teachers.search import coordinate_search
from tfrec.teachers.warm import closed_form_items, restrict, trials_for

__all__ = ["ColdView", "fit_cold"]

Array = npt.NDArray[np.float32]

DECAYS = (0.0, 0.25, 0.5)
PRESENCE = "presence"
MAX_USERS = 3_000
TRIALS = 3
SCALE = 0.04


@dataclass(frozen=True)
class ColdView:
    """The teacher's `in` table and the map from content to its `out` space.

    Attributes:
        in_table: float32 [N, r].
        decay: γ.
        standardizers: Of each block, fitted on the warm items.
        weights: `w_b` by block, and of the presence flags under `presence`.
        landmarks: int64 [L], items whose content the kernel compares with.
        landmark_content: float32 [L, D], their weighted content: see `content_features`.
        coefficients: float32 [L, r].
        bias: float32 [r].
        targets: float32 [L, r], the teacher's `out` vectors of the landmarks.
        parameters: What the search chose.
        pseudo_cold: NDCG@20 on the pseudo-cold items.
    """

    in_table: Array
    decay: float
    standardizers: Mapping[str, Standardizer]
    weights: Mapping[str, float]
    landmarks: npt.NDArray[np.int64]
    landmark_content: Array
    coefficients: Array
    bias: Array
    targets: Array
    parameters: Mapping[str, float]
    pseudo_cold: float

    def content_features(self, blocks: Mapping[str, ContentBlock]) -> Array:
        """One matrix [N, D] in which Euclidean distance is the kernel's weighted distance."""
        parts = [
            np.sqrt(self.weights[name]) * standardize(blocks[name], fitted)
            for name, fitted in self.standardizers.items()
        ]
        flags = np.column_stack([blocks[name].present for name in self.standardizers])
        parts.append(np.sqrt(self.weights[PRESENCE]) * flags)
        return np.hstack(parts).astype(np.float32)

    def item_vectors(self, content: Array) -> Array:
        """Content-only item vectors [n, r] of `content_features` [n, D]."""
        kernel = exponential_kernel(squared_distance(content, self.landmark_content))
        return np.asarray(kernel @ self.coefficients + self.bias, np.float32)


def _teacher(
    timelines: Timelines, items: int, ridge: float, rank: int, seed: int
) -> tuple[Array, Array]:
    weights = ease_weights(decayed_gram(timelines, items, 0.0, user_power=0.5), ridge)
    return cut_to_rank(weights, history_matrix(timelines, items, 0.0), rank, seed=seed)


class _Draw:
    """One set of pseudo-cold items: everything that a trial needs."""

    def __init__(
        self,
        train: Timelines,
        both: Timelines,
        blocks: Mapping[str, ContentBlock],
        hidden: npt.NDArray[np.int64],
        items: int,
        max_items: int,
        generator: np.random.Generator,
        max_fit: int,
    ) -> None:
        cold = np.zeros(items, bool)
        cold[hidden] = True
        present = np.any([block.present for block in blocks.values()], axis=0)
        count = np.bincount(train.item_index, minlength=items) * (~cold & present)
        known = closed_form_items(count, max_items)
        self.train = restrict(train, known, items)
        self.items = len(known)
        inside = np.zeros(items, bool)
        inside[known] = True
        fitted = fit_standardizers(blocks, inside)
        sample = np.arange(len(known))
        if len(known) > max_fit:
            sample = np.sort(generator.choice(len(known), max_fit, replace=False))
        self.sample = sample
        content = {name: standardize(block, fitted[name]) for name, block in blocks.items()}
        content[PRESENCE] = np.column_stack([b.present for b in blocks.values()]).astype(np.float32)
        self.distances = {
            name: (
                squared_distance(x[known][sample], x[known][sample]),
                squared_distance(x[hidden], x[known][sample]),
            )
            for name, x in content.items()
        }
        relevant = relevance_matrix(restrict(both, hidden, items), len(hidden))
        history = restrict(both, known, items)
        users = np.flatnonzero((np.diff(relevant.indptr) > 0) & (np.diff(history.offsets) > 0))
        if len(users) > MAX_USERS:
            users = np.sort(generator.choice(users, MAX_USERS, replace=False))
        self.relevant = relevant[users]
        self.histories = {d: history_matrix(history, self.items, d)[users] for d in DECAYS}
        self.teachers: dict[float, tuple[Array, Array]] = {}

    def quality(self, point: Mapping[str, float], rank: int, seed: int) -> list[float]:
        """NDCG@20 at each decay."""
        ridge = point["teacher_ridge"]
        if ridge not in self.teachers:
            self.teachers[ridge] = _teacher(self.train, self.items, ridge, rank, seed)
        in_table, out_table = self.teachers[ridge]
        inner, outer = (
            sum(
                np.float32(point["scale"] * point[f"content.{name}"]) * pair[side]
                for name, pair in self.distances.items()
            )
            for side in (0, 1)
        )
        targets = out_table[self.sample]
        mean = targets.mean(0)
        solved = kernel_ridge(
            exponential_kernel(np.asarray(inner)), targets - mean, point["kernel_ridge"]
        )
        vectors = exponential_kernel(np.asarray(outer)) @ solved + mean
        scores: list[Any] = [np.asarray(h @ in_table) @ vectors.T for h in self.histories.values()]
        return [ndcg(each, None, self.relevant) for each in scores]


def fit_cold(
    train: Timelines,
    validation: Timelines,
    blocks: Mapping[str, ContentBlock],
    items: int,
    *,
    rank: int,
    seed: int,
    max_items: int,
    max_trials: int = 14,
    draws: int = 4,
    share: float = 0.15,
    max_fit: int = 2_500,
) -> ColdView | None:
    """Fits the content map on the warm items, choosing on the project's own pseudo-cold draws.

    Args:
        train: Positive events of the train part.
        validation: Positive events of the validation part; they count as relevant and as history of
            the draws, never in the fit.
        blocks: Content by feature.
        items: N.
        rank: r.
        seed: Of the draws, the samples and the cut.
        max_items: Items that the teacher may hold, the most frequent first.
        max_trials: A third of the trials at up to 6,000 items; fewer above. (They cost less than
            those of `fit_warm`.)
        draws: Sets of pseudo-cold items; their mean decides.
        share: Of the warm items that a draw hides.
        max_fit: Landmarks of the kernel in a trial; three times as many in the end.

    Returns:
        The view, or `None` when fewer than 20 warm items have any content.
    """
    if not blocks:
        return None
    count = np.bincount(train.item_index, minlength=items)
    present = np.any([block.present for block in blocks.values()], axis=0)
    warm = np.flatnonzero((count > 0) & present)
    if len(warm) < 20:
        return None
    generator = np.random.default_rng(seed)
    both = Timelines.concatenate(train, validation)
    names = [*blocks, PRESENCE]
    point: dict[str, float] = {"scale": SCALE, "kernel_ridge": 0.3, "teacher_ridge": 100.0}
    point |= {f"content.{name}": 1.0 for name in names}
    grid: dict[str, tuple[float, ...]] = {"kernel_ridge": (0.1, 1.0, 3.0)}
    grid |= {f"content.{n}": (0.1, 3.0) for n in blocks}
    grid[f"content.{PRESENCE}"] = (0.3, 3.0)
    grid |= {"scale": (0.02, 0.08), "teacher_ridge": (30.0, 300.0)}
    sets = []
    for _ in range(draws):
        hidden = np.sort(generator.choice(warm, max(1, int(share * len(warm))), replace=False))
        sets.append(_Draw(train, both, blocks, hidden, items, max_items, generator, max_fit))

    def by_decay(point: Mapping[str, float]) -> npt.NDArray[np.float64]:
        # A draw to a core: NumPy and LAPACK let go of the interpreter.
        with ThreadPoolExecutor(min(draws, os.cpu_count() or 1)) as pool:
            found = list(pool.map(lambda each: each.quality(point, rank, seed), sets))
        return np.mean(found, axis=0)

    trials = TRIALS * trials_for(min(len(warm), max_items), max_trials)
    best, value, _ = coordinate_search(
        point,
        grid,
        lambda p: float(by_decay(p).max()),
        max_trials=trials,
        passes=1,
    )
    decay = DECAYS[int(by_decay(best).argmax())]
    chosen = closed_form_items(count * present, max_items)
    in_table, out_table = _teacher(
        restrict(train, chosen, items), len(chosen), best["teacher_ridge"], rank, seed
    )
    return _final_map(
        blocks, chosen, count, in_table, out_table, best, decay, value, items, max_fit
    )


def _final_map(
    blocks: Mapping[str, ContentBlock],
    chosen: npt.NDArray[np.int64],
    count: npt.NDArray[np.int64],
    in_table: Array,
    out_table: Array,
    best: Mapping[str, float],
    decay: float,
    value: float,
    items: int,
    max_fit: int,
) -> ColdView:
    inside = np.zeros(items, bool)
    inside[chosen] = True
    landmarks = chosen
    if len(chosen) > 3 * max_fit:
        landmarks = np.sort(chosen[np.argsort(-count[chosen], kind="stable")[: 3 * max_fit]])
    bias = out_table.mean(0)
    in_full = np.zeros((items, in_table.shape[1]), np.float32)
    in_full[chosen] = in_table
    empty = np.zeros((0, 0), np.float32)
    view = ColdView(
        in_table=in_full,
        decay=decay,
        standardizers=fit_standardizers(blocks, inside),
        weights={n: best["scale"] * best[f"content.{n}"] for n in [*blocks, PRESENCE]},
        landmarks=landmarks,
        landmark_content=empty,
        coefficients=empty,
        bias=bias,
        targets=out_table[np.searchsorted(chosen, landmarks)],
        parameters=dict(best),
        pseudo_cold=value,
    )
    content = view.content_features(blocks)
    kernel = exponential_kernel(squared_distance(content[landmarks], content[landmarks]))
    if len(landmarks) == len(chosen):
        solved = kernel_ridge(kernel, out_table - bias, best["kernel_ridge"])
    else:
        # Subset of regressors (Rasmussen and Williams 2006, eq. 8.11): all items, fewer landmarks.
        cross = exponential_kernel(squared_distance(content[chosen], content[landmarks]))
        solved = kernel_ridge(
            cross.T @ cross + np.float32(best["kernel_ridge"]) * kernel,
            cross.T @ (out_table - bias),
            1e-3,
        )
    values = view.__dict__ | {"landmark_content": content[landmarks], "coefficients": solved}
    return ColdView(**values)
