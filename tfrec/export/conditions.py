"""Conditions of a request on the items it may get, in one form for every data set.

    any_of    "genres=rock" "genres=jazz" "country=de"     (rock or jazz) and de
    range_of  "year"   at_least 1990   at_most NaN         and from 1990 on

A client needs no list of a model's features to send them, and "" is padding.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.export import guards
from tfrec.export.source import ItemColumns
from tfrec.export.string_index import StringIndex
from tfrec.index import ItemFilter
from tfrec.media import normalize_text

__all__ = ["CONDITIONS", "Conditions"]

# Inputs of a signature that takes conditions, in the order of `Conditions.allowed`.
CONDITIONS = {
    "any_of": tf.TensorSpec([None, None], tf.string),
    "range_of": tf.TensorSpec([None, None], tf.string),
    "at_least": tf.TensorSpec([None, None], tf.float32),
    "at_most": tf.TensorSpec([None, None], tf.float32),
}


class Conditions(tf.Module):
    """Which items of the catalogue a request allows.

    Args:
        columns: What is known of the items.
    """

    def __init__(self, columns: ItemColumns) -> None:
        super().__init__(name="conditions")
        self._filter = ItemFilter(len(columns.titles), columns.numbers, columns.labels)
        self._labelled = StringIndex(list(columns.labels), "filter/labelled")
        self._numbered = StringIndex(list(columns.numbers), "filter/numbered")
        values = [
            f"{name}={value}" for name in columns.labels for value in columns.values.get(name, ())
        ]
        self._values = StringIndex(values, "filter/values")
        # Python's, since a variable has no value while a graph is traced.
        self._names = tuple(columns.labels), tuple(columns.numbers)
        counts = [len(columns.values.get(name, ())) for name in columns.labels]
        self._begins = np.cumsum([0, *counts])

    def allowed(
        self, any_of: tf.Tensor, range_of: tf.Tensor, at_least: tf.Tensor, at_most: tf.Tensor
    ) -> tf.Tensor:
        """Items that are available and meet every condition of their row.

        Args:
            any_of: string [b, a], "FEATURE=VALUE"; of several values of a feature one is enough.
            range_of: string [b, r], features.
            at_least: float32 [b, r], the least number; NaN is no bound. An item without the number
                is in no range.
            at_most: float32 [b, r], the greatest.

        Returns:
            bool [b, N]. A value that no item has allows none; an unknown feature is refused.
        """
        allowed = tf.repeat(self._filter.allowed({}, {}), tf.shape(any_of)[0], 0)
        feature, value = self._read(any_of)
        for place, name in enumerate(self._names[0]):
            wanted = tf.where(feature == place, value - int(self._begins[place]), -1)
            # Not among this feature's values: greater than any, which matches nothing.
            absent = (feature == place) & (value < 0)
            wanted = tf.where(absent, tf.int32.max - 1, wanted)
            allowed &= self._if_asked(wanted >= 0, {}, {name: wanted})
        ranged = self._known(self._numbered, range_of, range_of, "range_of")
        with tf.control_dependencies([_same_width(range_of, at_least, at_most)]):
            ranged = tf.identity(ranged)
        for place, name in enumerate(self._names[1]):
            here = ranged == place
            low = tf.where(here & ~tf.math.is_nan(at_least), at_least, -np.inf)
            high = tf.where(here & ~tf.math.is_nan(at_most), at_most, np.inf)
            some = tf.reduce_any(here, 1)
            bounds = (
                tf.where(some, tf.reduce_max(low, 1), np.nan),
                tf.where(some, tf.reduce_min(high, 1), np.nan),
            )
            allowed &= self._if_asked(here, {name: bounds}, {})
        return allowed

    def _if_asked(
        self,
        asked: tf.Tensor,
        ranges: dict[str, tuple[tf.Tensor, tf.Tensor]],
        any_of: dict[str, tf.Tensor],
    ) -> tf.Tensor:
        """A column is only read when a row has a condition on it."""
        return tf.cond(
            tf.reduce_any(asked),
            lambda: self._filter.allowed(ranges, any_of),
            lambda: tf.ones([1, 1], tf.bool),
        )

    def _read(self, any_of: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The feature of each condition, and where its value stands among all; -1 for neither."""
        names = tf.strings.regex_replace(any_of, "(?s)=.*", "")
        feature = self._known(self._labelled, names, any_of, "any_of")
        values = normalize_text(tf.strings.regex_replace(any_of, "^[^=]*=", ""))
        return feature, self._values.lookup(tf.strings.join([names, values], "="))

    def _known(self, index: StringIndex, names: tf.Tensor, sent: tf.Tensor, what: str) -> tf.Tensor:
        found = index.lookup(names)
        form = "FEATURE=VALUE of the features" if what == "any_of" else "one of the features"
        listed = tf.strings.reduce_join(index.values[:-1], separator=", ")
        good = (sent == b"") | (found >= 0)
        if what == "any_of":
            good &= (sent == b"") | tf.strings.regex_full_match(sent, "(?s)[^=]+=.*")
        bad = tf.boolean_mask(sent, ~good)
        return guards.refuse_unless(
            tf.reduce_all(good), [f"`{what}` must be {form}", listed, "Received:", bad], found
        )


def _same_width(range_of: tf.Tensor, *bounds: tf.Tensor) -> tf.Operation:
    same = [tf.reduce_all(tf.shape(bound) == tf.shape(range_of)) for bound in bounds]
    return tf.debugging.Assert(
        tf.reduce_all(same),
        ["`range_of`, `at_least` and `at_most` must be of one width. Received:"]
        + [tf.shape(each) for each in (range_of, *bounds)],
    )
