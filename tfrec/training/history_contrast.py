"""A term that makes two random views of a user's history more alike than views of others'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfrec import schema
from tfrec.input import TARGET_PLACE, TARGET_WEIGHT
from tfrec.input.augmentation import crop_history, mask_history, reorder_history
from tfrec.input.inputs import HISTORY, HISTORY_AGE, HISTORY_EVENT, PADDING, USER_INDEX
from tfrec.losses import in_batch_softmax

__all__ = ["HistoryContrast", "two_views"]

_VIEWS = (crop_history, mask_history, reorder_history)
# Of fewer events there are no two views.
_LEAST = 2


class HistoryContrast(keras.layers.Layer):
    """−log softmax of a view's own other view among those of the batch's other users.

    Xie et al., "Contrastive learning for sequential recommendation" (CL4SRec), 2022: each view is
    the history cropped, masked or reordered, each row by a draw of its own. What stands beside the
    history (user id, profile, context) is hidden, since it would tell the views without it. Views
    of one user are no negatives of each other; each replica compares its own rows.

    Args:
        weight: How much the term counts beside the objective.
        temperature: Divides scores.
        seed: Of the draws.
        **kwargs: Keras' own.
    """

    def __init__(self, weight: float, temperature: float, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self._weight, self._temperature = weight, temperature
        self.draws = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, data: dict[str, Any], tower: Callable[..., Any]) -> Any:
        """The weighted term.

        Args:
            data: A batch of `Windows` with histories, or of `Spans`, where a history counts as much
                as all its targets.
            tower: By keyword: from a query's inputs to float [batch, D].

        Returns:
            float32 scalar: the mean over rows of at least two events, both ways round.
        """
        first, second = (
            tower(view, training=True)
            for view in two_views(data, tf.cast(self.draws.next(), "int32"))
        )
        events = tf.reduce_sum(tf.cast(data[HISTORY] != PADDING, tf.int32), 1)
        weights = data[TARGET_WEIGHT]
        if TARGET_PLACE in data:
            rows, length = tf.unstack(tf.shape(data[HISTORY]))
            weights = tf.math.unsorted_segment_sum(weights, data[TARGET_PLACE] // length, rows)
        options: dict[str, Any] = {
            "item_ids": data[USER_INDEX],
            "weights": tf.where(events >= _LEAST, weights, 0.0),
            "temperature": self._temperature,
        }
        there = in_batch_softmax(first, second, **options)
        back = in_batch_softmax(second, first, **options)
        return self._weight * (there + back) / 2


def two_views(data: dict[str, Any], seed: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two random views of a batch's histories, and nothing else of what is known of the users.

    Args:
        data: Inputs of the query tower.
        seed: int32 [2]; one seed gives the same views.

    Returns:
        The inputs of either; an event keeps its age and type wherever it goes.
    """
    seeds = tf.random.split(seed, 2)
    rows = tf.shape(data[HISTORY])[0]
    hidden: dict[str, Any] = {USER_INDEX: tf.fill(tf.shape(data[USER_INDEX]), -1)}
    for name, value in data.items():
        if name.endswith(schema.present("")):
            hidden[name] = tf.zeros_like(value)
        elif name.startswith(schema.context("")):
            # Of spans it has a row a target.
            hidden[name] = tf.zeros([rows, *value.shape[1:]], value.dtype)
    rest = {name: value for name, value in data.items() if name != TARGET_PLACE} | hidden
    first, second = ({**rest, **_view(data, seeds[place])} for place in range(2))
    return first, second


def _view(data: dict[str, Any], seed: Any) -> dict[str, Any]:
    history = data[HISTORY]
    seeds = tf.random.split(seed, len(_VIEWS) + 1)
    made = [view(history, seeds[place]) for place, view in enumerate(_VIEWS)]
    rows = tf.shape(history)[:1]
    drawn = tf.random.stateless_uniform(rows, seeds[-1], 0, len(_VIEWS), tf.int32)

    def own(parts: list[Any]) -> Any:
        return tf.gather(tf.stack(parts, 1), drawn, axis=1, batch_dims=1)

    items, places = (own([pair[part] for pair in made]) for part in range(2))
    there = items != PADDING
    moved = {HISTORY: items}
    for name, filler in ((HISTORY_AGE, 0.0), (HISTORY_EVENT, schema.MISSING_INDEX)):
        if name in data:
            values = tf.gather(data[name], places, axis=1, batch_dims=1)
            moved[name] = tf.where(there, values, tf.constant(filler, values.dtype))
    return moved
