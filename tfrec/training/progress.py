"""The bar that a person watches while a model trains."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

__all__ = ["TrainingProgress"]


class TrainingProgress(keras.callbacks.Callback):
    """Shows epoch, steps, loss, examples a second and the time left of the epoch.

    Args:
        epochs: At most.
        steps: Of an epoch.
        examples: Of an epoch.
        shown: Whether to draw a bar; on standard error, and only on a terminal.
        clock: Seconds.
    """

    def __init__(
        self,
        epochs: int,
        steps: int,
        examples: int,
        *,
        shown: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._epochs, self._steps, self._examples = epochs, steps, examples
        self._clock = clock
        self._monitor = ""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}"),
            TimeRemainingColumn(),
        )
        console = Console(stderr=True)
        self._bar = Progress(
            *columns, console=console, disable=not (shown and console.is_terminal), transient=True
        )
        self._task: TaskID | None = None
        self._started = 0.0
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task("training", total=self._steps, said="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def begin(self, epoch: int) -> None:
        """Starts the bar of an epoch, counted from 0."""
        if self._task is not None:
            self._bar.reset(
                self._task, description=f"epoch {epoch + 1}/{self._epochs}", said=self._monitor
            )
        self._started = self._clock()

    def end(self, said: str) -> None:
        """Ends an epoch; `said` stands beside the next one's loss."""
        self._monitor = said

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bar."""
        done = batch + 1
        self.seconds = self._clock() - self._started
        if self._task is None:
            return
        rate = done / self._steps * self._examples / max(self.seconds, 1e-9)
        loss = f"loss {float(logs['loss']):.4f}  " if logs and "loss" in logs else ""
        said = f"{loss}{rate:,.0f} examples/s  {self._monitor}"
        self._bar.update(self._task, completed=done, said=said)
