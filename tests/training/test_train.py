"""Training from records to a run directory, and back from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import yaml

from tests.records import write_prepared
from tests.training.conftest import COLD, events, kind
from tests.training.resuming import check_resumed
from tfrec.cli import main
from tfrec.config.loading import validate
from tfrec.config.model import ModelConfig
from tfrec.errors import DataError, DescriptionError, RunError
from tfrec.input import Timelines
from tfrec.training import RunLayout, load_run, train
from tfrec.training import checkpoints as checkpoints_module

BASE: dict[str, Any] = {
    "name": "small",
    "dimension": 8,
    "item": {"fusion": {"type": "matrix"}},
    "query": {"history_length": 6, "history_content": 4},
    "optimizer": {"learning_rate": 0.01, "embedding_learning_rate": 0.05},
    "training": {"batch_size": 64, "epochs": 3, "patience": 3, "monitor": "ndcg@5"},
}
IDS: dict[str, Any] = {**BASE, "item": {"features": []}}


def config(base: dict[str, Any] = BASE, **changes: dict[str, Any]) -> ModelConfig:
    content = {**base}
    for name, change in changes.items():
        value = content.get(name)
        content[name] = {**value, **change} if isinstance(value, dict) else change
    return validate(content, ModelConfig, where="test")


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    run = tmp_path_factory.mktemp("trained") / "run"
    lines: list[str] = []
    train(data, run, config(), say=lines.append, progress=False)
    return run, lines


def test_a_run_directory_has_what_the_contract_says(trained: tuple[Path, list[str]]) -> None:
    run, lines = trained
    layout = RunLayout(run)
    history = json.loads(layout.history.read_text())
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert set(history[0]) == {"epoch", "loss", "ndcg@5", "seconds", "examples_per_second"}
    resolved = yaml.safe_load(layout.config.read_text())
    assert resolved["loss"]["type"] == "full"
    assert resolved["optimizer"]["embedding"] == "adam"
    assert json.loads(layout.data.read_text())["dataset"] == "made-up"
    assert layout.plot.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert any(line.startswith("loss.type: full (40 items)") for line in lines)
    assert any("tower of cover: cosine" in line for line in lines)
    [file] = layout.tensorboard.glob("events*")
    found = {
        value.tag: value.simple_value
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    }
    assert found["loss"] == pytest.approx(history[-1]["loss"], rel=1e-5)


def test_the_model_learns_who_likes_what(trained: tuple[Path, list[str]], data: Path) -> None:
    """Of twenty items a kind, a random list of five has NDCG about 0.03."""
    run, _ = trained
    history = json.loads(RunLayout(run).history.read_text())
    assert max(row["ndcg@5"] for row in history) > 0.06


def test_a_cold_item_is_placed_by_its_content(trained: tuple[Path, list[str]], data: Path) -> None:
    """Items 38 and 39 have no event: pictures, words and tags alone tell whose they are."""
    run = load_run(trained[0])
    users = Timelines.load(data, "train")
    scores = run.query_vectors(users) @ run.item_vectors()[list(COLD)].T
    right = (scores[:, 0] > scores[:, 1]) == (users.user_index % 2 == kind(COLD[0]))
    assert right.mean() > 0.9


@pytest.mark.slow
def test_a_loaded_run_gives_the_vectors_it_was_judged_by(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training reads media towers' stored vectors, a run the raw media: they must agree."""
    from tfrec.training import session as session_module

    kept = {}
    save = session_module.Session.save

    def spy(self: Any, *saved: Any) -> None:
        save(self, *saved)
        kept["items"] = self._item_vectors()

    monkeypatch.setattr(session_module.Session, "save", spy)
    train(data, tmp_path / "run", config(training={"epochs": 1, "start": "random"}), progress=False)
    run = load_run(tmp_path / "run")
    np.testing.assert_allclose(run.item_vectors(), kept["items"], atol=2e-6)
    assert run.item_vectors().dtype == np.float32


