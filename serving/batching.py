"""Requests of several clients in one graph call, by the stock batching parameters.

Requests for the same inputs and outputs of a version wait together until the batch is full or the
oldest has waited `batch_timeout_micros` and a thread is free; their rows are concatenated, the
graph runs once, and each gets its rows back. As in the stock server every input needs the same
0th dimension, and inputs that differ in another dimension can't travel together unless
`pad_variable_length_inputs` is set, which repeats a tensor's *first value*: a recommender's clients
should send one width instead (`Client(width=…)`).
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import numpy as np

from serving.predict import Runner
from serving.status import StatusError, invalid

__all__ = ["BatchScheduler", "BatchedModel", "BatchingOptions"]


class _Closeable(Runner, Protocol):
    def close(self) -> None:
        """Frees what the version holds."""


@dataclass(frozen=True)
class BatchingOptions:
    """Sizes and times of batches; the defaults are those of the stock server.

    Attributes:
        max_batch_size: Most rows in one graph call.
        batch_timeout_micros: How long the first request of a batch waits for others.
        max_enqueued_batches: Batches for the same inputs and outputs of a version that may wait
            for a thread; more is answered `UNAVAILABLE`.
        num_batch_threads: Batches that run at the same time.
        allowed_batch_sizes: Sizes that a batch is filled up to, with copies of its first row.
        pad_variable_length_inputs: Whether narrower inputs are widened.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False

    @classmethod
    def of(cls, parameters: Any) -> BatchingOptions:
        """Options from a `BatchingParameters` message; what it leaves out keeps its default."""
        names = (
            "max_batch_size",
            "batch_timeout_micros",
            "max_enqueued_batches",
            "num_batch_threads",
        )
        given = {n: getattr(parameters, n).value for n in names if parameters.HasField(n)}
        return cls(
            allowed_batch_sizes=tuple(parameters.allowed_batch_sizes),
            pad_variable_length_inputs=parameters.pad_variable_length_inputs,
            **given,
        )


@dataclass(eq=False)
class _Task:
    arrays: Sequence[np.ndarray]
    rows: int
    done: threading.Event = field(default_factory=threading.Event)
    outputs: list[Any] = field(default_factory=list)
    error: StatusError | None = None


@dataclass(eq=False)
class _Batch:
    key: tuple[Any, ...]
    runner: Runner
    opened: float
    tasks: list[_Task] = field(default_factory=list)
    rows: int = 0
    closed: bool = False


