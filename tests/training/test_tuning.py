"""A search: its trials, its stop and resume, and that it can't see the test part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tfrec.cli import main
from tfrec.config import load_config
from tfrec.config.loading import validate
from tfrec.config.model import ModelConfig
from tfrec.config.tuning import SearchConfig
from tfrec.errors import DescriptionError, RunError
from tfrec.training.tuning import tune

optuna = pytest.importorskip("optuna")

SPACE: dict[str, Any] = {
    "config": "ids",
    "set": ["dimension=4", "training.epochs=2", "training.batch_size=64"],
    "method": "random",
    "trials": 2,
    "space": {
        "loss.temperature": {"low": 0.05, "high": 0.5, "log": True},
        "loss.normalize": {"choices": [True, False]},
    },
}


def search(**changes: Any) -> SearchConfig:
    return validate({**SPACE, **changes}, SearchConfig, where="space.yaml")


@pytest.mark.slow
def test_a_search_ends_goes_on_and_tells_what_mattered(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two trials, then two more by `--resume`; the best one's configuration trains."""
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(SPACE))
    out = tmp_path / "out"
    words = ["tune", str(tmp_path / "space.yaml"), str(data), str(out), "--json"]
    assert main(words) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert main([*words, "--trials", "4"]) == 1
    assert "new or empty directory" in capsys.readouterr().err
    assert main([*words, "--trials", "4", "--resume"]) == 0
    second = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert second["best"] >= first["best"] > 0
    assert len(list((out / "trials").iterdir())) == 4
    drawn = set()
    for run in (out / "trials").iterdir():
        drawn.add(load_config(run / "config.yaml", ModelConfig).loss.temperature)
    assert len(drawn) == 4
    best = load_config(out / "best.yaml", ModelConfig)
    assert best.loss.temperature == pytest.approx(second["settings"]["loss.temperature"])
    assert (out / "tuning.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    # Trials have no test part, so that no one can look at it.
    assert not list((out / "data" / "timelines").glob("test*"))
    assert list((out / "data" / "timelines").glob("validation*"))


@pytest.mark.slow
def test_hyperband_stops_a_trial_that_falls_behind(data: Path, tmp_path: Path) -> None:
    """Of trials with a useless learning rate some end after an epoch, and none is the best."""
    space = {"optimizer.embedding_learning_rate": {"choices": [0.05, 1e-9]}}
    lines: list[str] = []
    # From factors, tables that are never moved are as good as trained ones on data so small.
    asked = search(method="asha", trials=6, space=space)
    asked = asked.model_copy(update={"set": (*asked.set, "training.start=random")})
    value, settings = tune(asked, data, tmp_path / "out", say=lines.append)
    assert settings == {"optimizer.embedding_learning_rate": 0.05} and value > 0
    assert any("stopped in epoch" in line for line in lines)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": {"loss.temprature": {"low": 0.1, "high": 1}}}, "Perhaps `temperature`"),
        ({"space": {"dimension": {"low": 0, "high": 8}}}, "dimension"),
        ({"space": {"dimension": {"low": 8, "high": 8}}}, "a `low` that is less than `high`"),
        ({"space": {}}, "space"),
        ({"method": "grid"}, "method"),
        ({"set": ["training.monitor=test_ndcg@20"]}, "monitor"),
    ],
)
def test_a_wrong_search_is_told_before_a_trial(
    data: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DescriptionError, match=message):
        tune(search(**changes), data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_directory_with_something_in_it_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="new or empty directory"):
        tune(search(), data, tmp_path)
