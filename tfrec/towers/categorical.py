"""Towers of categories and of weighted bags of tags."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.registry import register
from tfrec.schema import MISSING_INDEX, FeatureSpec
from tfrec.towers.tower import Tower

__all__ = ["CategoricalTower", "TagsTower"]

ops = keras.ops


class _Indexed(Tower):
    """An embedding table over a vocabulary.

    Args:
        dimension: Width of the result.
        vocabulary_size: Rows of the table; comes from the data.
        width: Of the table's rows; `dimension`, at most 32, unless given.
        dropout: Of the embedding, in training.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.
    """

    def __init__(
        self,
        dimension: int,
        *,
        vocabulary_size: int,
        width: int | None = None,
        dropout: float = 0.0,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, normalize=normalize, **kwargs)
        self.vocabulary_size = vocabulary_size
        self.width = min(dimension, 32) if width is None else width
        self.dropout = dropout

    @classmethod
    def arguments(cls, spec: FeatureSpec) -> dict[str, Any]:
        """The vocabulary's size."""
        return {"vocabulary_size": spec.vocabulary_size}

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the table."""
        self.embeddings = self.table(self.vocabulary_size, self.width)
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        return self.width

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "width": self.width,
            "dropout": self.dropout,
        }


@register("tower", "categorical")
@keras.saving.register_keras_serializable("tfrec")
class CategoricalTower(_Indexed):
    """An embedding of one category, int [batch]."""

    modalities = frozenset({"categorical"})

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Looks the category up."""
        return self.dropout_layer(self.rows_of(self.embeddings, inputs), training=training)


@register("tower", "tags")
@keras.saving.register_keras_serializable("tfrec")
class TagsTower(_Indexed):
    """A weighted bag of tags, int [batch, tags] padded by 0: Σ w_t e_t / √(Σ w_t²).

    Each tag has a learned weight, so that a rare telling one may outweigh a common one. The root
    keeps the length of the sum the same for one tag and for ten of independent directions.
    """

    modalities = frozenset({"tags"})

    def build_features(self, inputs_shape: Any) -> int:
        """Makes the tables."""
        width = super().build_features(inputs_shape)
        self.weights_table = self.add_weight(
            shape=(self.vocabulary_size, 1),
            initializer="ones",
            name="tag_weights",
            dtype="float32",
        )
        return width

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Weighs and sums."""
        present = ops.cast(inputs != MISSING_INDEX, self.compute_dtype)
        weights = self.rows_of(self.weights_table, inputs)[..., 0] * present
        total = ops.einsum("bt,btd->bd", weights, self.rows_of(self.embeddings, inputs))
        length = ops.sqrt(ops.sum(ops.square(weights), -1, keepdims=True) + 1e-4)
        return self.dropout_layer(total / length, training=training)
