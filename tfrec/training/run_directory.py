"""A run on disk: its files, and the trained model that they restore."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.config.loading import load_config
from tfrec.config.model import ModelConfig
from tfrec.errors import RunError
from tfrec.input import ItemInputs, ItemTable, Timelines, query_inputs
from tfrec.model import TwoTower, build_model
from tfrec.model.building import used_features
from tfrec.schema import DataLayout, Manifest
from tfrec.training.checkpoints import load_variables
from tfrec.training.joining import history_length, is_joined, restore_joined
from tfrec.training.precision import precision

__all__ = ["Run", "RunLayout", "load_run"]

Vectors = npt.NDArray[np.float32]

# Rows a call of a tower: more gain nothing, and raw media are large.
_BATCH = 256


class RunLayout:
    """Paths inside a run directory.

    Args:
        root: The directory.

    Example:
        >>> RunLayout("run").best.as_posix()
        'run/checkpoints/best.npz'
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.config = self.root / "config.yaml"
        self.data = self.root / "data.json"
        self.best = self.root / "checkpoints" / "best.npz"
        self.last = self.root / "checkpoints" / "last.npz"
        self.history = self.root / "history.json"
        self.plot = self.root / "training.png"
        self.tensorboard = self.root / "tensorboard"
        self.ids = self.root / "ids"


@dataclass(frozen=True)
class Run:
    """A trained model with its configuration and the data that it was trained on.

    Attributes:
        layout: Where it lies.
        config: Resolved.
        data: The prepared data directory.
        manifest: Of the data.
        model: The two towers, the best weights restored.
    """

    layout: RunLayout
    config: ModelConfig
    data: Path
    manifest: Manifest
    model: TwoTower

    @functools.cached_property
    def items(self) -> ItemTable:
        """The catalogue, with what the item tower reads."""
        names = [spec.name for spec in used_features(self.config, self.manifest)]
        return ItemTable.load(self.data, features=names, raw=False)

    @functools.cached_property
    def train(self) -> Timelines:
        """The train part."""
        return Timelines.load(self.data, "train")

    @property
    def history_length(self) -> int:
        """Events that the query tower reads."""
        return history_length(self.config)

    def history_of(self, timelines: Timelines) -> Timelines:
        """The events that the model takes for history: positives, unless configured otherwise."""
        return timelines if self.config.query.negatives else timelines.positives()

    def item_inputs(self, rows: npt.NDArray[np.integer[Any]] | None = None) -> dict[str, Any]:
        """Inputs of the item tower for items of the catalogue; all unless given."""
        names = [spec.name for spec in used_features(self.config, self.manifest)]
        chosen = np.arange(len(self.items)) if rows is None else rows
        return ItemInputs(self.items, names)(chosen)

    def query_inputs(
        self, timelines: Timelines, *, at: npt.NDArray[np.int64] | None = None
    ) -> dict[str, Any]:
        """Inputs of the query tower for users whose past the timelines are."""
        return query_inputs(self.history_of(timelines), self.history_length, at=at)

    def item_vectors(self) -> Vectors:
        """The item tower of the whole catalogue, float32 [N, D]."""
        parts = [
            _apply(self.model.item_tower, self.item_inputs(rows))
            for rows in _spans(len(self.items))
        ]
        return np.concatenate(parts)

    def query_vectors(
        self,
        timelines: Timelines,
        history: Timelines | None = None,
        *,
        at: npt.NDArray[np.int64] | None = None,
    ) -> Vectors:
        """The query tower of some users.

        Args:
            timelines: The users; their events are the history unless it is given.
            history: Timelines to take these users' past from; who isn't in it has none.
            at: int64 [U], when each question is asked; a user's last event unless given.

        Returns:
            float32 [U, D].
        """
        past = timelines if history is None else history.select(timelines.user_index)
        inputs = self.query_inputs(past, at=at)
        for name, flags in timelines.profile_present.items():
            inputs[name], inputs[f"{name}/present"] = timelines.profile[name], flags
        if not len(timelines):
            return np.zeros((0, self.model.dimension), np.float32)
        parts = [
            _apply(self.model.query_tower, {name: value[rows] for name, value in inputs.items()})
            for rows in _spans(len(timelines))
        ]
        return np.concatenate(parts)


def load_run(run: str | Path, *, data: str | Path | None = None) -> Run:
    """Restores a trained run.

    Args:
        run: The run directory.
        data: The prepared data, when it isn't where it was at training.

    Returns:
        The run, the best weights in its model.

    Raises:
        RunError: The run is missing or unfinished, or the data is not what it was trained on.
        DataError: The data is missing.
    """
    layout = RunLayout(run)
    try:
        content = json.loads(layout.data.read_text(encoding="utf-8"))
        where, fingerprint = content["data"], content["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            str(layout.root),
            "a run directory has a data.json",
            received="one that can't be read" if layout.data.is_file() else "none there",
            remedy="Train into it first: tfrec train DATA RUN",
        ) from error
    config = load_config(layout.config, ModelConfig)
    root = Path(data if data is not None else where)
    manifest = DataLayout(root).read_manifest()
    check_fingerprint(layout, manifest, fingerprint)
    if not layout.best.is_file():
        raise RunError(
            str(layout.root),
            "the run must have a checkpoint",
            received="no checkpoints/best.npz; training has not ended its first epoch",
            remedy="Train again, or go on with --resume",
        )
    with precision(config.training.mixed_precision):
        model = build_model(config, manifest)
    load_variables(layout.best, model.variables)
    if is_joined(config):
        model = restore_joined(layout.best.parent, model)
    return Run(layout, config, root, manifest, model)


def check_fingerprint(layout: RunLayout, manifest: Manifest, fingerprint: str) -> None:
    """Refuses data of other features, vocabularies or ids than a run was trained on.

    Raises:
        RunError: It is.
    """
    if manifest.fingerprint != fingerprint:
        raise RunError(
            str(layout.root),
            "the data must have the features and vocabularies that the run was trained on,"
            f" fingerprint {fingerprint}",
            received=manifest.fingerprint,
            remedy="Train again on the new data",
        )


def _spans(count: int) -> list[npt.NDArray[np.int64]]:
    return [np.arange(start, min(start + _BATCH, count)) for start in range(0, count, _BATCH)]


def _apply(tower: Any, inputs: dict[str, Any]) -> Vectors:
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    vectors: Vectors = tower(tensors, training=False).numpy()
    return vectors.astype(np.float32, copy=False)
