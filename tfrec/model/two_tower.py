"""Two towers whose inner product is the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec.model.parts import HISTORY_INPUTS, Parts, QueryParts
from tfrec.model.view import PLACED, PLACED_PARTS, View

__all__ = ["ItemTower", "QueryTower", "TwoTower"]

ops = keras.ops


class _Side(keras.layers.Layer):
    """One side of several views, side by side.

    Args:
        views: The views, in order.
        **kwargs: Keras' own.
    """

    def __init__(self, views: Sequence[View], **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.views = list(views)
        self.built = True

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        return sum(view.dimension for view in self.views)


class QueryTower(_Side):
    """From a query's inputs to float32 [batch, D]: the views' query vectors, each times its scale.

    Args:
        views: The views, in order.
        **kwargs: Keras' own.

    Attributes:
        scales: float32 [views], not trained: how much each view counts in the score. 1 at first.
    """

    def __init__(self, views: Sequence[View], **kwargs: Any) -> None:
        super().__init__(views, **kwargs)
        self.scales = self.add_weight(
            shape=(len(views),),
            initializer="ones",
            trainable=False,
            name="scales",
            dtype="float32",
            autocast=False,
        )

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """Embeds queries."""
        parts = [
            view.query(_recent(inputs, view.history_length), training) * self.scales[place]
            for place, view in enumerate(self.views)
        ]
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, -1)

    def at_places(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """Embeds queries after some positions of histories, in one pass over each history.

        Args:
            inputs: As of `NeuralView.query_at`.
            training: Whether this is a training step.

        Returns:
            float32 [places, D].
        """
        parts = [
            view.query_at(inputs, training) * self.scales[place]
            for place, view in enumerate(self.views)
        ]
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, -1)

    def parts(self, inputs: dict[str, Any]) -> QueryParts:
        """What the vectors are the sum of; see `tfrec.model.parts`.

        Returns:
            Events float32 [batch, L, D], of the whole history that was given, and others
            [batch, D].
        """
        length = inputs["history"].shape[1]
        events, others = [], []
        for place, view in enumerate(self.views):
            scale = self.scales[place]
            found = view.query_parts(_recent(inputs, view.history_length))
            older = length - found.events.shape[1]
            events.append(tf.pad(found.events * scale, [[0, 0], [older, 0], [0, 0]]))
            others.append({name: part * scale for name, part in found.others.items()})
        return QueryParts(tf.concat(events, -1), _side_by_side(others, self.views))


def _side_by_side(parts: Sequence[Parts], views: Sequence[View]) -> Parts:
    """Parts of several views to parts of the vector that holds them all."""
    joined: Parts = {}
    before, total = 0, sum(view.dimension for view in views)
    for view, own in zip(views, parts, strict=True):
        after = total - before - view.dimension
        for name, part in own.items():
            placed = tf.pad(part, [[0, 0], [before, after]])
            joined[name] = joined[name] + placed if name in joined else placed
        before += view.dimension
    return joined


def _recent(inputs: dict[str, Any], length: int | None) -> dict[str, Any]:
    """Cuts the history, which is right-aligned, to its latest events."""
    if length is None:
        return inputs
    cut = {name: inputs[name][:, -length:] for name in HISTORY_INPUTS if name in inputs}
    return {**inputs, **cut}


class ItemTower(_Side):
    """From an item's inputs to float32 [batch, D]: the views' item vectors."""

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """Embeds items."""
        placed = self._placed(inputs)
        given = inputs if placed is None else {**inputs, PLACED: placed}
        parts = [view.item(given, training) for view in self.views]
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, -1)

    def parts(self, inputs: dict[str, Any]) -> Parts:
        """What the vectors are the sum of, float32 [batch, D] each; see `tfrec.model.parts`."""
        given = dict(inputs)
        if self._placed(inputs) is not None:
            given[PLACED_PARTS] = {}
            for view in self.views:
                given[PLACED_PARTS].update(view.placed_parts(inputs))
        return _side_by_side([view.item_parts(given) for view in self.views], self.views)

    def _placed(self, inputs: dict[str, Any]) -> Any | None:
        """What a view has to say on another's vectors, where there is another."""
        told = [view.placed(inputs) for view in self.views] if len(self.views) > 1 else []
        some = [each for each in told if each is not None]
        return some[0] if some else None


@keras.saving.register_keras_serializable("tfrec")
class TwoTower(keras.Model):
    """A query tower and an item tower over the same views.

    Args:
        views: By name, in the order of their vectors.
        **kwargs: Keras' own.

    Attributes:
        views: As given.
        query_tower, item_tower: Callable alone, each to float32 [batch, dimension].
    """

    def __init__(self, views: Mapping[str, View], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not views:
            raise ValueError("`views` must hold at least one. Received: none")
        self.views = dict(views)
        self.query_tower = QueryTower(list(views.values()), name="query_tower")
        self.item_tower = ItemTower(list(views.values()), name="item_tower")
        self._forms: dict[str, tuple[list[int | None], str]] = {}

    def build(self, inputs_shape: Any = None) -> None:
        """Notes that it is built; the views build their layers when they are first asked."""
        self.built = True

    def build_layers(self, inputs: dict[str, Any]) -> None:
        """Makes every layer's weights.

        Args:
            inputs: Inputs of both towers, tensors of the right form and of no meaning.
        """
        self(inputs)
        self._forms = {
            name: ([None, *value.shape[1:]], value.dtype.name) for name, value in inputs.items()
        }

    def get_build_config(self) -> dict[str, Any]:
        """Forms of the inputs, by which a loaded model makes its weights."""
        return {"inputs": self._forms}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Makes the weights of a loaded model."""
        inputs = {}
        for name, (shape, dtype) in config["inputs"].items():
            size = [1 if axis is None else axis for axis in shape]
            inputs[name] = tf.fill(size, "") if dtype == "string" else tf.zeros(size, dtype)
        if inputs:
            self.build_layers(inputs)

    @property
    def dimension(self) -> int:
        """D, the width of both towers' vectors."""
        return self.query_tower.dimension

    def set_scales(self, scales: Mapping[str, float]) -> None:
        """Sets how much each view counts; those not named keep their scale."""
        old = self.query_tower.scales.numpy()
        new = [scales.get(name, old[place]) for place, name in enumerate(self.views)]
        self.query_tower.scales.assign(new)

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """Scores of rows' own query and item.

        Args:
            inputs: Inputs of both towers.
            training: Whether this is a training step.

        Returns:
            float32 [batch].
        """
        queries = self.query_tower(inputs, training=training)
        return ops.sum(queries * self.item_tower(inputs, training=training), -1)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        save = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "views": {name: save(view) for name, view in self.views.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> TwoTower:
        """Builds the model that a config describes."""
        load = keras.saving.deserialize_keras_object
        views = {name: load(view) for name, view in config["views"].items()}
        return cls(**{**config, "views": views})
