"""Other views beside the learned one: what new items are placed by, what newcomers are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.records import spec, write_prepared
from tests.training.conftest import COLD, ITEMS, USERS, events, kind
from tfrec.config.loading import validate
from tfrec.config.model import ModelConfig
from tfrec.evaluation.held_out import HeldOut
from tfrec.evaluation.metrics import RankedLists, mean
from tfrec.evaluation.top_k import top_k
from tfrec.training import load_run, train

CONFIG: dict[str, Any] = {
    "name": "both",
    "dimension": 8,
    "query": {"history_length": 6, "history_content": 0},
    "optimizer": {"learning_rate": 0.01, "embedding_learning_rate": 0.05},
    "training": {"batch_size": 64, "epochs": 2, "patience": 2, "monitor": "ndcg@5"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Known items have a comment that tells their kind; new ones have none."""
    told = [[1.0, 2.0 * kind(i), i % 3 / 3.0] for i in range(ITEMS)]
    return write_prepared(
        tmp_path_factory.mktemp("commented") / "data",
        events(),
        items=ITEMS,
        users=USERS,
        specs=[
            spec("title", "text", encoded_dim=3),
            spec("comments", "text"),
            spec("comments_count", "numeric"),
        ],
        values={
            "title": [f"title {i}" for i in range(ITEMS)],
            "comments": [
                None if i in COLD else ("so loud" if kind(i) else "so calm") for i in range(ITEMS)
            ],
            "comments_count": [-1.0 if i in COLD else 1.0 for i in range(ITEMS)],
        },
        encoded={"title": told},
    )


def trained(data: Path, run: Path, weight: float) -> tuple[Any, np.ndarray, float]:
    closed = {"enabled": True, "rank": 8, "max_trials": 1, "unseen_weight": weight}
    config = validate({**CONFIG, "closed_form": closed}, ModelConfig, where="test")
    lines: list[str] = []
    train(data, run, config, say=lines.append, progress=False)
    restored = load_run(run)
    told = float(next(line for line in lines if line.startswith("joined")).split()[2].strip(";"))
    return restored, restored.item_vectors(), told


@pytest.mark.slow
def test_a_new_item_is_placed_by_what_it_can_have(data: Path, tmp_path: Path) -> None:
    """Not by comments, which come from those who met an item; and by all three opinions."""
    run, vectors, _ = trained(data, tmp_path / "run", 1.0)
    views = run.model.views
    assert list(views["closed_form"].blocks) == ["title"]
    assert views["neural"].unseen_share.numpy() > 0
    own, new = views["neural"].dimension, list(COLD)
    assert np.abs(vectors[new[0]] - vectors[new[1]])[:own].max() > 1e-3
    kept = json.loads((tmp_path / "run" / "checkpoints" / "joined.json").read_text())
    assert kept["unseen"]["share"] == pytest.approx(float(views["neural"].unseen_share.numpy()))


@pytest.mark.slow
def test_without_weight_the_learned_view_tells_no_new_items_apart(
    data: Path, tmp_path: Path
) -> None:
    run, vectors, _ = trained(data, tmp_path / "run", 0.0)
    own, new = run.model.views["neural"].dimension, list(COLD)
    np.testing.assert_allclose(vectors[new[0], :own], vectors[new[1], :own], atol=1e-6)
    assert np.abs(vectors[new[0]] - vectors[new[1]]).max() > 1e-4


@pytest.mark.slow
def test_a_newcomer_is_told_what_is_popular(tmp_path: Path) -> None:
    """Without a closed form too; what is restored and served is what validation measured."""
    some = events()
    # All newcomers like what everybody else met of late.
    some["validation"] += [(USERS + one, 33, 9_000, 1.0) for one in range(40)]
    some["train"] += [(user, 33, 8_500 + user, 1.0) for user in range(USERS)]
    data = write_prepared(tmp_path / "data", some, items=ITEMS, users=USERS + 40)
    config = validate({**CONFIG, "popularity": {"enabled": True}}, ModelConfig, where="test")
    lines: list[str] = []
    result = train(data, tmp_path / "run", config, say=lines.append, progress=False)
    run = load_run(tmp_path / "run")
    assert list(run.model.views) == ["neural", "popularity"]
    asked = HeldOut.load(data, "validation")
    queries = run.query_vectors(run.history_of(asked.past))
    found = top_k(queries, run.item_vectors(), 5, seen=asked.seen)
    measured = mean(RankedLists(found.items, asked.relevant, items=ITEMS).ndcg(5))
    assert measured == pytest.approx(result.best, abs=1e-6)
    new = np.diff(run.history_of(asked.past).offsets) == 0
    assert new.sum() == 40 and (found.items[new, 0] == 33).all()
