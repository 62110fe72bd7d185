"""Tasks in processes of their own: several at a time, each process for a few of them."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from tfrec.errors import RunError

__all__ = ["run_in_processes"]

Task = TypeVar("Task")
Answer = TypeVar("Answer")

# TensorFlow never frees a traced graph whose operations have gradients of their own (`silu` is
# one): a training leaves about 100 MB behind. A process that ends gives them back; starting one
# takes as long as a fourth of a short training.
_TASKS = 6


def run_in_processes(
    work: Callable[[Task], Answer],
    tasks: Sequence[Task],
    *,
    jobs: int,
    prepare: Callable[[], None] | None = None,
) -> Iterator[tuple[Task, Answer]]:
    """Calls `work` with each task; after a failure nothing further is begun.

    Args:
        work: A function of a module, which another process can import.
        tasks: Can be pickled.
        jobs: Processes at a time.
        prepare: Called first in each process, as by one that registers components.

    Yields:
        Each task and its answer, as they end.

    Raises:
        RunError: A process was killed. What `work` raises is raised here.
    """
    waiting = deque(tasks)
    ended: SimpleQueue[tuple[Task, Answer] | BaseException | None] = SimpleQueue()

    def begin() -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, mp_context=context, initializer=prepare)

    def some() -> Iterator[Task]:
        for _ in range(_TASKS):
            try:
                task = waiting.popleft()
            except IndexError:  # Another thread took the last.
                return
            yield task

    def keep_working() -> None:
        try:
            while waiting:
                with begin() as process:
                    for task in some():
                        ended.put((task, process.submit(work, task).result()))
        except BaseException as error:
            waiting.clear()
            ended.put(error)
        else:
            ended.put(None)

    threads = [Thread(target=keep_working) for _ in range(min(jobs, len(tasks)))]
    for thread in threads:
        thread.start()
    try:
        alive = len(threads)
        while alive:
            found = ended.get()
            if isinstance(found, BrokenProcessPool):
                raise RunError(
                    "a training's process",
                    "it must not be killed from outside",
                    received="its end without an answer",
                    remedy="See whether memory ran out, take fewer --jobs, and call again:"
                    " what is finished is kept",
                ) from found
            if isinstance(found, BaseException):
                raise found
            if found is None:
                alive -= 1
            else:
                yield found
    finally:
        waiting.clear()
        for thread in threads:
            thread.join()
