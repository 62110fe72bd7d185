"""Append training: a new run begins where an old one ended, though ids have moved and come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.records import spec, write_prepared
from tfrec.config.loading import validate
from tfrec.config.model import ModelConfig
from tfrec.errors import RunError
from tfrec.training import load_run, train

SPECS = [spec("genre", "categorical", vocabulary_size=4, vocabulary="vocabulary/genre.txt")]


def write(root: Path, items: list[str], users: list[str], genres: list[str]) -> Path:
    """Each user has four events of the first eight items by name, whatever their positions."""
    names = [f"item{k}" for k in range(8)]
    events: dict[str, list[Any]] = {"train": [], "validation": [], "test": []}
    for user, name in enumerate(users):
        for k in range(4):
            item = items.index(names[(int(name[4:]) + 2 * k) % 8])
            events["train" if k < 3 else "validation"].append((user, item, k, 1.0))
    own = spec(
        "genre", "categorical", vocabulary_size=2 + len(genres), vocabulary=SPECS[0].vocabulary
    )
    data = write_prepared(
        root,
        events,
        items=len(items),
        users=len(users),
        specs=[own],
        values={"genre": [2 + k % len(genres) for k in range(len(items))]},
    )
    for name, values in (("item_id", items), ("user_id", users), ("genre", genres)):
        (data / "vocabulary" / f"{name}.txt").write_text("".join(f"{v}\n" for v in values))
    return data


def config(dimension: int = 4) -> ModelConfig:
    content = {
        "name": "small",
        "dimension": dimension,
        "query": {"use_id": True, "history_length": 3},
        "training": {"batch_size": 16, "epochs": 1, "monitor": "ndcg@5"},
        # Nothing is learned in the new run, so that what it began with is seen.
        "optimizer": {"learning_rate": 1e-12, "embedding_learning_rate": 1e-12},
    }
    return validate(content, ModelConfig, where="test")


OLD = [f"item{k}" for k in range(8)], [f"user{k}" for k in range(6)], ["jazz", "rock"]
# In reverse, with newcomers in front: every position is another one.
NEW = ["new1", "new2", *OLD[0][::-1]], ["user9", *OLD[1][::-1]], ["folk", "rock", "jazz"]


@pytest.mark.slow
def test_rows_go_over_by_id_and_new_ones_begin_anew(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old", *OLD), write(tmp_path / "new", *NEW)
    train(old, tmp_path / "first", config(), progress=False)
    lines: list[str] = []
    train(
        new,
        tmp_path / "second",
        config(),
        source=tmp_path / "first",
        say=lines.append,
        progress=False,
    )
    assert any("8 of 10 items go on" in line for line in lines)
    views = [load_run(tmp_path / name).model.views["neural"] for name in ("first", "second")]
    for table, before, after in (
        ("item_table", OLD[0], NEW[0]),
        ("history_table", OLD[0], NEW[0]),
        ("user_table", OLD[1], NEW[1]),
    ):
        first, second = (np.array(getattr(view, table).table.numpy()) for view in views)
        for place, name in enumerate(before):
            np.testing.assert_allclose(second[after.index(name)], first[place], atol=1e-6)
        assert np.abs(second[after.index(after[0])]).sum() > 0
    first, second = (np.array(v.item_towers["genre"].embeddings.numpy()) for v in views)
    np.testing.assert_allclose(second[[0, 1, 3, 4]], first[[0, 1, 3, 2]], atol=1e-6)


def test_a_run_of_another_model_or_without_vocabularies_is_one_line(tmp_path: Path) -> None:
    data = write(tmp_path / "old", *OLD)
    train(data, tmp_path / "first", config(), progress=False)
    with pytest.raises(RunError, match=r"must be of the same model: .*shape.*RUN/config\.yaml"):
        train(data, tmp_path / "b", config(8), source=tmp_path / "first", progress=False)
    kept = tmp_path / "first" / "checkpoints" / "vocabularies.json"
    assert json.loads(kept.read_text())["genre"] == ["jazz", "rock"]
    kept.unlink()
    with pytest.raises(RunError, match=r"vocabularies\.json: a run to begin from has"):
        train(data, tmp_path / "c", config(), source=tmp_path / "first", progress=False)
