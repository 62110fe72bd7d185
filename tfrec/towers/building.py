"""From a feature's specification to the tower that reads it."""

from __future__ import annotations

from typing import Any

from tfrec.config.model import Component
from tfrec.errors import DescriptionError
from tfrec.registry import create, lookup, names
from tfrec.schema import FeatureSpec
from tfrec.towers.history import HistoryTower
from tfrec.towers.tower import Tower

__all__ = ["DEFAULT_TOWERS", "build_history", "build_tower", "prepared_kind"]

DEFAULT_TOWERS = {
    "vector": "projection",
    "text": "words",
    "image": "image_cnn",
    "audio": "audio_cnn",
    "video": "frames",
    "categorical": "categorical",
    "tags": "tags",
    "numeric": "periodic",
}


def prepared_kind(spec: FeatureSpec) -> str:
    """What a tower of the feature is given: `vector` when there is an encoding, else its modality.

    An `embedding` is a `vector` too.
    """
    if spec.encoded_dim is not None or spec.modality == "embedding":
        return "vector"
    return spec.modality


def build_tower(spec: FeatureSpec, component: Component | None, dimension: int) -> Tower:
    """Builds the tower of one feature.

    Args:
        spec: The feature, as preprocessing resolved it.
        component: The tower that a configuration names; None takes the default for what the feature
            is (`DEFAULT_TOWERS`).
        dimension: Width of its result.

    Returns:
        The layer, from the feature's prepared form to [batch, dimension].

    Raises:
        DescriptionError: The tower is unknown, has no such option, or doesn't read such a feature.
    """
    kind = prepared_kind(spec)
    component = component or Component(type=DEFAULT_TOWERS[kind])
    where = f"tower of `{spec.name}`"
    cls: Any = lookup("tower", component.type, where=where)
    if kind not in cls.modalities:
        fitting = [
            name
            for name in names("tower")
            if kind in getattr(lookup("tower", name, where=where), "modalities", ())
        ]
        shown = "an encoded vector" if spec.encoded_dim is not None else kind
        raise DescriptionError(
            where,
            f"the tower `{component.type}` reads {' or '.join(sorted(cls.modalities))}",
            received=f"{spec.modality} feature, prepared as {shown}",
            remedy=f"Towers for it: {', '.join(fitting)}",
        )
    return create("tower", component, where=where, dimension=dimension, **cls.arguments(spec))


def build_history(component: Component, dimension: int, events: int = 0) -> HistoryTower:
    """Builds the encoder of a user's history.

    Args:
        component: The encoder that a configuration names.
        dimension: Width of the items' vectors and of the result.
        events: Size of the event types' vocabulary; 0 when there are no types.

    Returns:
        The layer, called with vectors, present, ages, events.

    Raises:
        DescriptionError: It is unknown or has no such option.
    """
    return create("history", component, where="query.history", dimension=dimension, events=events)
