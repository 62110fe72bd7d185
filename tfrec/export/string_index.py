"""From strings to positions in the graph, by searching sorted fingerprints.

A hash table would do, but its million keys would live in `saved_model.pb`, or in an asset file that
can't hold a line end, and it is rebuilt at every load. Variables are restored as they are, hold any
bytes, and can be replaced without touching the graph:

    values        b    a    c          lookup("a"): fingerprint 3 ── search ──▶ place 0
    fingerprints  5    3    9                       order[0] = 1, values[1] == "a" ──▶ 1
    sorted        3    5    9          lookup("x"): fingerprint 4 ── search ──▶ place 1
    order         1    0    2                       order[1] = 0, values[0] != "x" ──▶ -1
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfrec.errors import ExportError

__all__ = ["StringIndex", "index_arrays"]

# FarmHash's Fingerprint64, the same on every machine, in the positive half of int64.
_BUCKETS = 2**63 - 1


class StringIndex(tf.Module):
    """The position of each of N distinct strings.

    Args:
        values: The strings, in order; position i is what `lookup` gives for `values[i]`.
        name: What they are, for variables and errors: `items`, `users`, a feature's name.

    Raises:
        ExportError: A string occurs twice, or two have one fingerprint (one chance in some 40
            million for a million strings).

    Example:
        >>> index = StringIndex(["b", "a"], "letters")
        >>> index.lookup(tf.constant([["a", "x"]])).numpy().tolist()
        [[1, -1]]
        >>> index.take(tf.constant([0, -1])).numpy().tolist()
        [b'b', b'']
    """

    def __init__(self, values: Sequence[str | bytes], name: str) -> None:
        super().__init__(name=f"{name.replace('/', '_')}_strings")
        arrays = index_arrays(values, name)
        self.values = _variable(arrays[f"{name}/values"], tf.string, f"{name}/values")
        prints = arrays[f"{name}/fingerprints"]
        self.fingerprints = _variable(prints, tf.int64, f"{name}/fingerprints")
        self.order = _variable(arrays[f"{name}/order"], tf.int32, f"{name}/order")

    @property
    def size(self) -> tf.Tensor:
        """How many strings, as a scalar int32 tensor."""
        return tf.shape(self.values)[0] - 1

    def lookup(self, strings: tf.Tensor) -> tf.Tensor:
        """The positions of strings, -1 for others and for "".

        Args:
            strings: string, any shape.

        Returns:
            int32 of the same shape.
        """
        flat = tf.reshape(strings, [-1])
        prints = tf.strings.to_hash_bucket_fast(flat, _BUCKETS)
        places = tf.searchsorted(self.fingerprints, prints)
        found = tf.gather(self.order.value(), places)
        matches = (tf.gather(self.values.value(), found) == flat) & (flat != b"")
        return tf.reshape(tf.where(matches, found, -1), tf.shape(strings))

    def take(self, positions: tf.Tensor) -> tf.Tensor:
        """The strings at positions; "" where a position is negative.

        Args:
            positions: int32, any shape, each less than the number of strings.

        Returns:
            string of the same shape.
        """
        return tf.gather(self.values.value(), tf.where(positions < 0, self.size, positions))


def index_arrays(values: Sequence[str | bytes], name: str) -> dict[str, np.ndarray]:
    """What an index of strings keeps, by the names of its variables.

    Args:
        values: Distinct strings.
        name: What they are.

    Raises:
        ExportError: As for `StringIndex`.
    """
    rows = np.empty(len(values), np.object_)
    rows[:] = [value.encode() if isinstance(value, str) else bytes(value) for value in values]
    prints = tf.strings.to_hash_bucket_fast(tf.constant(rows, tf.string), _BUCKETS).numpy()
    order = np.argsort(prints, kind="stable")
    same = np.flatnonzero(np.diff(prints[order]) == 0)
    if len(same):
        raise ExportError(
            name,
            "the strings of an index are distinct",
            received=f"{rows[order[same[0]]]!r} and {rows[order[same[0] + 1]]!r}",
            remedy="Give one of them another name",
        )
    return {
        # A spare last row answers for position -1, and keeps an empty index searchable.
        f"{name}/values": np.append(rows, b""),
        f"{name}/fingerprints": prints[order],
        f"{name}/order": np.append(order, len(rows)).astype(np.int32),
    }


def _variable(value: np.ndarray, dtype: tf.DType, name: str) -> tf.Variable:
    # The first dimension is left open, so that a catalogue can grow in an export that is written.
    shape = tf.TensorShape([None, *value.shape[1:]])
    return tf.Variable(value, trainable=False, dtype=dtype, shape=shape, name=name)
