"""What is made of items and profiles once, before a training's first step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tfrec.config.model import ModelConfig
from tfrec.input import ItemTable, Timelines
from tfrec.input.augmentation import Augmenter
from tfrec.model import NeuralView, history_content
from tfrec.towers import (
    NeighboursTower,
    PretrainedTextTower,
    Tower,
    WordVectorsTower,
    prepared_kind,
)
from tfrec.training.catalogue import Catalogue, prepare
from tfrec.training.distillation import Distilled, distill, media_towers

__all__ = ["prepare_catalogue", "with_prepared_profile"]


def prepare_catalogue(
    config: ModelConfig,
    items: ItemTable,
    timelines: Timelines,
    view: NeuralView,
    say: Callable[[str], None],
) -> Catalogue:
    """Does for the item towers what learns nothing, trains those of raw media, gathers the rest.

    Args:
        config: Resolved.
        items: The catalogue, with the features that are used.
        timelines: The train part.
        view: Its weights made; its neighbours, content vectors and media towers are set.
        say: Called with a line for each milestone.
    """
    towers, training = view.item_towers, config.training
    for name, tower in towers.items():
        if isinstance(tower, WordVectorsTower):
            texts = items.features[name][items.present[name]]
            say(f"word vectors of {name}: {tower.coverage(texts)}")
        if isinstance(tower, NeighboursTower):
            rows = np.flatnonzero(items.present[name] & items.warm)
            order = np.argsort(-items.train_count[rows], kind="stable")
            tower.remember(items.value(name)[rows[order]])
    augment = _augmenter(config, items, towers)
    vectors: dict[str, Any] = {}
    if training.media == "distilled":
        done = distill(
            items,
            timelines,
            media_towers(items, towers),
            seed=training.seed,
            augment=augment,
            told=lambda name, result: say(_told(name, result)),
        )
        vectors = {name: result.vectors for name, result in done.items()}
    if view.content:
        view.set_content(history_content(items, tuple(items.specs), view.content, vectors))
    return Catalogue(items, towers, vectors, augment)


def with_prepared_profile(timelines: Timelines, towers: Mapping[str, Tower]) -> Timelines:
    """What the towers read; texts as word indices.

    Hashing them anew in each step cost as much as all other towers, and XLA takes no strings.
    """
    texts = {
        name: prepare(tower, timelines.profile[name])
        for name, tower in towers.items()
        if timelines.profile[name].dtype == object and len(timelines)
    }
    present = timelines.profile_present
    return replace(
        timelines,
        profile={name: texts.get(name, timelines.profile[name]) for name in towers},
        profile_present={name: present[name] for name in towers},
    )


def _augmenter(
    config: ModelConfig, items: ItemTable, towers: Mapping[str, Tower]
) -> Augmenter | None:
    """What augmentation the configuration asks for."""
    if config.augmentation is None:
        return None
    # Tokens of a pretrained text model are no words that could be left out one by one.
    plain = {n for n, t in towers.items() if not isinstance(t, PretrainedTextTower)}
    kinds = {n: prepared_kind(items.specs[n]) if n in plain else "tokens" for n in towers}
    return Augmenter(config.augmentation, kinds)


def _told(name: str, result: Distilled) -> str:
    return (
        f"tower of {name}: cosine {result.cosine:.3f} to what behaviour says of unseen items,"
        f" a constant has {result.constant:.3f}; {result.passes} passes"
    )
