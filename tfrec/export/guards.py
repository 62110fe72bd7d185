"""Refusals inside the graph: a server checks neither shapes nor values, so the graph does.

Each raises INVALID_ARGUMENT. Shapes are checked by `tf.ensure_shape`, which looks at the tensor
that came; a comparison of `tf.shape` would be folded away to what the signature promises.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

__all__ = [
    "check_batch",
    "check_k",
    "ensure_shapes",
    "refuse_empty",
    "refuse_infinite",
    "refuse_unless",
]


def ensure_shapes(
    inputs: Mapping[str, tf.Tensor], specs: Mapping[str, tf.TensorSpec]
) -> dict[str, tf.Tensor]:
    """The inputs, each of the rank and widths that its signature tells, all of one batch size.

    Args:
        inputs: By name.
        specs: What each has to be.

    Returns:
        The inputs, checked before anything uses them.
    """
    shaped = {name: tf.ensure_shape(inputs[name], spec.shape) for name, spec in specs.items()}
    first, *others = shaped
    return check_batch(shaped, first, others)


def check_batch(
    inputs: Mapping[str, tf.Tensor], first: str, others: list[str]
) -> dict[str, tf.Tensor]:
    """The inputs, all with as many rows as `first` has."""
    rows = tf.shape(inputs[first])[0]
    checks = [
        tf.debugging.Assert(
            tf.shape(inputs[name])[0] == rows,
            [f"`{name}` must have as many rows as `{first}`. Received:", tf.shape(inputs[name])],
        )
        for name in others
    ]
    with tf.control_dependencies(checks):
        return {name: tf.identity(value) for name, value in inputs.items()}


def check_k(k: tf.Tensor, catalogue: tf.Tensor) -> tf.Tensor:
    """`k`, each of it between 1 and the catalogue's size.

    Args:
        k: int32 [b].
        catalogue: int32 scalar.
    """
    checks = [
        tf.debugging.Assert(tf.reduce_all(k >= 1), ["`k` must be at least 1. Received:", k]),
        tf.debugging.Assert(
            tf.reduce_all(k <= catalogue),
            ["`k` must not exceed the number of items,", catalogue, "Received:", k],
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(k)


def refuse_unless(condition: tf.Tensor, message: list[object], value: tf.Tensor) -> tf.Tensor:
    """`value`, if the condition holds; the message otherwise."""
    with tf.control_dependencies([tf.debugging.Assert(condition, message)]):
        return tf.identity(value)


def refuse_empty(name: str, strings: tf.Tensor, remedy: str) -> tf.Tensor:
    """`strings`, none of them ""."""
    check = tf.debugging.Assert(
        tf.reduce_all(strings != b""), [f'`{name}` must not be "". {remedy}']
    )
    with tf.control_dependencies([check]):
        return tf.identity(strings)


def refuse_infinite(name: str, numbers: tf.Tensor) -> tf.Tensor:
    """`numbers`, each finite or NaN (which stands for a missing value)."""
    check = tf.debugging.Assert(
        tf.reduce_all(~tf.math.is_inf(numbers)),
        [f"`{name}` must be a finite number, or NaN when it is missing"],
    )
    with tf.control_dependencies([check]):
        return tf.identity(numbers)
