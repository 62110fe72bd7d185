"""Weights & Biases as an extra: an offline run is recorded, and its absence is one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tfrec.cli import main

WORDS = ["--config", "ids", "--set", "dimension=4", "--set", "training.epochs=2"]


@pytest.mark.slow
def test_an_offline_run_is_recorded(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log on disk has the metric of each epoch, and nothing was sent."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    words = ["train", str(data), str(tmp_path / "run"), *WORDS, "--wandb", "tests"]
    assert main(words) == 0
    [log] = (tmp_path / "run-wandb").glob("wandb/offline-run-*/run-*.wandb")
    content = log.read_bytes()
    assert b"ndcg@20" in content and b"examples_per_second" in content


def test_without_the_extra_it_is_one_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    words = ["train", str(data), str(tmp_path / "run"), *WORDS, "--wandb", "tests"]
    assert main(words) == 2
    assert "--wandb: it needs Weights & Biases' client" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
