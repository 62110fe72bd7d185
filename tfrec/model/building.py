"""From a configuration and a manifest to the model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tfrec.config.model import Component, ModelConfig
from tfrec.errors import DescriptionError
from tfrec.model.example import example_items, example_queries
from tfrec.model.graph_view import GraphView
from tfrec.model.neural_view import NeuralView
from tfrec.model.two_tower import TwoTower
from tfrec.model.view import View
from tfrec.registry import create
from tfrec.schema import FIRST_VALUE_INDEX, FeatureSpec, Manifest
from tfrec.towers import Tower, build_history, build_tower

__all__ = ["build_model", "build_neural_view", "used_features"]


def used_features(config: ModelConfig, manifest: Manifest) -> tuple[FeatureSpec, ...]:
    """The item features that a model reads.

    Raises:
        DescriptionError: The configuration names one that the data doesn't have.
    """
    if config.item.features is None:
        return manifest.item_features
    known = {spec.name: spec for spec in manifest.item_features}
    for name in config.item.features:
        if name not in known:
            raise DescriptionError(
                "item.features",
                "each must be an item feature of the prepared data",
                received=name,
                remedy=f"It has: {', '.join(known) or 'none'}",
            )
    return tuple(known[name] for name in config.item.features)


def build_neural_view(config: ModelConfig, manifest: Manifest) -> NeuralView:
    """Builds the learned view of a resolved configuration.

    Args:
        config: With nothing left open (see `tfrec.training.resolve`).
        manifest: Of the prepared data.

    Returns:
        The view, its layers not built yet.

    Raises:
        DescriptionError: A component, an option or a feature is wrong.
    """
    assert config.dimension is not None
    width = config.dimension
    specs = used_features(config, manifest)
    item_towers = {spec.name: _tower(spec, config.item.towers, width) for spec in specs}
    if not item_towers and not config.item.use_id:
        raise DescriptionError(
            "item",
            "an item needs its id or a feature",
            received="use_id: false, and no features",
            remedy="Set one of them",
        )
    fusion = None
    if item_towers:
        fusion = create("fusion", config.item.fusion, where="item.fusion", dimension=width)
    query = config.query
    vocabulary = manifest.events_vocabulary
    events = len(vocabulary) + FIRST_VALUE_INDEX if vocabulary else 0
    history = build_history(query.history, width, events) if query.history else None
    profile = manifest.user_features if query.profile else ()
    context = manifest.context_features if query.context else ()
    graph = config.graph
    if graph is not None and manifest.positives.get("train", 0) > graph.max_positives:
        raise DescriptionError(
            "graph.max_positives",
            "each step goes over all positives of the train part, which must be no more than"
            f" {graph.max_positives:,}",
            received=f"{manifest.positives['train']:,}",
            remedy="Leave `graph` out, or allow them if a step may take so long",
        )
    if history is None and not query.use_id and not profile:
        raise DescriptionError(
            "query",
            "a query needs a history, a user id or a profile",
            received="none of them",
            remedy="Set `query.history` or `query.use_id`",
        )
    make = NeuralView if graph is None else partial(GraphView, layers=graph.layers)
    return make(
        width,
        items=manifest.items,
        users=manifest.users if query.use_id else 0,
        item_towers=item_towers,
        fusion=fusion,
        item_id=config.item.use_id,
        item_bias=config.item.bias,
        # Without content, nothing learns to stand for a hidden id.
        id_dropout=config.item.id_dropout if item_towers else 0.0,
        modality_dropout=config.item.modality_dropout,
        history=history,
        content=query.history_content if item_towers else 0,
        profile_towers={spec.name: _tower(spec, query.towers, width) for spec in profile},
        context_towers={spec.name: _tower(spec, query.towers, width) for spec in context},
        normalize=config.loss.normalize,
        history_length=query.history_length,
        name="neural",
    )


def build_model(
    config: ModelConfig, manifest: Manifest, *, others: Mapping[str, View] | None = None
) -> TwoTower:
    """Builds the whole model, every weight made.

    Args:
        config: With nothing left open.
        manifest: Of the prepared data.
        others: Further views by name, after the learned one.

    Returns:
        The model.

    Raises:
        DescriptionError: A component, an option or a feature is wrong.
    """
    views: dict[str, View] = {"neural": build_neural_view(config, manifest), **(others or {})}
    model = TwoTower(views, name=config.name.replace("-", "_").replace(".", "_"))
    inputs: dict[str, Any] = example_queries(manifest, config.query.history_length)
    inputs |= example_items(used_features(config, manifest))
    model.build_layers(inputs)
    return model


def _tower(spec: FeatureSpec, towers: Mapping[str, Component], width: int) -> Tower:
    component = towers.get(spec.name) or towers.get(spec.modality)
    return build_tower(spec, component, width)
