"""What an item's nearest in content have learned from behaviour: a frozen item-item graph."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.registry import register
from tfrec.towers.tower import Tower

__all__ = ["NeighboursTower"]

ops = keras.ops

# A cosine above this is the item itself, or a copy of it that would give the answer away.
_SAME = 1 - 1e-5
_ABSENT = -2.0


@register("tower", "neighbours")
@keras.saving.register_keras_serializable("tfrec")
class NeighboursTower(Tower):
    """The mean of learned vectors of the k nearest items by this feature, beside the feature.

    Zhou & Shen, "A tale of two graphs: freezing and denoising graph structures for multimodal
    recommendation" (FREEDOM), 2023, equations 1 to 6 with one layer: the graph of one modality,
    frozen before training, over which items' vectors spread; the fusion weighs the modalities. A
    new item finds its neighbours in the served graph, by the same search. Neighbours are counted
    alike and their sum is divided by their number, not by roots of degrees, so that an item's
    vector doesn't depend on which items came after it.

    Args:
        dimension: Width of the result.
        k: Neighbours.
        anchors: Items that can be neighbours: the most frequent; the search costs as many products.
        own: Whether the feature itself is read too, as `projection` reads it.
        normalize: Whether to bring the result to unit length times a learned scale.
        **kwargs: Keras' own.

    Raises:
        ValueError: There are more neighbours than anchors.
    """

    modalities = frozenset({"vector"})

    def __init__(
        self,
        dimension: int,
        *,
        k: int = 10,
        anchors: int = 4096,
        own: bool = True,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(dimension, normalize=normalize, **kwargs)
        if not 1 <= k <= anchors:
            raise ValueError(
                f"`k` must be at least 1 and at most `anchors`. Received: k={k}, anchors={anchors}"
            )
        self.k = k
        self.anchors = anchors
        self.own = own

    def build_features(self, inputs_shape: Any) -> int:
        """Makes anchors, which are frozen, and their learned vectors."""
        self.vector_width = int(inputs_shape[-1])
        self.anchor_vectors = self.add_weight(
            shape=(self.anchors, self.vector_width),
            initializer="zeros",
            trainable=False,
            name="anchor_vectors",
            dtype="float32",
        )
        self.learned = self.table(self.anchors, self.dimension)
        self.norm = keras.layers.LayerNormalization(dtype=self.dtype_policy)
        if self.own:
            self.norm.build((None, self.vector_width))
        return self.dimension + (self.vector_width if self.own else 0)

    def remember(self, vectors: npt.NDArray[np.floating[Any]]) -> None:
        """Sets the anchors, before training.

        Args:
            vectors: float [n, width], the feature of items with behaviour, the most frequent first;
                those beyond `anchors` are left out.
        """
        if not self.built:
            self.build((None, vectors.shape[1]))
        chosen = np.asarray(vectors[: self.anchors], np.float32)
        length = np.linalg.norm(chosen, axis=1, keepdims=True)
        rows = np.zeros(self.anchor_vectors.shape, np.float32)
        rows[: len(chosen)] = chosen / np.maximum(length, 1e-9)
        self.anchor_vectors.assign(rows)

    def prepare(self, inputs: Any) -> Any:
        """From float [batch, width] to float32 [batch, width + k]: places of anchors behind it.

        A place of -1 is none. The graph is frozen, so this is done once, before training.
        """
        if not self.built:
            self.build(inputs.shape)
        if inputs.shape[-1] == self.vector_width + self.k:
            return inputs
        self.check_width(inputs, self.vector_width)
        vectors = ops.cast(inputs, "float32")
        unit = tf.math.l2_normalize(vectors, -1, 1e-18)
        anchors = ops.convert_to_tensor(self.anchor_vectors)
        cosine = ops.matmul(unit, ops.transpose(anchors))
        there = ops.any(anchors != 0, -1)[None] & (cosine < _SAME)
        nearest = tf.math.top_k(ops.where(there, cosine, _ABSENT), self.k)
        found = ops.where(nearest.values > _ABSENT, nearest.indices, -1)
        return ops.concatenate([vectors, ops.cast(found, "float32")], -1)

    def features(self, inputs: Any, training: bool | None) -> Any:
        """Reads what `prepare` gave."""
        places = ops.cast(inputs[:, self.vector_width :], "int32")
        there = ops.cast(places >= 0, self.compute_dtype)[:, :, None]
        learned = self.rows_of(self.learned, ops.maximum(places, 0)) * there
        mean = ops.sum(learned, 1) / ops.maximum(ops.sum(there, 1), 1)
        if not self.own:
            return mean
        own = self.norm(ops.cast(inputs[:, : self.vector_width], self.compute_dtype))
        return ops.concatenate([mean, own], -1)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "k": self.k, "anchors": self.anchors, "own": self.own}