class BatchScheduler:
    """Forms batches and runs them on its threads. One serves all models.

    Args:
        options: Sizes and times.
    """

    def __init__(self, options: BatchingOptions) -> None:
        self._options = options
        self._changed = threading.Condition()
        self._open: dict[tuple[Any, ...], _Batch] = {}
        self._queue: deque[_Batch] = deque()
        self._ended = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{i}", daemon=True)
            for i in range(options.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self,
        runner: Runner,
        feeds: Sequence[str],
        fetches: Sequence[str],
        arrays: Sequence[np.ndarray],
    ) -> list[Any]:
        """Runs a request's tensors within a batch, and waits for its rows.

        Raises:
            StatusError: The tensors can't be batched, the queue is full, or the batch failed.
        """
        task = _Task(arrays, self._rows(arrays))
        key = (id(runner), tuple(feeds), tuple(fetches))
        with self._changed:
            batch = self._open.get(key)
            if batch is None or batch.rows + task.rows > self._options.max_batch_size:
                self._check_room(key)
                batch = _Batch(key, runner, time.monotonic())
                if key in self._open:
                    self._open[key].closed = True
                self._open[key] = batch
                self._queue.append(batch)
            batch.tasks.append(task)
            batch.rows += task.rows
            if batch.rows >= self._options.max_batch_size:
                batch.closed = True
                del self._open[key]
            self._changed.notify()
        task.done.wait()
        if task.error is not None:
            raise task.error
        return task.outputs

    def close(self) -> None:
        """Runs what waits, and ends the threads."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _check_room(self, key: tuple[Any, ...]) -> None:
        waiting = sum(batch.key == key for batch in self._queue)
        if self._ended or waiting >= self._options.max_enqueued_batches:
            raise StatusError(
                grpc.StatusCode.UNAVAILABLE,
                "The batch scheduling queue to which this task was submitted is full",
            )

    def _rows(self, arrays: Sequence[np.ndarray]) -> int:
        if any(array.ndim == 0 for array in arrays):
            raise invalid("Batching Run() input tensors must have at least one dimension")
        sizes = {len(array) for array in arrays}
        if len(sizes) > 1:
            raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
        rows = sizes.pop() if sizes else 0
        if rows > self._options.max_batch_size:
            raise invalid(
                f"Task size {rows} is larger than maximum input batch size "
                f"{self._options.max_batch_size}"
            )
        return rows

    def _work(self) -> None:
        while True:
            batch = self._next()
            if batch is None:
                return
            try:
                self._run(batch)
            except StatusError as error:
                _fail(batch, error)
            except Exception as error:  # a batch must answer its tasks whatever happens
                _fail(
                    batch,
                    StatusError(
                        grpc.StatusCode.INTERNAL, f"{type(error).__name__} while running a batch"
                    ),
                )

    def _next(self) -> _Batch | None:
        """The oldest batch that is full or has waited long enough."""
        with self._changed:
            while True:
                now = time.monotonic()
                wait: float | None = None
                for batch in self._queue:
                    left = batch.opened + self._options.batch_timeout_micros / 1e6 - now
                    if batch.closed or left <= 0 or self._ended:
                        self._queue.remove(batch)
                        if self._open.get(batch.key) is batch:
                            del self._open[batch.key]
                        return batch
                    wait = left if wait is None else min(wait, left)
                if self._ended:
                    return None
                self._changed.wait(wait)

    def _run(self, batch: _Batch) -> None:
        options = self._options
        filling = _allowed(options.allowed_batch_sizes, batch.rows) - batch.rows
        _, feeds, fetches = batch.key
        merged = []
        for index, name in enumerate(feeds):
            parts = [task.arrays[index] for task in batch.tasks]
            if len({part.shape[1:] for part in parts}) > 1:
                if not options.pad_variable_length_inputs:
                    raise StatusError(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"Tensors with name '{name}' from different tasks have different shapes "
                        "and padding is turned off. Set pad_variable_length_inputs to true, or "
                        "ensure that all tensors with the same name have equal dimensions "
                        "starting with the first dim.",
                    )
                parts = _widened(parts)
            whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
            if filling:
                whole = np.concatenate([whole, np.repeat(whole[:1], filling, axis=0)])
            merged.append(whole)
        outputs = batch.runner.run(feeds, fetches, merged)
        for output in outputs:
            if output.ndim == 0:
                raise StatusError(
                    grpc.StatusCode.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions"
                )
            if len(output) != batch.rows + filling:
                raise StatusError(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th "
                    "dimension sizes of the input tensors",
                )
        start = 0
        for task in batch.tasks:
            task.outputs = [output[start : start + task.rows] for output in outputs]
            start += task.rows
            task.done.set()


def _fail(batch: _Batch, error: StatusError) -> None:
    for task in batch.tasks:
        if not task.done.is_set():
            task.error = error
            task.done.set()


def _allowed(sizes: Sequence[int], rows: int) -> int:
    # No row, nothing that could be copied.
    return next((size for size in sizes if size >= rows), rows) if rows else 0


def _widened(parts: list[np.ndarray]) -> list[np.ndarray]:
    """Arrays of one width, each filled with its own first value, as the stock server does."""
    if len({part.ndim for part in parts}) > 1:
        raise invalid("Tensors of different ranks can't be batched")
    widths = np.max([part.shape[1:] for part in parts], axis=0)
    widened = []
    for part in parts:
        if tuple(widths) == part.shape[1:]:
            widened.append(part)
            continue
        if part.size == 0:
            raise invalid("Got empty tensor in batch of non-empty tensors.")
        pad = [(0, 0), *((0, int(w - s)) for w, s in zip(widths, part.shape[1:], strict=True))]
        widened.append(np.pad(part, pad, constant_values=part.ravel()[0]))
    return widened


class BatchedModel:
    """A loaded version whose calls go through a scheduler.

    Args:
        model: The version.
        scheduler: Forms the batches.
    """

    def __init__(self, model: _Closeable, scheduler: BatchScheduler) -> None:
        self._model = model
        self._scheduler = scheduler
        self.signatures = model.signatures

    def run(
        self, feeds: Sequence[str], fetches: Sequence[str], arrays: Sequence[np.ndarray]
    ) -> list[Any]:
        """Runs the graph within a batch."""
        return self._scheduler.submit(self._model, feeds, fetches, arrays)

    def close(self) -> None:
        """Frees the version."""
        self._model.close()
