"""Scalars for TensorBoard, written without needing it installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tf.raw_ops.CloseSummaryWriter(writer=self._writer)
