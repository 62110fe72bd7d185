"""Run a function on each element of a batch in the graph, and survive the elements it refuses.

TensorFlow's decoders raise on damaged bytes, and one bad picture would then fail its whole batch,
in a Beam worker as in a served request. `tf.data` is the one place in core TensorFlow where the
error of one element can be dropped, and its ops are in every stock TensorFlow Serving binary:

    [ok, bad, ok] ── from_tensor_slices ── map(decode) ── ignore_errors ── [(0, a), (2, c)]
                  ── batch ── scatter into zeros ──▶ [a, 0, c], valid = [True, False, True]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

__all__ = ["map_surviving_errors"]


def map_surviving_errors(
    function: Callable[[tf.Tensor], tf.Tensor],
    values: tf.Tensor,
    shape: Sequence[int],
    dtype: tf.DType,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Maps `function` over the first dimension; an element on which it raises becomes zeros.

    Works eagerly, in a `tf.function` and in an exported graph; never under `jit_compile`. An error
    that isn't an element's own (out of memory, say) is dropped as well.

    Args:
        function: From one element to a tensor of `shape` and `dtype`, in graph ops.
        values: [batch, ...].
        shape: Static shape of one result.
        dtype: Type of one result.

    Returns:
        The results [batch, *shape], and bool [batch] that tells where `function` succeeded.
    """
    size = tf.shape(values, out_type=tf.int64)[0]

    def guarded(index: tf.Tensor, value: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return index, tf.ensure_shape(function(value), shape)

    results = tf.data.Dataset.from_tensor_slices((tf.range(size), values))
    results = results.map(guarded, num_parallel_calls=tf.data.AUTOTUNE).ignore_errors()
    # `get_single_element` refuses an empty data set, which a batch of nothing but damage would
    # give: an extra row, scattered beyond the batch and cut off, keeps it from being empty.
    spare = tf.data.Dataset.from_tensors((size, tf.zeros(shape, dtype)))
    results = results.concatenate(spare).batch(size + 1)
    indices, rows = results.get_single_element()
    rows = tf.ensure_shape(rows, [None, *shape])
    fixed = tf.constant(list(shape), tf.int64)
    output = tf.scatter_nd(indices[:, None], rows, tf.concat([[size + 1], fixed], 0))[:size]
    valid = tf.scatter_nd(indices[:, None], tf.ones_like(indices), [size + 1])[:size] > 0
    batch = values.shape[0]
    return tf.ensure_shape(output, [batch, *shape]), tf.ensure_shape(valid, [batch])
