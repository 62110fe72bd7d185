"""What the replicas of a distributed step tell each other; nothing, where there is one."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["from_others", "replica_count", "total"]


def replica_count() -> int:
    """Replicas that share a step."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def total(value: Any) -> Any:
    """The sum of a value over the replicas, of which each gets its own copy.

    Args:
        value: float, any shape.

    Returns:
        float, the same shape.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def from_others(value: Any) -> Any:
    """The rows that the other replicas have.

    A sum of blocks that are zero but for one's own: unlike a gather, it has a gradient and static
    shapes on every device, TPUs too.

    Args:
        value: float or int [rows, …], as many rows in each replica.

    Returns:
        [(replicas - 1) × rows, …], the next replica's first.
    """
    context = tf.distribute.get_replica_context()
    count = 1 if context is None else context.num_replicas_in_sync
    if count == 1:
        return value[:0]
    place = context.replica_id_in_sync_group
    own = tf.one_hot(place, count, dtype=value.dtype)
    blocks = tf.reshape(own, [count] + [1] * len(value.shape)) * value[None]
    blocks = tf.roll(total(blocks), -place, 0)[1:]
    return tf.reshape(blocks, tf.concat([[-1], tf.shape(value)[1:]], 0))
