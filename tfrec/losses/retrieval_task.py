"""TensorFlow Recommenders' retrieval task, made to work beside Keras 3.

The one module that imports `tensorflow_recommenders`. That package refuses Keras 3 as `tf.keras`,
so `TF_USE_LEGACY_KERAS=1` is set here, before TensorFlow first loads `tf.keras`; `import keras`
stays Keras 3. Inside a graph the task counts the axes of a symbolic tensor by `len(tf.shape(…))`,
which only `tf.function`'s conversion allows; and its default loss builds one-hot labels, where a
sparse cross-entropy on the diagonal is the same number for less.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrec.errors import RunError

__all__ = ["DiagonalCrossEntropy", "retrieval_task"]

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")


def _import_tfrs() -> Any:
    if os.environ["TF_USE_LEGACY_KERAS"] != "1" or not _legacy_keras():
        raise RunError(
            "tensorflow_recommenders",
            "it works with `tf.keras` as Keras 2, which is chosen before TensorFlow loads tf.keras",
            received=f"TF_USE_LEGACY_KERAS={os.environ['TF_USE_LEGACY_KERAS']}, or too late",
            remedy="Set TF_USE_LEGACY_KERAS=1 in the environment, or import"
            " tfrec.losses.retrieval_task first",
        )
    import tensorflow_recommenders

    return tensorflow_recommenders


def _legacy_keras() -> bool:
    return str(tf.keras.Model.__module__).startswith("tf_keras")


def _diagonal(labels: Any, scores: Any, weights: Any) -> Any:
    rows = tf.range(tf.shape(scores)[0])
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=rows, logits=scores)
    return tf.reduce_sum(losses if weights is None else losses * tf.cast(weights, losses.dtype))


class DiagonalCrossEntropy:
    """The task's own loss, Σ over rows, for labels that are the identity matrix."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Sums −log softmax of the diagonal.

        Args:
            y_true: The identity matrix; not read.
            y_pred: float [batch, candidates], row i's positive in column i.
            sample_weight: float [batch], or None.

        Returns:
            float scalar.
        """
        return _diagonal(y_true, y_pred, sample_weight)


def retrieval_task(
    *, temperature: float | None = None, remove_accidental_hits: bool = False
) -> Callable[..., Any]:
    """Makes `tfrs.tasks.Retrieval` for a Keras 3 training step.

    Args:
        temperature: Divides scores.
        remove_accidental_hits: Whether an equal item of another row is not a negative; then
            `candidate_ids` must be given.

    Returns:
        The task as a `tf.function`, called with queries [batch, D], items [batch, D] and the task's
        other arguments (`sample_weight`, `candidate_sampling_probability`, `candidate_ids`); it
        gives the sum of losses.

    Raises:
        RunError: TensorFlow has loaded Keras 3 as `tf.keras` already.
    """
    tfrs = _import_tfrs()
    task = tfrs.tasks.Retrieval(
        loss=DiagonalCrossEntropy(),
        temperature=temperature,
        remove_accidental_hits=remove_accidental_hits,
    )
    return tf.function(task)
