"""Configurations are trained and compared, and goes on; a run is measured without a modality."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.records import spec, write_prepared
from tests.training.conftest import COLD, ITEMS, USERS, events, kind
from tfrec.cli import main
from tfrec.errors import DescriptionError, RunError
from tfrec.evaluation import HeldOut
from tfrec.experiments import ablate, read_systems, rows_of, train_systems, which_fit
from tfrec.experiments import trained as trained_module
from tfrec.training import load_run

CONFIG = {
    "name": "small",
    "dimension": 8,
    "query": {"history_length": 6, "history_content": 0},
    "optimizer": {"learning_rate": 0.01, "embedding_learning_rate": 0.05},
    "training": {"batch_size": 64, "epochs": 4, "monitor": "ndcg@5"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Genres tell an item's kind, a number tells nothing; new items are liked in the test part."""
    found = events()
    found["test"] += [(u, COLD[kind(u) == kind(COLD[1])], 10**6, 1.0) for u in range(USERS)]
    random = np.random.default_rng(0)
    return write_prepared(
        tmp_path_factory.mktemp("compared") / "data",
        found,
        items=ITEMS,
        users=USERS,
        specs=[spec("genres", "tags", vocabulary_size=6), spec("noise", "numeric")],
        values={
            "genres": [[2 + kind(i), 4] for i in range(ITEMS)],
            "noise": [float(x) for x in random.standard_normal(ITEMS)],
        },
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("configs") / "small.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return str(path)


def test_systems_are_configurations_times_what_varies(config: str) -> None:
    """Each combination has its own name, and the varied value."""
    vary = ["item.fusion.type=gated,matrix", "dimension=4,8"]
    systems = read_systems([config], ["training.epochs=1"], vary)
    labels = ["small-gated-4", "small-gated-8", "small-matrix-4", "small-matrix-8"]
    assert [system.label for system in systems] == labels
    assert systems[2].config.item.fusion.type == "matrix" and systems[2].config.dimension == 4
    assert {system.seeded(3).training.seed for system in systems} == {3}
    assert {system.config.training.epochs for system in systems} == {1}
    with pytest.raises(DescriptionError, match="small twice"):
        read_systems([config, config])
    with pytest.raises(DescriptionError, match="written KEY=VALUE,VALUE"):
        read_systems([config], [], ["dimension=4,,8"])


def test_what_does_not_fit_the_data_is_left_out_and_told(data: Path, config: str) -> None:
    """`configs/models/*.yaml` has models of raw text; one such doesn't end the comparison."""
    told: list[str] = []
    unfit = read_systems([config], ["name=unfit", "item.features=[absent]"])
    fit = read_systems([config])
    assert which_fit(data, [*unfit, *fit], told.append) == fit
    assert len(told) == 1 and told[0].startswith("left out: unfit: ") and "absent" in told[0]
    with pytest.raises(DescriptionError, match="absent"):
        which_fit(data, unfit)


@pytest.fixture(scope="module")
def compared(data: Path, config: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "compared"
    vary = "item.use_id=true,false"
    words = ["compare", str(data), config, "--vary", vary, "--seeds", "2", "--jobs", "2"]
    assert main([*words, "--out", str(out)]) == 0
    return out


@pytest.mark.slow
def test_a_table_has_every_system_warm_and_cold(compared: Path) -> None:
    """Figures are means over users and seeds, inside their intervals; costs are counted."""
    rows = json.loads((compared / "table.json").read_text())
    assert [row["label"] for row in rows[:2]] == ["small-true", "small-false"]
    baselines = {row["label"]: row for row in rows[2:]}
    assert {"popularity", "random"} <= set(baselines)
    assert all(row["seeds"] == 0 and row["parameters"] is None for row in rows[2:])
    assert baselines["popularity"]["cells"]["warm"]["value"] > 0
    for row in rows[:2]:
        assert row["seeds"] == 2 and set(row["cells"]) == {"all", "warm", "cold"}
        for cell in row["cells"].values():
            assert 0 <= cell["low"] <= cell["value"] <= cell["high"] <= 1
        assert row["parameters"] > 0 and row["milliseconds"] > 0 and row["seconds"] > 0
    assert rows[0]["parameters"] > rows[1]["parameters"]
    table = (compared / "table.md").read_text().splitlines()
    assert len(table) == 2 + len(rows) and "small-true" in table[2] and "ndcg@20, cold" in table[0]
    ElementTree.parse(compared / "table.svg")
    told = (compared / "report.html").read_text()
    assert "chance" in told and "2 seeds" in told and "popularity" in told
    assert "src=" not in told and "href=" not in told


@pytest.mark.slow
def test_what_is_finished_is_not_trained_again(
    compared: Path, data: Path, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call trains what is missing, and refuses runs of another configuration."""
    asked = []
    original = trained_module.train

    def watched(*args: object, **options: object) -> object:
        asked.append(args[1])
        return original(*args, **options)

    monkeypatch.setattr(trained_module, "train", watched)
    systems = read_systems([config], [], ["item.use_id=true,false"])
    before = rows_of(train_systems(data, systems, compared, seeds=2))
    assert asked == []
    missing = compared / "small-true" / "seed-1"
    (missing / "compared.json").unlink()
    again = rows_of(train_systems(data, systems, compared, seeds=2))
    assert asked == [missing]
    assert [row.cells for row in again] == [row.cells for row in before]
    other = read_systems([config], ["dimension=4"], ["item.use_id=true,false"])
    with pytest.raises(RunError, match="with the configuration that it began with"):
        train_systems(data, other, compared, seeds=2)


@pytest.mark.slow
def test_a_model_without_the_telling_modality_is_worse_and_without_noise_is_not(
    compared: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Genres alone tell which of the new items is liked; the noise is not missed."""
    run = load_run(compared / "small-false" / "seed-0")
    found = ablate(run, HeldOut.load(data, "test"))
    assert set(found.dropped) == {"genres", "noise", "all content"}
    cold = {name: parts["cold"] for name, parts in found.dropped.items()}
    assert cold["genres"].high < 0 and cold["genres"].users == USERS
    assert cold["noise"].without > 0.9 * cold["noise"].whole
    whole = load_run(compared / "small-true" / "seed-0")
    found = ablate(whole, HeldOut.load(data, "test"))
    assert set(found.dropped) == {"id", "genres", "noise", "all content"}
    # A new item has no id: taking it away changes nothing there.
    assert found.dropped["id"]["cold"].difference == 0
    assert main(["ablate", str(compared / "small-true" / "seed-0")]) == 0
    assert "all content" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "x"], "followed by configurations"),
        (["ids"], "--out: trained runs need a place"),
        (["ids", "--out", "x", "--seeds", "0"], "each is at least 1"),
    ],
)
def test_a_wrong_call_is_one_line(
    data: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(data), *words]) != 0
    assert message in capsys.readouterr().err


def test_options_of_training_are_refused_for_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(tmp_path), str(tmp_path), "--seeds", "3"]) != 0
    assert "--seeds: the option trains configurations" in capsys.readouterr().err
