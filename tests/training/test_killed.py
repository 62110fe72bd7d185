"""A training that the system kills goes on to the weights that it would have had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfrec.training import RunLayout

ROOT = Path(__file__).resolve().parents[2]
# All that has a memory of its own: averages, a schedule, the cache, mined negatives, dropout.
OPTIONS = [
    "dimension=8",
    "training.batch_size=64",
    "training.epochs=6",
    "training.patience=99",
    "training.popularity_power=0.7",
    "loss.type=in_batch",
    "loss.cache=128",
    "loss.hard_negatives=2",
    "loss.mine_every=2",
    "loss.learn_temperature=true",
    "optimizer.average=0.9",
    "optimizer.schedule=cosine",
    "optimizer.warmup=0.2",
    "item.id_dropout=0.2",
]


def start(data: Path, run: Path, *more: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tfrec", "train", str(data), str(run), "--config", "ids", *more]
    for option in OPTIONS:
        words += ["--set", option]
    return subprocess.Popen(
        words, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


@pytest.mark.slow
def test_sigkill_and_resume_equal_an_undisturbed_training_bit_for_bit(
    data: Path, tmp_path: Path
) -> None:
    whole = start(data, tmp_path / "whole")
    whole.communicate()
    assert whole.returncode == 0
    killed = start(data, tmp_path / "killed")
    for line in killed.stdout or ():
        if line.startswith("epoch   3"):
            killed.kill()
            break
    killed.communicate()
    assert killed.returncode == -9
    resumed = start(data, tmp_path / "killed", "--resume")
    said, _ = resumed.communicate()
    assert resumed.returncode == 0
    assert "epoch   1" not in said and "epoch   6" in said
    for name in ("last", "best"):
        first, second = (
            np.load(getattr(RunLayout(tmp_path / run), name)) for run in ("whole", "killed")
        )
        with first, second:
            assert len(first.files) == len(second.files)
            for one, other in zip(first.files, second.files, strict=True):
                # Seconds and the processes' names of weights aside.
                if one != "meta":
                    np.testing.assert_array_equal(first[one], second[other], err_msg=one)
