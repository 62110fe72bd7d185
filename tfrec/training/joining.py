"""Join the closed-form view to a trained model, save it with the run, and restore it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.config.model import ModelConfig
from tfrec.errors import RunError
from tfrec.input import ItemInputs, ItemTable, Timelines
from tfrec.model import NeuralView, TwoTower
from tfrec.model.building import used_features
from tfrec.model.view import View
from tfrec.schema import Manifest
from tfrec.training.checkpoints import load_variables, save_variables, write_atomically
from tfrec.training.closed_form import choose_scale, fit_closed_form, weigh_unseen
from tfrec.training.validation import Validation

__all__ = ["history_length", "join_closed_form", "restore_joined"]

_BATCH = 256
CLOSED_FORM = "closed_form"
NEURAL = "neural"


def history_length(config: ModelConfig) -> int:
    """Latest events that the query tower is given: what the longest-sighted view reads."""
    length = config.query.history_length
    if config.closed_form.enabled:
        length = max(length, config.closed_form.history_length)
    return length


def join_closed_form(
    folder: Path,
    model: TwoTower,
    config: ModelConfig,
    manifest: Manifest,
    data: Path,
    neural_vectors: npt.NDArray[np.float32],
    as_unseen: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]],
    say: Callable[[str], None],
) -> float:
    """Fits the closed-form view, weighs the learned one beside it, and saves both facts.

    Args:
        folder: `RUN/checkpoints`.
        model: The trained model, its best weights restored.
        config: Resolved.
        manifest: Of the data.
        data: The prepared data.
        neural_vectors: float32 [N, d], the model's item vectors; of those without behaviour, their
            mean.
        as_unseen: The model's vectors of items as if nobody had met them.
        say: Takes lines for the person.

    Returns:
        The monitored metric of the joined model on the validation part.
    """
    specs = used_features(config, manifest)
    items = ItemTable.load(data, features=[spec.name for spec in specs], raw=False)
    train, later = Timelines.load(data, "train"), Timelines.load(data, "validation")
    learned = _learned(model)
    fitted = fit_closed_form(
        config, items, specs, train, later, say, learned_rank=learned.dimension
    )
    view = fitted.view
    validation = Validation(
        train,
        later,
        items=len(items),
        length=history_length(config),
        negatives=config.query.negatives,
        users=config.training.validation_users,
        seed=config.training.seed,
    )
    inputs = ItemInputs(items, list(view.blocks))
    vectors = {
        NEURAL: neural_vectors,
        CLOSED_FORM: _in_batches(view.item, len(items), lambda rows: inputs(rows)),
    }

    def some(rows: npt.NDArray[np.int64]) -> dict[str, Any]:
        return {name: value[rows] for name, value in validation.inputs.items()}

    queries = {
        NEURAL: _in_batches(model.query_tower, validation.users, some),
        CLOSED_FORM: _in_batches(view.query, validation.users, some),
    }
    monitor = config.training.monitor
    alone = validation.measure(queries[NEURAL], vectors[NEURAL], monitor)
    scales, spread = choose_scale(queries, vectors, validation, monitor)
    share = weigh_unseen(
        fitted,
        neural_vectors,
        as_unseen,
        queries,
        scales[NEURAL],
        config.closed_form.unseen_weight * min(1.0, spread),
        config.training.seed,
    )
    mean = learned.unseen_mean.numpy()
    unseen = np.flatnonzero(~items.warm)
    if scales[NEURAL] and len(unseen):
        learned.set_unseen(share, mean)
        moved = as_unseen(unseen)
        if view.learned_rank:
            moved += _in_batches(
                lambda some, training: view.placed(some),
                len(unseen),
                lambda rows: inputs(unseen[rows]),
            )
        neural_vectors[unseen] = moved
    joined = {name: query * np.float32(scales[name]) for name, query in queries.items()}
    value = validation.measure(
        np.hstack([joined[NEURAL], joined[CLOSED_FORM]]),
        np.hstack([vectors[NEURAL], vectors[CLOSED_FORM]]),
        monitor,
    )
    say(
        f"joined: {monitor} {value:.4f}; learned view alone {alone:.4f}; its scores are scaled by"
        f" {scales[NEURAL]:.3g}" + ("" if scales[NEURAL] else ", so it is left out of the model")
    )
    save_variables(folder / f"{CLOSED_FORM}.npz", view.variables, {})
    content = {
        "view": keras.saving.serialize_keras_object(view),
        "scales": scales,
        "unseen": {
            "share": share,
            "mean": mean.tolist(),
        },
    }
    write_atomically(folder / f"{CLOSED_FORM}.json", json.dumps(content).encode())
    return value


def restore_joined(folder: Path, model: TwoTower) -> TwoTower:
    """Puts the saved closed-form view beside the learned one.

    Args:
        folder: `RUN/checkpoints`.
        model: The learned model, its weights restored.

    Returns:
        The joined model; without the learned view where validation gave it no weight.

    Raises:
        RunError: The view is missing or damaged.
    """
    path = folder / f"{CLOSED_FORM}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        view = keras.saving.deserialize_keras_object(content["view"])
        scales, unseen = content["scales"], content["unseen"]
        learned = _learned(model)
        learned.set_unseen(unseen["share"], unseen["mean"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            str(path),
            "a run with a closed form has it beside its checkpoint",
            received=f"{type(error).__name__}; training has not ended",
            remedy="Go on with --resume, or train again",
        ) from error
    load_variables(folder / f"{CLOSED_FORM}.npz", view.variables)
    views: dict[str, View] = {CLOSED_FORM: view}
    if scales[NEURAL]:
        views = {NEURAL: learned, CLOSED_FORM: view}
    joined = TwoTower(views, name=model.name)
    joined.built = True
    joined.set_scales({name: scales[name] for name in views})
    return joined


def _learned(model: TwoTower) -> NeuralView:
    view = model.views[NEURAL]
    assert isinstance(view, NeuralView)
    return view


def _in_batches(
    tower: Callable[..., Any],
    count: int,
    inputs: Callable[[npt.NDArray[np.int64]], dict[str, Any]],
) -> npt.NDArray[np.float32]:
    parts = []
    for start in range(0, count, _BATCH):
        rows = np.arange(start, min(start + _BATCH, count))
        tensors = {name: tf.constant(value) for name, value in inputs(rows).items()}
        parts.append(tower(tensors, training=False).numpy())
    return np.concatenate(parts).astype(np.float32, copy=False)
