"""A request of an index, and parts of it."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfrec.index.index import Neighbours

__all__ = ["Request", "in_rows", "rows_at", "rows_of"]


class Request(NamedTuple):
    """What `Index.search` is asked, and how many cells it may look into.

    Attributes:
        queries: float32 [b, D].
        k: int32 scalar.
        excluded: int32 [b, e], if anything is.
        cosine: Whether to divide by the lengths of the items' vectors.
        newcomers: bool [b], queries of users without a history, where that is told.
    """

    queries: tf.Tensor
    k: tf.Tensor
    excluded: tf.Tensor | None
    cosine: bool
    newcomers: tf.Tensor | None = None


def rows_of(request: Request, start: tf.Tensor, end: tf.Tensor) -> Request:
    """The same of some queries."""
    excluded = None if request.excluded is None else request.excluded[start:end]
    newcomers = None if request.newcomers is None else request.newcomers[start:end]
    return request._replace(
        queries=request.queries[start:end], excluded=excluded, newcomers=newcomers
    )


def rows_at(request: Request, places: tf.Tensor) -> Request:
    """The same of the queries at places, int32 [n]."""
    excluded = None if request.excluded is None else tf.gather(request.excluded, places)
    newcomers = None if request.newcomers is None else tf.gather(request.newcomers, places)
    return request._replace(
        queries=tf.gather(request.queries, places), excluded=excluded, newcomers=newcomers
    )


def in_rows(best: object, request: Request, step: tf.Tensor) -> Neighbours:
    """Answers `step` rows at a time."""
    count = tf.shape(request.queries)[0]

    def more(
        start: tf.Tensor, scores: tf.Tensor, items: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        end = tf.minimum(start + step, count)
        found = best(start, end)  # type: ignore[operator]
        return end, tf.concat([scores, found[0]], 0), tf.concat([items, found[1]], 0)

    nothing = tf.zeros([0, request.k]), tf.zeros([0, request.k], tf.int32)
    unknown = tf.TensorShape([None, None])
    _, scores, items = tf.while_loop(
        lambda start, *_: start < count,
        more,
        (tf.constant(0), *nothing),
        shape_invariants=(tf.TensorShape([]), unknown, unknown),
    )
    return Neighbours(scores, items)
