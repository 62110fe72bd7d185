"""Scalars and histograms for TensorBoard, written without needing it installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tensorflow as tf

__all__ = ["ScalarLog"]


class ScalarLog:
    """An event file, open within a `with` block.

    `tf.summary.scalar` asks for the package tensorboard; the op beneath it doesn't.

    Args:
        folder: Where TensorBoard's `--logdir` points.
    """

    def __init__(self, folder: Path) -> None:
        self._writer = tf.raw_ops.SummaryWriter()
        tf.raw_ops.CreateSummaryFileWriter(
            writer=self._writer,
            logdir=str(folder),
            max_queue=10,
            flush_millis=10_000,
            filename_suffix="",
        )

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes scalars by name, and flushes.

        Args:
            step: Where they stand on the horizontal axis.
            values: By name.
        """
        for name, value in values.items():
            tf.raw_ops.WriteScalarSummary(
                writer=self._writer,
                step=step,
                tag=name.replace("@", "_at_"),
                value=tf.constant(value, tf.float32),
            )
        tf.raw_ops.FlushSummaryWriter(writer=self._writer)

    def histogram(self, step: int, name: str, values: Any) -> None:
        """Writes how values are distributed; `write` flushes.

        Args:
            step: Where it stands on the horizontal axis.
            name: Of the histogram.
            values: float, any shape; one that isn't finite makes none.
        """
        values = tf.convert_to_tensor(values)
        if bool(tf.reduce_all(tf.math.is_finite(values))):
            tf.raw_ops.WriteHistogramSummary(
                writer=self._writer, step=step, tag=name, values=tf.reshape(values, [-1])
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tf.raw_ops.CloseSummaryWriter(writer=self._writer)