def test_query_vectors_take_history_from_elsewhere(
    trained: tuple[Path, list[str]], data: Path
) -> None:
    run = load_run(trained[0])
    train_part, held_out = Timelines.load(data, "train"), Timelines.load(data, "validation")
    both = Timelines.concatenate(train_part, held_out)
    np.testing.assert_allclose(
        run.query_vectors(held_out, both), run.query_vectors(both), atol=1e-6
    )
    nobody = train_part.select(np.array([1]))
    empty = nobody.where(np.zeros(nobody.events, bool))
    assert np.isfinite(run.query_vectors(empty)).all()


@pytest.mark.slow
def test_killed_and_resumed_equals_undisturbed_bit_for_bit(data: Path, tmp_path: Path) -> None:
    settings = config(
        item={"id_dropout": 0.2, "modality_dropout": 0.2},
        query={"use_id": True, "history": {"type": "transformer", "dropout": 0.2}},
    )
    check_resumed(data, tmp_path, settings)


@pytest.mark.parametrize(
    "loss", ["tfrs", *(pytest.param(n, marks=pytest.mark.slow) for n in ("in_batch", "bpr", "bce"))]
)
def test_every_objective_learns(data: Path, tmp_path: Path, loss: str) -> None:
    settings = config(IDS, loss={"type": loss, "negatives": 16 if loss != "tfrs" else 0})
    train(data, tmp_path / "run", settings, progress=False)
    losses = [row["loss"] for row in json.loads(RunLayout(tmp_path / "run").history.read_text())]
    assert losses[-1] < losses[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"training": {"jit_compile": True}},
        {"training": {"mixed_precision": "mixed_bfloat16"}},
        {"training": {"media": "joint"}, "item": {"features": ["cover", "words"]}},
        # Texts that no tower reads are no part of what is compiled.
        {
            "loss": {"type": "in_batch", "history_contrast": 0.1},
            "query": {"profile": False},
            "training": {"jit_compile": True},
        },
        {"item": {"use_id": False}},
        {"query": {"history": None, "use_id": True}},
        {"query": {"negatives": True}},
    ],
    ids=lambda change: json.dumps(change),
)
def test_other_ways_of_training_end_with_finite_vectors(
    data: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    train(data, tmp_path / "run", config(**change), progress=False)
    run = load_run(tmp_path / "run")
    assert np.isfinite(run.item_vectors()).all()
    assert np.isfinite(run.query_vectors(run.train)).all()


def test_a_loss_that_is_no_number_stops_with_its_batch(data: Path, tmp_path: Path) -> None:
    settings = config(
        IDS,
        loss={"normalize": False},
        optimizer={"embedding": "sgd", "embedding_learning_rate": 1e30},
    )
    with pytest.raises(RunError, match=r"the loss must stay a number.*first in step [12345]"):
        train(data, tmp_path / "run", settings, progress=False)
    with np.load(tmp_path / "run" / "bad_batch.npz") as batch:
        assert batch["history"].shape == (64, 6)


def test_a_full_disk_leaves_the_last_checkpoint_whole(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, calls = np.savez, []

    def full_later(file: Any, **arrays: Any) -> None:
        calls.append(1)
        # The weights before the first step, the best and the last of the first epoch.
        if len(calls) > 3:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        save(file, **arrays)

    monkeypatch.setattr(checkpoints_module.np, "savez", full_later)
    with pytest.raises(RunError, match=r"must be writable.*No space left"):
        train(data, tmp_path / "run", config(IDS), progress=False)
    names = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert names == {"best.npz", "last.npz", "vocabularies.json"}
    assert np.isfinite(load_run(tmp_path / "run").item_vectors()).all()


def test_a_training_that_makes_it_worse_leaves_what_it_began_with(
    data: Path, tmp_path: Path
) -> None:
    """Factors, or an older run's weights; and goes on from there after an interruption."""
    harmful = config(
        IDS,
        optimizer={"embedding": "sgd", "embedding_learning_rate": 1e4},
        training={"epochs": 6, "patience": 2},
    )
    rows: list[dict[str, Any]] = []
    result = train(data, tmp_path / "run", harmful, watch=rows.append, progress=False)
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert rows[0]["ndcg@5"] > rows[1]["ndcg@5"]
    assert (result.best_epoch, result.best, result.epochs) == (0, rows[0]["ndcg@5"], 2)
    kept = load_run(tmp_path / "run").item_vectors()
    again = train(data, tmp_path / "run", harmful, resume=True, progress=False)
    assert (again.best_epoch, again.epochs) == (0, 2)
    later = train(data, tmp_path / "on", harmful, source=tmp_path / "run", progress=False)
    assert later.best_epoch == 0
    np.testing.assert_array_equal(load_run(tmp_path / "on").item_vectors(), kept)


def test_a_checkpoint_of_another_model_is_told(
    trained: tuple[Path, list[str]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    old = RunLayout(trained[0])
    (run / "data.json").write_text(old.data.read_text())
    (run / "checkpoints" / "best.npz").write_bytes(old.best.read_bytes())
    text = old.config.read_text()
    (run / "config.yaml").write_text(text.replace("dimension: 8", "dimension: 16"))
    with pytest.raises(RunError, match=r"best\.npz: the checkpoint must be of the model"):
        load_run(run)
    (run / "config.yaml").write_text(text)
    (run / "checkpoints" / "best.npz").write_bytes(old.best.read_bytes()[:1000])
    with pytest.raises(RunError, match="must be there and whole"):
        load_run(run)


def test_data_of_other_vocabularies_is_refused(
    trained: tuple[Path, list[str]], tmp_path: Path
) -> None:
    other = write_prepared(tmp_path / "other", events(), items=40)
    with pytest.raises(RunError, match="fingerprint"):
        load_run(trained[0], data=other)


def test_an_empty_part_is_told(tmp_path: Path) -> None:
    found = events()
    found["validation"] = []
    data = write_prepared(tmp_path / "data", found, items=40)
    with pytest.raises(DataError, match="positive events in the validation part"):
        train(data, tmp_path / "run", config(IDS), progress=False)
    assert not (tmp_path / "run").exists()


def test_a_directory_with_something_in_it_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="new or empty directory"):
        train(data, tmp_path, config(IDS), progress=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item": {"features": ["poster"]}}, "item.features.*poster.*It has: cover, title"),
        ({"item": {"fusion": {"type": "gatd"}}}, "item.fusion.*registered one.*gated"),
        ({"item": {"towers": {"cover": {"type": "projection"}}}}, "tower of `cover`"),
        ({"item": {"features": [], "use_id": False}}, "an item needs its id or a feature"),
    ],
)
def test_a_configuration_that_does_not_fit_is_one_line(
    data: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DescriptionError, match=message):
        train(data, tmp_path / "run", config(**change), progress=False)


def test_the_command_trains_and_answers_json(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ["train", str(data), str(run), "--config", "ids", "--seed", "3", "--json"]
    words += ["--set", "dimension=4", "--set", "training.epochs=1"]
    assert main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["best_epoch"] == answer["epochs"] == 1 and "ndcg@20" in answer
    assert yaml.safe_load((run / "config.yaml").read_text())["training"]["seed"] == 3


def test_a_wrong_value_ends_the_command_with_status_2(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(data), str(tmp_path / "run"), "--set", "training.epoch=1"]
    assert main(words) == 2
    assert "Perhaps `epochs` is meant" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_tensorboard_has_histograms_and_a_projector(
    trained: tuple[Path, list[str]], data: Path
) -> None:
    """The projector's three tables have a line an item, and titles beside their vectors."""
    folder = RunLayout(trained[0]).tensorboard
    [events] = folder.glob("events*")
    tags = {
        value.tag
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
        if value.HasField("histo") or value.HasField("tensor")
    }
    assert any(tag.startswith("weights/item") for tag in tags)
    config = (folder / "projector_config.pbtxt").read_text()
    assert 'metadata_path: "titles.tsv"' in config and 'image_path: "thumbnails.png"' in config
    titles = (folder / "titles.tsv").read_text().splitlines()
    vectors = np.loadtxt(folder / "items.tsv", delimiter="\t")
    assert titles[0] == "id\ttitle\tpositives" and titles[8].startswith("i7\ttitle 7\t")
    assert len(titles) - 1 == len(vectors) == 40
    np.testing.assert_allclose(vectors, load_run(trained[0]).item_vectors(), atol=1e-4)
    assert (folder / "thumbnails.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
