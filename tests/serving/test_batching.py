"""Batches by the stock parameters: who travels with whom, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from serving.batching import BatchedModel, BatchingOptions, BatchScheduler
from serving.client import Client
from serving.options import ServerOptions
from serving.server import Server
from serving.status import StatusError
from serving.stock_files import read_batching_parameters
from tfrec.errors import DescriptionError


class Echo:
    """Returns its first input; holds calls back until it is let go."""

    signatures: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, *, held: bool = False) -> None:
        self.calls: list[list[Any]] = []
        self.entered = threading.Semaphore(0)
        self.free = threading.Event()
        if not held:
            self.free.set()

    def run(self, feeds: Any, fetches: Any, arrays: Any) -> list[Any]:
        self.calls.append([array.tolist() for array in arrays])
        self.entered.release()
        assert self.free.wait(20)
        return [arrays[0]]

    def close(self) -> None:
        return None


def submit(scheduler: BatchScheduler, model: Echo, *values: int) -> list[Any]:
    (output,) = scheduler.submit(model, ["x"], ["y"], [np.array(values)])
    return list(output.tolist())


def together(calls: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(20) for future in [pool.submit(call) for call in calls]]


def test_a_full_batch_leaves_at_once_and_each_gets_its_rows() -> None:
    scheduler = BatchScheduler(
        BatchingOptions(max_batch_size=4, batch_timeout_micros=60_000_000, num_batch_threads=1)
    )
    model = Echo()
    answers = together(
        [
            lambda: submit(scheduler, model, 1),
            lambda: submit(scheduler, model, 2, 3),
            lambda: submit(scheduler, model, 4),
        ]
    )
    assert answers == [[1], [2, 3], [4]]
    assert [len(call[0]) for call in model.calls] == [4]
    scheduler.close()


def test_requests_gather_while_the_thread_is_busy() -> None:
    scheduler = BatchScheduler(BatchingOptions(num_batch_threads=1))
    model = Echo(held=True)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(submit, scheduler, model, 0)
        assert model.entered.acquire(timeout=20)
        rest = [pool.submit(submit, scheduler, model, n) for n in range(1, 6)]
        with scheduler._changed:
            assert scheduler._changed.wait_for(
                lambda: sum(batch.rows for batch in scheduler._queue) == 5, timeout=20
            )
        model.free.set()
        assert first.result(20) == [0]
        assert [future.result(20) for future in rest] == [[n] for n in range(1, 6)]
    assert [len(call[0]) for call in model.calls] == [1, 5]
    scheduler.close()


def test_a_batch_is_filled_to_an_allowed_size_with_copies_of_a_row() -> None:
    scheduler = BatchScheduler(BatchingOptions(max_batch_size=8, allowed_batch_sizes=(4, 8)))
    model = Echo()
    assert submit(scheduler, model, 7, 8) == [7, 8]
    assert model.calls == [[[7, 8, 7, 7]]]
    scheduler.close()


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ([np.array(3)], "must have at least one dimension"),
        ([np.zeros(2), np.zeros(3)], "must have equal 0th-dimension size"),
        ([np.zeros(9)], "Task size 9 is larger than maximum input batch size 8"),
    ],
)
def test_what_cannot_be_batched_is_refused(arrays: list[Any], text: str) -> None:
    scheduler = BatchScheduler(BatchingOptions(max_batch_size=8))
    with pytest.raises(StatusError, match=text) as caught:
        scheduler.submit(Echo(), ["a", "b"][: len(arrays)], ["y"], arrays)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    scheduler.close()


def widths(*, pad: bool) -> list[Any]:
    scheduler = BatchScheduler(
        BatchingOptions(
            max_batch_size=2, batch_timeout_micros=60_000_000, pad_variable_length_inputs=pad
        )
    )
    model = Echo()

    def call(row: list[int]) -> Any:
        try:
            return scheduler.submit(model, ["x"], ["y"], [np.array([row])])[0].tolist()
        except StatusError as error:
            return error.code, error.message

    answers = together([lambda: call([1, 2]), lambda: call([3, 4, 5])])
    scheduler.close()
    return answers


def test_different_widths_need_padding() -> None:
    for code, message in widths(pad=False):
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert message.startswith(
            "Tensors with name 'x' from different tasks have different shapes"
        )


def test_padding_repeats_the_first_value() -> None:
    assert widths(pad=True) == [[[1, 2, 1]], [[3, 4, 5]]]


def test_a_full_queue_is_unavailable() -> None:
    scheduler = BatchScheduler(
        BatchingOptions(max_batch_size=1, max_enqueued_batches=1, num_batch_threads=1)
    )
    model = Echo(held=True)
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(submit, scheduler, model, 1)
        assert model.entered.acquire(timeout=20)
        waiting = pool.submit(submit, scheduler, model, 2)
        with scheduler._changed:
            assert scheduler._changed.wait_for(lambda: len(scheduler._queue) == 1, timeout=20)
        with pytest.raises(StatusError, match="queue to which this task was submitted is full"):
            submit(scheduler, model, 3)
        model.free.set()
        assert (running.result(20), waiting.result(20)) == ([1], [2])
    scheduler.close()


def test_one_full_queue_leaves_room_in_the_others() -> None:
    """As in the stock server the limit is each queue's: a model's crowd turns away its own only."""
    scheduler = BatchScheduler(
        BatchingOptions(max_batch_size=1, max_enqueued_batches=1, num_batch_threads=1)
    )
    crowded, other = Echo(held=True), Echo()
    with ThreadPoolExecutor(3) as pool:
        running = pool.submit(submit, scheduler, crowded, 1)
        assert crowded.entered.acquire(timeout=20)
        waiting = pool.submit(submit, scheduler, crowded, 2)
        with scheduler._changed:
            assert scheduler._changed.wait_for(lambda: len(scheduler._queue) == 1, timeout=20)
        elsewhere = pool.submit(submit, scheduler, other, 3)
        with scheduler._changed:
            both = scheduler._changed.wait_for(
                lambda: len(scheduler._queue) == 2 or elsewhere.done(), timeout=20
            )
        assert both
        with pytest.raises(StatusError, match="queue to which this task was submitted is full"):
            submit(scheduler, crowded, 4)
        crowded.free.set()
        assert [each.result(20) for each in (running, waiting, elsewhere)] == [[1], [2], [3]]
    scheduler.close()


def test_a_request_without_rows_spoils_no_batch() -> None:
    """It travels first, with one that has rows; what fills the batch up is a copy of a real row."""
    scheduler = BatchScheduler(
        BatchingOptions(max_batch_size=4, allowed_batch_sizes=(4,), num_batch_threads=1)
    )
    model = Echo(held=True)
    with ThreadPoolExecutor(3) as pool:
        running = pool.submit(submit, scheduler, model, 1, 2, 3, 4)
        assert model.entered.acquire(timeout=20)
        empty = pool.submit(submit, scheduler, model)
        with scheduler._changed:
            assert scheduler._changed.wait_for(lambda: len(scheduler._queue) == 1, timeout=20)
        full = pool.submit(submit, scheduler, model, 7)
        with scheduler._changed:
            assert scheduler._changed.wait_for(
                lambda: not scheduler._queue or scheduler._queue[0].rows == 1, timeout=20
            )
        model.free.set()
        assert [each.result(20) for each in (running, empty, full)] == [[1, 2, 3, 4], [], [7]]
    assert submit(scheduler, model) == []
    scheduler.close()
    assert model.calls == [[[1, 2, 3, 4]], [[7, 7, 7, 7]], [[]]]


def test_a_batch_that_fails_fails_its_requests() -> None:
    class Broken(Echo):
        def run(self, feeds: Any, fetches: Any, arrays: Any) -> list[Any]:
            raise ZeroDivisionError

    scheduler = BatchScheduler(BatchingOptions())
    with pytest.raises(StatusError, match="ZeroDivisionError while running a batch"):
        submit(scheduler, Broken(), 1)
    assert submit(scheduler, Echo(), 2) == [2]
    scheduler.close()


def test_the_stock_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "batching.config"
    path.write_text(
        "max_batch_size { value: 8 }\nbatch_timeout_micros { value: 500 }\n"
        "num_batch_threads { value: 2 }\nmax_enqueued_batches { value: 3 }\n"
        "allowed_batch_sizes: 2\nallowed_batch_sizes: 8\n"
    )
    assert BatchingOptions.of(read_batching_parameters(path)) == BatchingOptions(
        max_batch_size=8,
        batch_timeout_micros=500,
        num_batch_threads=2,
        max_enqueued_batches=3,
        allowed_batch_sizes=(2, 8),
    )


@pytest.mark.parametrize("sizes", ["allowed_batch_sizes: 4", "allowed_batch_sizes: [8, 4, 8]"])
def test_allowed_sizes_must_increase_to_the_greatest(tmp_path: Path, sizes: str) -> None:
    path = tmp_path / "batching.config"
    path.write_text(f"max_batch_size {{ value: 8 }}\n{sizes}\n")
    with pytest.raises(DescriptionError, match="`allowed_batch_sizes` must increase"):
        read_batching_parameters(path)


def test_a_server_with_batching_answers_everybody_rightly(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "batching.config"
    path.write_text("max_batch_size { value: 16 }\nbatch_timeout_micros { value: 2000 }\n")
    options = ServerOptions(
        model_name="toy",
        model_base_path=models / "toy",
        port=0,
        enable_batching=True,
        batching_parameters_file=path,
        file_system_poll_wait_seconds=0,
    )
    with (
        Server(options) as server,
        Client(f"127.0.0.1:{server.port}", model="toy") as client,
        ThreadPoolExecutor(16) as pool,
    ):
        ask = lambda n: client.predict({"x": [float(n)], "k": [2]})["y"].tolist()  # noqa: E731
        assert list(pool.map(ask, range(200))) == [[2.0 * n] for n in range(200)]


def test_a_batched_model_frees_its_version() -> None:
    model = Echo()
    scheduler = BatchScheduler(BatchingOptions())
    batched = BatchedModel(model, scheduler)
    assert batched.run(["x"], ["y"], [np.array([1])])[0].tolist() == [1]
    batched.close()
    scheduler.close()
