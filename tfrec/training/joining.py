"""Join other views to a trained model, save them with the run, and restore them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec import schema
from tfrec.config.model import ModelConfig
from tfrec.errors import RunError
from tfrec.input import ItemInputs, ItemTable, Timelines
from tfrec.input.inputs import HISTORY
from tfrec.model import NeuralView, QueryTower, TwoTower
from tfrec.model.building import used_features
from tfrec.model.parts import NEWNESS, POPULARITY
from tfrec.model.view import View
from tfrec.schema import Manifest
from tfrec.training.checkpoints import load_variables, save_variables, write_atomically
from tfrec.training.closed_form import FittedView, choose_scale, fit_closed_form, weigh_unseen
from tfrec.training.ids_view import IDS, prepare_ids_view
from tfrec.training.new_items import raise_new_items
from tfrec.training.popularity import choose_popularity
from tfrec.training.validation import Validation

__all__ = ["history_length", "is_joined", "join_views", "restore_joined"]

_BATCH = 256
# Items whose mean stands for what the content towers say of any.
_UNSEEN_SAMPLE = 2_048
_LEFT_OUT = ", so it is left out of the model"
CLOSED_FORM, NEURAL = "closed_form", "neural"
JOINED = "joined.json"


def is_joined(config: ModelConfig) -> bool:
    """Whether other views may stand beside the learned one."""
    beside = (config.closed_form.enabled, config.popularity.enabled, config.ids.enabled)
    return any(beside) or config.new_items.share > 0


def history_length(config: ModelConfig) -> int:
    """Latest events that the query tower is given: what the longest-sighted view reads."""
    length = config.query.history_length
    if config.closed_form.enabled:
        length = max(length, config.closed_form.history_length)
    return length


@dataclass
class _Joined:
    """Views side by side, and what they say of the catalogue and of the validation's users.

    Attributes:
        views: By name, in the order of their vectors.
        scales: Likewise; a view of scale 0 is left out of the model.
        vectors: Likewise, float32 [N, d].
        unseen: Of the learned view, where another view has a say on items without behaviour:
            `share` and `mean`, as `NeuralView.set_unseen` takes them.
    """

    views: dict[str, View]
    scales: dict[str, float]
    vectors: dict[str, npt.NDArray[np.float32]]
    unseen: dict[str, Any] | None = None

    def add(self, name: str, view: View, scale: float, vectors: npt.NDArray[np.float32]) -> None:
        """Puts a further view beside the others."""
        self.views[name], self.scales[name], self.vectors[name] = view, scale, vectors

    def embed(self, inputs: Mapping[str, Any]) -> npt.NDArray[np.float32]:
        """Joined query vectors."""
        count = len(inputs[HISTORY])

        def some(rows: npt.NDArray[np.int64]) -> dict[str, Any]:
            return {name: value[rows] for name, value in inputs.items()}

        return _in_batches(self.tower(), count, some)

    def tower(self) -> QueryTower:
        """The query tower of the views that count."""
        counted = [name for name in self.views if self.scales[name]]
        tower = QueryTower([self.views[name] for name in counted])
        tower.scales.assign([self.scales[name] for name in counted])
        return tower

    @property
    def items(self) -> npt.NDArray[np.float32]:
        """Joined item vectors."""
        return np.hstack([self.vectors[name] for name in self.views if self.scales[name]])


def join_views(
    folder: Path,
    model: TwoTower,
    config: ModelConfig,
    manifest: Manifest,
    data: Path,
    embed_items: Callable[[], npt.NDArray[np.float32]],
    as_unseen: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]],
    say: Callable[[str], None],
    *,
    ids: TwoTower | None = None,
) -> float:
    """Fits the views that stand beside the learned one, weighs them, and saves all of it.

    Args:
        folder: `RUN/checkpoints`.
        model: The trained model, its best weights restored.
        config: Resolved; it names the views.
        manifest: Of the data.
        data: The prepared data.
        embed_items: To float32 [N, d], the model's item vectors.
        as_unseen: The model's vectors of items as if nobody had met them.
        say: Takes lines for the person.
        ids: The model of ids alone, trained, where there is one.

    Returns:
        The monitored metric of the joined model on the validation part.
    """
    specs = used_features(config, manifest)
    items = ItemTable.load(data, features=[spec.name for spec in specs], raw=False)
    train, later = Timelines.load(data, "train"), Timelines.load(data, "validation")
    monitor = config.training.monitor
    validation = Validation(
        train,
        later,
        items=len(items),
        length=history_length(config),
        negatives=config.query.negatives,
        users=config.training.validation_users,
        seed=config.training.seed,
    )
    if config.closed_form.enabled:
        fitted = fit_closed_form(
            config, items, specs, train, later, say, learned_rank=_learned(model).dimension
        )
        joined = _beside_closed_form(
            model, fitted, config, items, validation, embed_items, as_unseen, say
        )
    else:
        joined = _Joined({NEURAL: model.views[NEURAL]}, {NEURAL: 1.0}, {NEURAL: embed_items()})
    if ids is not None:
        _beside_ids(joined, ids, items, validation, monitor, say)
    everything = {schema.ITEM_INDEX: np.where(items.warm, np.arange(len(items)), -1)}
    if config.popularity.enabled:
        view = choose_popularity(train, validation, joined.embed, joined.items, monitor, say)
        if view is not None:
            joined.add(POPULARITY, view, 1.0, view.item(everything).numpy())
    if config.new_items.share:
        queries, share = joined.embed(validation.inputs), config.new_items.share
        raised = raise_new_items(queries, joined.items, items.warm, validation, share, say)
        if raised is not None:
            joined.add(NEWNESS, raised, 1.0, raised.item(everything).numpy())
    value = validation.measure(joined.embed(validation.inputs), joined.items, monitor)
    say(f"joined: {monitor} {value:.4f} on validation, {', '.join(joined.views)}")
    others = {name: view for name, view in joined.views.items() if name != NEURAL}
    for name, view in others.items():
        save_variables(folder / f"{name}.npz", view.variables, {})
    content = {
        "views": {name: keras.saving.serialize_keras_object(v) for name, v in others.items()},
        "scales": joined.scales,
        "unseen": joined.unseen,
    }
    write_atomically(folder / JOINED, json.dumps(content).encode())
    return value


def _beside_closed_form(
    model: TwoTower,
    fitted: FittedView,
    config: ModelConfig,
    items: ItemTable,
    validation: Validation,
    embed_items: Callable[[], npt.NDArray[np.float32]],
    as_unseen: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]],
    say: Callable[[str], None],
) -> _Joined:
    """Weighs the learned view beside the closed form, on known items and on new ones."""
    view, learned, monitor = fitted.view, _learned(model), config.training.monitor
    unseen = np.flatnonzero(~items.warm)
    mean = as_unseen(np.arange(min(len(items), _UNSEEN_SAMPLE))).mean(0)
    learned.set_unseen(0.0, mean)
    inputs = ItemInputs(items, list(view.blocks))
    vectors = {
        NEURAL: embed_items(),
        CLOSED_FORM: _in_batches(view.item, len(items), lambda rows: inputs(rows)),
    }
    learned.set_unseen(1.0, mean)
    alone = {
        name: _Joined({name: each}, {name: 1.0}, vectors)
        for name, each in {NEURAL: learned, CLOSED_FORM: view}.items()
    }
    queries = {name: each.embed(validation.inputs) for name, each in alone.items()}
    value = validation.measure(queries[NEURAL], vectors[NEURAL], monitor)
    scale, spread = choose_scale(
        (queries[NEURAL], vectors[NEURAL]),
        (queries[CLOSED_FORM], vectors[CLOSED_FORM]),
        validation,
        monitor,
    )
    share = weigh_unseen(
        fitted,
        vectors[NEURAL],
        as_unseen,
        queries,
        scale,
        config.closed_form.unseen_weight * min(1.0, spread),
        config.training.seed,
    )
    if scale and len(unseen):
        learned.set_unseen(share, mean)
        moved = as_unseen(unseen)
        if view.learned_rank:
            moved += _in_batches(
                lambda some, training: view.placed(some),
                len(unseen),
                lambda rows: inputs(unseen[rows]),
            )
        vectors[NEURAL][unseen] = moved
    say(
        f"learned view: {monitor} {value:.4f} alone; beside the closed form its scores are scaled"
        f" by {scale:.3g}" + ("" if scale else _LEFT_OUT)
    )
    views: dict[str, View] = {NEURAL: learned, CLOSED_FORM: view}
    scales = {NEURAL: scale, CLOSED_FORM: 1.0}
    return _Joined(views, scales, vectors, {"share": share, "mean": mean.tolist()})


def _beside_ids(
    joined: _Joined,
    ids: TwoTower,
    items: ItemTable,
    validation: Validation,
    monitor: str,
    say: Callable[[str], None],
) -> None:
    """Gives the view of ids alone its weight beside what is joined already."""
    view = _learned(ids)
    own = _Joined({IDS: view}, {IDS: 1.0}, {IDS: prepare_ids_view(view, items.warm)})
    mine, others = ((one.embed(validation.inputs), one.items) for one in (own, joined))
    value = validation.measure(*mine, monitor)
    scale, _ = choose_scale(mine, others, validation, monitor)
    say(
        f"ids alone: {monitor} {value:.4f}; beside the rest their scores are scaled by {scale:.3g}"
        + ("" if scale else _LEFT_OUT)
    )
    if scale:
        joined.add(IDS, view, scale, own.vectors[IDS])


def restore_joined(folder: Path, model: TwoTower) -> TwoTower:
    """Puts the saved views beside the learned one.

    Args:
        folder: `RUN/checkpoints`.
        model: The learned model, its weights restored.

    Returns:
        The joined model; without the learned view where validation gave it no weight.

    Raises:
        RunError: A view is missing or damaged.
    """
    path = folder / JOINED
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        load = keras.saving.deserialize_keras_object
        others = {name: load(view) for name, view in content["views"].items()}
        scales, unseen = content["scales"], content["unseen"]
        if unseen is not None:
            _learned(model).set_unseen(unseen["share"], unseen["mean"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            str(path),
            "a run of several views has the others beside its checkpoint",
            received=f"{type(error).__name__}; training has not ended",
            remedy="Go on with --resume, or train again",
        ) from error
    for name, view in others.items():
        if isinstance(view, NeuralView):
            # Its layers make their weights when it is first asked.
            TwoTower({name: view}).build_from_config(model.get_build_config())
        load_variables(folder / f"{name}.npz", view.variables)
    views = {NEURAL: model.views[NEURAL], **others} if scales[NEURAL] else others
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
