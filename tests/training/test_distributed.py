"""Training over replicas and over workers, each in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfrec.training import RunLayout, load_run
from tfrec.training.strategies import is_chief, make_strategy, wait_for_all

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ["--config", "ids", "--set", "training.batch_size=64", "--set", "dimension=8"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["in_batch", "full", "lightgcn", "pointwise"])
def test_two_replicas_equal_one_of_double_batch(kind: str) -> None:
    """Loss, tables and their averages: negatives are the whole batch's, weights one mean's.

    Two from data to run under a strategy: `lightgcn`, whose graph's vectors are settled and kept,
    and `pointwise`, whose tower of raw titles is trained item by item first.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.two_replicas", kind],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["difference"] < 1e-4 and found["weights"] < 1e-4


def test_the_only_process_is_the_chief_and_waits_for_nobody() -> None:
    strategy = make_strategy("one")
    assert is_chief(strategy)
    wait_for_all(strategy)


def _ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _workers(data: Path, run: Path, epochs: int, *more: str) -> list[subprocess.Popen[str]]:
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _ports(2)]}
    started = []
    for index in range(2):
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        words = ["-m", "tfrec", "train", str(data), str(run), *OPTIONS, "--strategy", "multiworker"]
        words += ["--set", f"training.epochs={epochs}", "--set", "training.patience=99", *more]
        environment = {**os.environ, "TF_CONFIG": json.dumps(task), "OMP_NUM_THREADS": "1"}
        started.append(
            subprocess.Popen(
                [sys.executable, *words],
                env=environment,
                cwd=ROOT,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )
    return started


def _end(workers: list[subprocess.Popen[str]]) -> list[str]:
    try:
        return [worker.communicate(timeout=240)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()


@pytest.mark.slow
def test_two_workers_train_one_run_and_go_on_after_one_was_killed(
    data: Path, tmp_path: Path
) -> None:
    """The loss of two workers is that of one process with the same batches, also after a kill."""
    run = tmp_path / "run"
    workers = _workers(data, run, 12)
    said: list[str] = []
    try:
        # Output is read until the first epoch is saved.
        for line in workers[0].stdout or ():
            said.append(line)
            if line.startswith("epoch   2"):
                break
    finally:
        for worker in workers[::-1]:
            worker.kill()
            worker.communicate()
    assert RunLayout(run).history.is_file(), "".join(said)[-3000:]
    before = len(json.loads(RunLayout(run).history.read_text()))
    assert 1 <= before < 12
    outputs = _end(_workers(data, run, 12, "--resume"))
    history = json.loads(RunLayout(run).history.read_text())
    assert len(history) == 12, outputs[0][-3000:]
    alone = tmp_path / "alone"
    words = ["train", str(data), str(alone), *OPTIONS, "--set", "training.epochs=12"]
    from tfrec.cli import main

    assert main([*words, "--set", "training.patience=99"]) == 0
    expected = json.loads(RunLayout(alone).history.read_text())
    losses: list[list[Any]] = [[row["loss"] for row in rows] for rows in (history, expected)]
    np.testing.assert_allclose(losses[0][:5], losses[1][:5], rtol=1e-3)
    assert np.isfinite(load_run(run).item_vectors()).all()
