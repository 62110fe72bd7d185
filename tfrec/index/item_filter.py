"""Which items a request allows: by availability, categories or tags, and numeric ranges.

available      1 1 0 1          any of tags {3}:  0 1 1 1
price          5 9 2 -          price ≤ 8:        1 0 1 0     a missing number is in no range
allowed:          0 0 0 0
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfrec.errors import ExportError
from tfrec.index.index import kept_variable

__all__ = ["ItemFilter"]


class ItemFilter(tf.Module):
    """Columns of items, compared inside the graph; the result is the `allowed` of `Index.search`.

    Args:
        size: How many items there are.
        numbers: float32 [N] by name; NaN is missing.
        labels: int32 [N] (categories) or [N, t] (tags) by name; negative is none.
        available: bool [N]; all unless given.

    Raises:
        ExportError: A column isn't of as many items.

    Example:
        >>> price = np.array([5.0, 9.0, np.nan])
        >>> items = ItemFilter(3, {"price": price}, {"tag": np.array([1, 2, 1])})
        >>> items.allowed({"price": (None, tf.constant([8.0]))}, {}).numpy().tolist()
        [[True, False, False]]
        >>> items.allowed({}, {"tag": tf.constant([[2, -1], [-1, -1]])}).numpy().tolist()
        [[False, True, False], [True, True, True]]
    """

    def __init__(
        self,
        size: int,
        numbers: Mapping[str, np.ndarray],
        labels: Mapping[str, np.ndarray],
        available: np.ndarray | None = None,
    ) -> None:
        super().__init__(name="item_filter")
        available = np.ones(size, bool) if available is None else available
        for name, column in {**numbers, **labels, "available": available}.items():
            if len(column) != size:
                raise ExportError(
                    f"filter {name}",
                    "a column holds a value of each item",
                    received=f"{len(column)} values for {size} items",
                    remedy="Give one for each, NaN or -1 where it is missing",
                )
        self._numbers = {
            name: kept_variable(np.asarray(column, np.float32), f"filter/{name}")
            for name, column in numbers.items()
        }
        self._labels = {
            name: kept_variable(np.asarray(column, np.int32).reshape(size, -1), f"filter/{name}")
            for name, column in labels.items()
        }
        self.available = kept_variable(available, "filter/available")

    def allowed(
        self,
        ranges: Mapping[str, tuple[tf.Tensor | None, tf.Tensor | None]],
        any_of: Mapping[str, tf.Tensor],
    ) -> tf.Tensor:
        """Items that are available and meet every condition.

        Args:
            ranges: Least and greatest number [b] by name, both included; NaN or None is no bound.
            any_of: Labels int32 [b, a] by name, one of which an item has; negative is padding, and
                a row of padding is no condition.

        Returns:
            bool [b, N], or [1, N] where nothing is asked.
        """
        allowed = self.available.value()[None]
        for name, (least, greatest) in ranges.items():
            column = self._numbers[name].value()[None]
            # Written so that a NaN bound holds for all, and a NaN number for none.
            if least is not None:
                allowed &= (column >= least[:, None]) | tf.math.is_nan(least)[:, None]
            if greatest is not None:
                allowed &= (column <= greatest[:, None]) | tf.math.is_nan(greatest)[:, None]
        for name, wanted in any_of.items():
            allowed &= _any_of(self._labels[name].value(), wanted)
        return allowed


def _any_of(column: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Whether items [N, t] have one of the labels [b, a]; bool [b, N]."""
    given = wanted >= 0
    # A table of labels for each row, so that the cost doesn't grow with the number wanted.
    count = tf.maximum(tf.reduce_max(column), -1) + 2
    rows = tf.shape(wanted)[0]
    known = given & (wanted < count - 1)
    cells = tf.stack([tf.where(known)[:, 0], tf.cast(wanted[known], tf.int64)], 1)
    table = tf.scatter_nd(
        cells, tf.ones([tf.shape(cells)[0]], tf.int32), tf.cast([rows, count], tf.int64)
    )
    # The last entry stands for none.
    places = tf.where(column >= 0, column, count - 1)
    found = tf.reduce_any(tf.gather(table > 0, places, axis=1), -1)
    return found | ~tf.reduce_any(given, 1, keepdims=True)
