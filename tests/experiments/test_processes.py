"""Trainings in processes of their own: all are done, and a lost one is told."""

from __future__ import annotations

import os
import pickle
import signal

import pytest

from tfrec.errors import DataError, RunError, TfrecError
from tfrec.experiments.processes import run_in_processes

pytestmark = pytest.mark.slow


def work(task: int) -> int:
    """What a process does with a task; 13 kills it, 99 is a fault, negative ones are refused."""
    if task == 99:
        raise IndexError("no such row")
    if task == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    if task < 0:
        raise DataError("tasks", "a task is positive", received=task, remedy="Choose another")
    return os.getpid()


def test_each_task_is_done_once_and_no_process_does_them_all() -> None:
    """Eight tasks, one at a time: a process ends after six and gives its memory back."""
    found = list(run_in_processes(work, range(8), jobs=1))
    assert [task for task, _ in found] == list(range(8))
    processes = [process for _, process in found]
    assert len(set(processes)) == 2 and os.getpid() not in processes
    assert processes.count(processes[0]) == 6


def test_what_a_task_raises_comes_here_whole() -> None:
    """A training that is refused in another process is told as it would be in this one."""
    with pytest.raises(DataError, match="a task is positive") as raised:
        list(run_in_processes(work, [-1, 1, 2], jobs=1))
    assert raised.value.received == -1 and raised.value.remedy == "Choose another"


def test_a_fault_is_not_taken_for_the_end_of_the_tasks() -> None:
    """Nothing is lost silently: `IndexError` is also what an empty queue raises."""
    with pytest.raises(IndexError, match="no such row"):
        list(run_in_processes(work, [99, 1], jobs=1))


def test_a_killed_process_is_one_line() -> None:
    """As when memory runs out; what had ended before is there."""
    found = []
    with pytest.raises(RunError, match="fewer --jobs"):
        for task, _ in run_in_processes(work, [1, 13, 2], jobs=1):
            found.append(task)
    assert found == [1]


@pytest.mark.parametrize("kind", [TfrecError, *TfrecError.__subclasses__()])
def test_an_error_survives_being_sent(kind: type[TfrecError]) -> None:
    """Class, message and parts."""
    error = kind("items.csv:3", "`year` must be a number", received="x", remedy="Correct it")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == str(error) and vars(again) == vars(error)


def ready() -> None:
    """Stands for `--import`: what a process loads before its first task."""
    os.environ["TFREC_TEST_READY"] = "yes"


def whether_ready(task: int) -> bool:
    return "TFREC_TEST_READY" in os.environ


def test_each_process_is_prepared() -> None:
    """Components of the user's own are known where the training runs."""
    assert list(run_in_processes(whether_ready, [1], jobs=1, prepare=ready)) == [(1, True)]
    assert "TFREC_TEST_READY" not in os.environ
