"""Fit the closed-form view, and weigh it against the learned one on the validation part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import tensorflow as tf
from threadpoolctl import threadpool_limits

from tfrec.config.model import ModelConfig
from tfrec.input import ItemTable, Timelines
from tfrec.model.closed_form_view import ClosedFormView
from tfrec.model.descriptors import Descriptor, build_descriptor
from tfrec.schema import FROM_BEHAVIOUR, FeatureSpec
from tfrec.teachers import ColdView, WarmView, fit_cold, fit_warm, place
from tfrec.teachers.content import ContentBlock
from tfrec.teachers.histories import history_matrix
from tfrec.training.validation import Validation

__all__ = ["FittedView", "choose_scale", "fit_closed_form", "weigh_unseen"]

Array = npt.NDArray[np.float32]

_BATCH = 512
_SAMPLE = 2_000
# How much the learned view's scores spread beside the closed form's.
SHARES = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
# Below this relative gain the simpler score is kept: on 500 users it is noise.
MIN_GAIN = 0.004


@dataclass(frozen=True)
class FittedView:
    """The view, and what is needed to weigh other opinions on new items beside its own.

    Attributes:
        view: The view.
        cold: The content map, if there is one.
        cold_scale: What its vectors are multiplied by in the view.
    """

    view: ClosedFormView
    cold: ColdView | None
    cold_scale: float


def fit_closed_form(
    config: ModelConfig,
    items: ItemTable,
    specs: tuple[FeatureSpec, ...],
    train: Timelines,
    validation: Timelines,
    report: Callable[[str], None],
    *,
    learned_rank: int = 0,
) -> FittedView:
    """Fits both teachers on the train part and builds the view.

    Args:
        config: The model's configuration.
        items: The catalogue.
        specs: The item features that the model reads.
        train: The train part.
        validation: The validation part: it chooses parameters, nothing is fitted on it.
        report: Takes one line on each step.
        learned_rank: Width of the learned view's vectors, if there is one beside it.
    """
    options, count = config.closed_form, len(items)
    past, later = train.positives(), validation.positives()
    descriptors: dict[str, Descriptor] = {}
    blocks: dict[str, ContentBlock] = {}
    for spec in specs:
        if not items.present[spec.name].any():
            continue
        descriptor = build_descriptor(spec, items.value(spec.name), items.present[spec.name])
        descriptors[spec.name] = descriptor
        values = _describe(descriptor, items.value(spec.name))
        blocks[spec.name] = ContentBlock(values, items.present[spec.name])
    seed = config.training.seed
    shared: dict[str, Any] = {
        "rank": options.rank,
        "seed": seed,
        "max_items": options.max_items,
        "max_trials": options.max_trials,
    }
    # On a busy machine two BLAS threads wait for each other in every column: 6.4 s for what one
    # does in 0.2 s (1,800 items).
    with threadpool_limits(1, "blas"):
        warm = fit_warm(past, later, blocks, count, **shared)
    report(
        f"closed form, items with behaviour: {int(warm.covered.sum()):,} items, validation"
        f" NDCG@20 {warm.validation:.4f}, {_shown(warm.parameters)}, decay {warm.decay:g}"
    )
    with threadpool_limits(1, "blas"):
        content = {name: b for name, b in blocks.items() if name not in FROM_BEHAVIOUR}
        cold = fit_cold(past, later, content, count, **shared)
    if cold is None:
        bare = ClosedFormView.from_teachers(
            warm,
            None,
            {},
            None,
            np.zeros(count, bool),
            1.0,
            name="closed_form",
            history_length=options.history_length,
        )
        return FittedView(bare, None, 1.0)
    report(
        f"closed form, items placed by content: NDCG@20 {cold.pseudo_cold:.4f} on hidden items,"
        f" {_shown(cold.parameters)}, decay {cold.decay:g}"
    )
    vectors = cold.item_vectors(cold.content_features(blocks))
    cold_scale = _cold_scale(warm, cold, vectors, past, seed)
    view = ClosedFormView.from_teachers(
        warm,
        cold,
        descriptors,
        vectors,
        ~warm.covered,
        cold_scale,
        name="closed_form",
        history_length=options.history_length,
        learned_rank=learned_rank,
    )
    return FittedView(view, cold, cold_scale)


def weigh_unseen(
    fitted: FittedView,
    learned: Array,
    as_unseen: Callable[[npt.NDArray[np.int64]], Array],
    queries: Mapping[str, Array],
    scale: float,
    weight: float,
    seed: int,
) -> float:
    """Gives the learned view's two opinions on new items their weight beside the closed form's.

    How far an opinion spreads scores is measured on known items that it hasn't been shown: half of
    the landmarks, by maps that were fitted on the other half, and what the content towers say of
    the same items without their ids.

    Args:
        fitted: The closed form; its view is told what its kernel says of the learned vectors.
        learned: float32 [N, d], learned vectors of the catalogue.
        as_unseen: Learned vectors of items as if nobody had met them.
        queries: `neural` and `closed_form`, float32 [users, d] each.
        scale: Of the learned view.
        weight: Spread of each opinion beside the closed form's own.
        seed: Of the halves.

    Returns:
        The share of the content towers' differences that is kept.
    """
    cold, view = fitted.cold, fitted.view
    if cold is None or not scale or not weight:
        return 0.0
    with threadpool_limits(1, "blas"):
        # Of its own strength, which ranking chose: least squares would choose a shyer one.
        own = place(cold, cold.targets, seed=seed, ridges=[cold.parameters["kernel_ridge"]])
        carried = place(cold, learned[cold.landmarks], seed=seed)
    told = as_unseen(cold.landmarks[own.held_out])

    def spread(query: Array, vectors: Array) -> float:
        scores = query[:_SAMPLE] @ vectors[:_SAMPLE].T
        return max(float((scores - scores.mean(1, keepdims=True)).std()), 1e-9)

    closed = spread(
        queries["closed_form"][:, view.warm_rank :], np.float32(fitted.cold_scale) * own.predicted
    )
    query = queries["neural"] * np.float32(scale)
    view.set_learned(
        np.float32(weight * closed / spread(query, carried.predicted)) * carried.coefficients
    )
    return weight * closed / spread(query, told)


def choose_scale(
    view: tuple[Array, Array],
    others: tuple[Array, Array],
    validation: Validation,
    metric: str,
) -> tuple[float, float]:
    """Scale of a view beside others that validates best.

    Args:
        view: Queries of the validation's users, float32 [users, d], and items, [N, d].
        others: Likewise.
        validation: The measure.
        metric: Its name.

    Returns:
        The scale, and how far the view's scores then spread beside the others'.
    """
    own, beside = (
        max(float((queries[:_SAMPLE] @ vectors[:_SAMPLE].T).std()), 1e-9)
        for queries, vectors in (view, others)
    )
    items = np.hstack([view[1], others[1]])
    best: tuple[float, float, float] | None = None
    for share in SHARES:
        scale = share * beside / own
        both = np.hstack([view[0] * np.float32(scale), others[0]])
        value = validation.measure(both, items, metric)
        if best is None or value > best[1] * (1 + MIN_GAIN):
            best = scale, value, share
    assert best is not None
    return best[0], best[2]


def _describe(descriptor: Descriptor, values: npt.NDArray[Any]) -> Array:
    parts = [
        descriptor(tf.constant(values[start : start + _BATCH])).numpy()
        for start in range(0, len(values), _BATCH)
    ]
    return np.concatenate(parts).astype(np.float32)


def _cold_scale(
    warm: WarmView, cold: ColdView, vectors: Array, train: Timelines, seed: int
) -> float:
    """Least-squares slope of warm scores on content scores, over warm items and some users."""
    users = np.flatnonzero(np.diff(train.offsets) > 0)
    if len(users) > _SAMPLE:
        users = np.sort(np.random.default_rng(seed).choice(users, _SAMPLE, replace=False))
    inside = np.flatnonzero(warm.covered)[:_SAMPLE]

    def scores(decay: float, in_table: Array, out_table: Array) -> Array:
        rows = history_matrix(train, len(in_table), decay)[users]
        mean = sp.diags(1 / np.maximum(np.asarray(rows.sum(1)).ravel(), 1e-9)) @ rows
        return np.asarray(mean @ in_table, np.float32) @ out_table[inside].T

    own = scores(warm.decay, warm.in_table, warm.out_table)
    placed = scores(cold.decay, cold.in_table, vectors)
    return float((own * placed).sum() / max(float((placed * placed).sum()), 1e-12))


def _shown(parameters: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in parameters.items())
