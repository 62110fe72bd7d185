"""A trained model without one of its modalities: what each contributes to the quality."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from pydantic import BaseModel, ConfigDict

from tfrec import schema
from tfrec.evaluation import HeldOut, primary_metric, rank_vectors
from tfrec.evaluation.uncertainty import paired_difference
from tfrec.evaluation.user_values import SliceValues, measure_users
from tfrec.training import Run

__all__ = ["Ablation", "Change", "ablate"]

ID, CONTENT = "id", "all content"
_SLICES = ("all", "warm", "cold")
_BATCH = 256


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Frozen):
    """A metric with and without; the 95 % interval is of the paired difference over users.

    Attributes:
        whole, without: Means.
        difference, low, high: Without minus whole.
        users: Measured.
    """

    whole: float
    without: float
    difference: float
    low: float
    high: float
    users: int


class Ablation(_Frozen):
    """What the item tower is worth without something.

    Attributes:
        split, metric: What was measured.
        dropped: By what was taken away: `id`, a feature's name, `all content`; then by slice.
    """

    split: str
    metric: str
    dropped: dict[str, dict[str, Change]]


def ablate(run: Run, held_out: HeldOut, *, k: int = 20) -> Ablation:
    """Takes each modality from every item, and ranks the catalogue again.

    Weights stay as they are, so this tells what the trained model leans on; a model that is trained
    without the modality may make up for it. Users' histories keep what they know of items.

    Args:
        run: A trained run.
        held_out: Its data's.
        k: Depth of NDCG.
    """
    metric = primary_metric([k])
    queries = run.query_vectors(held_out.targets, held_out.past, at=held_out.at)

    def measure(dropped: frozenset[str]) -> dict[str, SliceValues]:
        lists = rank_vectors("model", queries, _item_vectors(run, dropped), held_out)
        values = measure_users(
            held_out, lists, primary=metric, fingerprint=run.manifest.fingerprint
        )
        return {part.name: part for part in values.slices if part.name in _SLICES}

    features = frozenset(run.items.present)
    whole = measure(frozenset())
    found = {}
    chances: dict[str, frozenset[str]] = {ID: frozenset({ID})} if run.config.item.use_id else {}
    chances |= {name: frozenset({name}) for name in sorted(features)}
    if len(features) > 1:
        chances[CONTENT] = features
    for name, dropped in chances.items():
        without = measure(dropped)
        found[name] = {
            part: _change(whole[part], without[part], metric) for part in _SLICES if part in whole
        }
    return Ablation(split=held_out.split, metric=metric, dropped=found)


def _item_vectors(run: Run, dropped: frozenset[str]) -> npt.NDArray[np.float32]:
    count = len(run.items)
    parts = []
    for start in range(0, count, _BATCH):
        inputs: dict[str, Any] = run.item_inputs(np.arange(start, min(start + _BATCH, count)))
        for name in dropped:
            key = schema.ITEM_INDEX if name == ID else schema.present(name)
            inputs[key] = np.full_like(inputs[key], -1 if name == ID else 0)
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        parts.append(run.model.item_tower(tensors, training=False).numpy())
    return np.concatenate(parts).astype(np.float32, copy=False)


def _change(whole: SliceValues, without: SliceValues, metric: str) -> Change:
    before = whole.metrics[metric].astype(np.float64)
    after = without.metrics[metric].astype(np.float64)
    found = paired_difference(after, before)
    return Change(
        whole=float(before.mean()),
        without=float(after.mean()),
        difference=found.value,
        low=found.low,
        high=found.high,
        users=len(before),
    )
