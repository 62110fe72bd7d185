"""Keeps one modality from learning at the others' cost: gradient modulation, rates of their own.

A modality that is easy to learn from soon explains the training events alone, and the others'
towers get no gradient any more. On-the-fly gradient modulation slows it down while it leads (Peng
et al., "Balanced multimodal learning via on-the-fly gradient modulation", OGM-GE, CVPR 2022):

    s_k   mean probability of the own item among the batch's, by modality k alone
    ρ_k   s_k over the mean of the others' s            (equation 9; the paper has two modalities)
    c_k   1 - tanh(α ρ_k) where ρ_k > 1, else 1          (equation 10)

The paper multiplies gradients by c_k, for SGD. Adam divides a gradient by its own size, so there a
factor would have no lasting effect: here the step is multiplied, which for SGD is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrec import schema
from tfrec.errors import DescriptionError
from tfrec.input import TARGET_WEIGHT
from tfrec.model import NeuralView
from tfrec.model.neural_view import ID
from tfrec.training.catalogue import Catalogue

__all__ = ["ModalityBalance", "modulation"]


def modulation(scores: Any, strength: float) -> Any:
    """Equations 9 and 10: what each modality's step is multiplied by.

    Args:
        scores: float [modalities], s.
        strength: α.

    Returns:
        float32 [modalities] in (0, 1]; ones for a single modality.
    """
    scores = tf.cast(scores, tf.float32)
    count = int(scores.shape[0])
    if count < 2:
        return tf.ones_like(scores)
    others = (tf.reduce_sum(scores) - scores) / (count - 1)
    ratio = scores / tf.maximum(others, 1e-9)
    return tf.where(ratio > 1, 1 - tf.tanh(strength * ratio), tf.ones_like(ratio))


class ModalityBalance(keras.layers.Layer):
    """Multiplies the steps of modalities' own weights: their towers, and the table of ids.

    Args:
        view: The learned view.
        catalogue: The items' features.
        strength: α of the modulation; 0 switches it off.
        noise: Whether a slowed modality's gradient gets Gaussian noise of its own deviation (GE):
            what SGD's noise lost by the smaller step.
        rates: By item feature, or `item_id`: a constant factor.
        seed: Of the noise.
        **kwargs: Keras' own.

    Raises:
        DescriptionError: A rate names no modality that the model has.

    Attributes:
        factors: float32 [modalities], of the last step, in the order of `modalities`.
    """

    def __init__(
        self,
        view: NeuralView,
        catalogue: Catalogue,
        *,
        strength: float = 0.0,
        noise: bool = False,
        rates: Mapping[str, float] | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        owned = {name: list(tower.trainable_variables) for name, tower in view.item_towers.items()}
        if view.item_id:
            owned[ID] = list(view.item_table.trainable_variables)
        self.modalities = tuple(sorted(owned))
        unknown = sorted(set(rates or {}) - set(owned))
        if unknown:
            raise DescriptionError(
                "optimizer.modality_rates",
                "each must be a feature of the item tower, or item_id",
                received=unknown[0],
                remedy=f"It has: {', '.join(self.modalities)}",
            )
        self.strength = strength
        self.noise = noise
        self._rates = [float((rates or {}).get(name, 1.0)) for name in self.modalities]
        self._place = {
            id(variable): place
            for place, name in enumerate(self.modalities)
            for variable in owned[name]
        }
        self._item = view.item
        self._query = view.query
        self._catalogue = catalogue
        self.seed = keras.random.SeedGenerator(seed)
        self.factors = self.add_weight(
            shape=(len(self.modalities),),
            initializer="ones",
            trainable=False,
            name="factors",
            dtype="float32",
        )
        self.built = True

    def measure(self, data: dict[str, Any]) -> None:
        """Sets the factors by what each modality says alone of a batch of `Windows`."""
        factors = tf.constant(self._rates)
        if self.strength:
            factors *= modulation(self.scores(data), self.strength)
        self.factors.assign(factors)

    def scores(self, data: dict[str, Any]) -> Any:
        """s: float32 [modalities]; 0 for one that no row has."""
        queries = tf.cast(self._query(data, False), tf.float32)
        inputs = self._catalogue.gather(data[schema.ITEM_INDEX])
        weights = tf.cast(data[TARGET_WEIGHT], tf.float32)
        found = []
        for name in self.modalities:
            alone = dict(inputs)
            for other in self.modalities:
                if other == name:
                    continue
                key = schema.ITEM_INDEX if other == ID else schema.present(other)
                hidden = tf.zeros_like(inputs[key])
                alone[key] = hidden - 1 if other == ID else hidden
            there = inputs[schema.ITEM_INDEX] >= 0 if name == ID else inputs[schema.present(name)]
            items = tf.cast(self._item(alone, False), tf.float32)
            own = tf.linalg.diag_part(tf.nn.softmax(tf.matmul(queries, items, transpose_b=True)))
            counted = weights * tf.cast(there, tf.float32)
            found.append(
                tf.math.divide_no_nan(tf.reduce_sum(own * counted), tf.reduce_sum(counted))
            )
        return tf.stack(found)

    def noised(self, gradients: list[Any], variables: list[Any]) -> list[Any]:
        """GE: gradients, those of slowed modalities with noise; others and tables' as they are."""
        if not self.noise:
            return gradients
        found: list[Any] = []
        for gradient, variable in zip(gradients, variables, strict=True):
            place = self._place.get(id(variable))
            if place is None or gradient is None or isinstance(gradient, tf.IndexedSlices):
                found.append(gradient)
                continue
            slowed = tf.cast(self.factors.value[place] < self._rates[place], gradient.dtype)
            spread = tf.math.reduce_std(gradient) * slowed
            drawn = keras.random.normal(tf.shape(gradient), seed=self.seed, dtype=gradient.dtype)
            found.append(gradient + spread * drawn)
        return found

    def before(self, gradients: list[Any], variables: list[Any]) -> list[Any]:
        """What the step may change of modalities' weights: whole ones, or the rows of tables."""
        found: list[Any] = []
        for gradient, variable in zip(gradients, variables, strict=True):
            if gradient is None or id(variable) not in self._place:
                found.append(None)
            elif isinstance(gradient, tf.IndexedSlices):
                rows = gradient.indices
                found.append((rows, tf.gather(variable.value, rows)))
            else:
                found.append((None, tf.identity(variable.value)))
        return found

    def after(self, kept: list[Any], variables: list[Any]) -> None:
        """Makes each step factor times as long."""
        for one, variable in zip(kept, variables, strict=True):
            if one is None:
                continue
            rows, old = one
            factor = self.factors.value[self._place[id(variable)]]
            if rows is None:
                variable.assign(old + factor * (variable.value - old))
            else:
                new = tf.gather(variable.value, rows)
                # A row that occurs twice is written twice, with the same numbers.
                update = tf.expand_dims(rows, 1), old + factor * (new - old)
                variable.value.scatter_nd_update(*update)
