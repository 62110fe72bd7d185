"""The catalogue's features as tensors that a training step gathers from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec import schema
from tfrec.input import ItemTable
from tfrec.input.augmentation import Augmenter
from tfrec.model import NORMALISED_SUFFIX, VECTOR_SUFFIX
from tfrec.towers import ProjectionTower, Tower

__all__ = ["Catalogue", "prepare"]

# Items whose raw media are decoded or transformed at once.
_BATCH = 256


def prepare(tower: Tower, value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What a tower makes of raw input before its weights come in, for a whole column."""
    parts = [
        tower.prepare(tf.constant(value[start : start + _BATCH])).numpy()
        for start in range(0, len(value), _BATCH)
    ]
    return np.concatenate(parts)


class Catalogue:
    """Inputs of the item tower for items of the catalogue, gathered in the graph.

    Args:
        items: The catalogue.
        towers: By feature, the towers that will read them.
        vectors: By feature, float32 [N, d], what a tower that is not trained any more makes of it;
            given instead of the feature itself.
        augment: What is changed at random in training.
    """

    def __init__(
        self,
        items: ItemTable,
        towers: Mapping[str, Tower],
        vectors: Mapping[str, npt.NDArray[np.float32]],
        augment: Augmenter | None = None,
    ) -> None:
        self._augment = augment
        self.size = len(items)
        self.warm = tf.constant(items.warm)
        self._columns: dict[str, tf.Tensor] = {}
        changed = () if augment is None else augment.features
        for name, tower in towers.items():
            self._columns[schema.present(name)] = tf.constant(items.present[name])
            if name in vectors:
                self._columns[name + VECTOR_SUFFIX] = tf.constant(vectors[name])
            elif isinstance(tower, ProjectionTower) and name not in changed:
                self._columns[name + NORMALISED_SUFFIX] = tower.normalised(items.value(name))
            else:
                self._columns[name] = tf.constant(prepare(tower, items.value(name)))

    def gather(self, rows: Any) -> dict[str, Any]:
        """Inputs of some items.

        Args:
            rows: int32 [b].

        Returns:
            `item_index` int32 [b], -1 for a cold item; each feature and NAME/present.
        """
        warm = tf.gather(self.warm, rows)
        inputs = {name: tf.gather(column, rows) for name, column in self._columns.items()}
        return {**inputs, schema.ITEM_INDEX: tf.where(warm, rows, -1)}

    def augmented(
        self, inputs: dict[str, Any], draws: keras.random.SeedGenerator
    ) -> dict[str, Any]:
        """What `gather` gave, changed at random where the configuration says so."""
        if self._augment is None:
            return inputs
        return self._augment(inputs, tf.cast(draws.next(), tf.int32))

    def unseen(self, rows: Any) -> dict[str, Any]:
        """As `gather`, as if none of the items had behaviour."""
        inputs = self.gather(rows)
        return {**inputs, schema.ITEM_INDEX: -tf.ones_like(inputs[schema.ITEM_INDEX])}
