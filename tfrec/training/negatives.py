"""Negatives beside the batch's own: vectors of former batches, and the model's own mistakes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

__all__ = ["HardPool", "NegativeCache"]


class NegativeCache(keras.layers.Layer):
    """The item vectors of the latest batches, first in, first out.

    Vectors move slowly, so that former ones stand for what the tower would give now, for the price
    of a product: Wang, Zhu & He, "Cross-batch negative sampling for training two-tower
    recommenders", 2021. No gradient flows into them.

    Args:
        size: Vectors that are kept.
        dimension: Their width.
        **kwargs: Keras' own.

    Attributes:
        vectors: float32 [size, dimension].
        ids: int32 [size]; -1 where there is none yet.
    """

    def __init__(self, size: int, dimension: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.size = size
        # Every replica pushes the same rows.
        shared: dict[str, Any] = {"trainable": False, "aggregation": "only_first_replica"}
        self.vectors = self.add_weight(
            shape=(size, dimension), initializer="zeros", dtype="float32", name="vectors", **shared
        )
        self.ids = self.add_weight(
            shape=(size,),
            initializer=keras.initializers.Constant(-1),
            dtype="int32",
            name="ids",
            **shared,
        )
        self.built = True

    def push(self, vectors: Any, ids: Any) -> None:
        """Puts a batch in front; the oldest fall out.

        Args:
            vectors: float [batch, dimension].
            ids: int32 [batch].
        """
        vectors = tf.cast(tf.stop_gradient(vectors), tf.float32)
        together = tf.concat([vectors, self.vectors.value], 0)[: self.size]
        self.vectors.value.assign(together)
        self.ids.value.assign(tf.concat([ids, self.ids.value], 0)[: self.size])


class HardPool(keras.layers.Layer):
    """For each user, the unseen items that the model ranked highest when it was last asked.

    Args:
        users: Known users.
        size: Items a user.
        **kwargs: Keras' own.

    Attributes:
        items: int32 [users, size]; -1 where there is none yet.
    """

    def __init__(self, users: int, size: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.size = size
        self.items = self.add_weight(
            shape=(users, size),
            initializer=keras.initializers.Constant(-1),
            dtype="int32",
            trainable=False,
            name="items",
        )
        self.built = True

    def fill(self, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32]) -> None:
        """Sets some users' items.

        Args:
            users: int32 [u], positions.
            items: int32 [u, size]; -1 fills a row up.
        """
        content = self.items.numpy()
        content[users] = items
        self.items.assign(content)

    def draw(self, users: Any, count: int, seed: Any) -> Any:
        """Some of each row's items at random, with repeats.

        Args:
            users: int32 [batch].
            count: Items a row.
            seed: A Keras seed generator.

        Returns:
            int32 [batch, count]; -1 where there is none.
        """
        shape = (users.shape[0] or tf.shape(users)[0], count)
        column = keras.random.randint(shape, 0, self.size, seed=seed)
        return tf.gather(tf.gather(self.items.value, users), column, batch_dims=1)
