"""An embedding of ids whose step costs the same whatever the number of ids."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

__all__ = ["IdEmbedding"]


@keras.saving.register_keras_serializable("tfrec")
class IdEmbedding(keras.layers.Layer):
    """Rows of a table by id; zeros for an id that is out of range, as -1 is.

    The gather reads the variable itself (`ResourceGather`), so that its gradient is
    `IndexedSlices` and no step copies the table. Ids stay integers: float32 confuses them beyond
    16,777,216.

    Args:
        rows: How many ids there are.
        dimension: Width of the rows.
        stddev: Standard deviation of the table at first; dimension^-0.5, unit length, unless given.
        **kwargs: Keras' own.
    """

    def __init__(
        self, rows: int, dimension: int, *, stddev: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if rows < 1 or dimension < 1:
            raise ValueError(
                "`rows` and `dimension` must be positive."
                f" Received: rows={rows}, dimension={dimension}"
            )
        self.rows = rows
        self.dimension = dimension
        self.stddev = stddev
        self.table = self.add_weight(
            shape=(rows, dimension),
            initializer=keras.initializers.RandomNormal(
                stddev=dimension**-0.5 if stddev is None else stddev
            ),
            name="table",
            dtype="float32",
            autocast=False,
        )
        self.built = True

    def call(self, ids: Any) -> Any:
        """Looks rows up.

        Args:
            ids: int, any shape.

        Returns:
            float32 [*shape, dimension].
        """
        known = (ids >= 0) & (ids < self.rows)
        rows = tf.gather(self.table.value, tf.where(known, ids, tf.zeros_like(ids)))
        return rows * tf.cast(known, rows.dtype)[..., None]

    def clear(self, rows: npt.NDArray[np.bool_]) -> None:
        """Sets some rows to zero, as if their ids were out of range.

        Args:
            rows: bool [rows], which.
        """
        self.table.assign(np.where(rows[:, None], np.float32(0), self.table.numpy()))

    def compute_output_shape(self, ids_shape: Any) -> Any:
        """One row for each id."""
        return (*ids_shape, self.dimension)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "rows": self.rows,
            "dimension": self.dimension,
            "stddev": self.stddev,
        }
