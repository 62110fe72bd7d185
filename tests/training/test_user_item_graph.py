"""A graph of users and items in training: what it may hold, what it moves, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.records import Event, write_prepared
from tests.training.conftest import COLD, ITEMS, USERS, events
from tests.training.tiny import batch, tiny_trainer
from tfrec.config.loading import load_config, validate
from tfrec.config.model import GraphConfig, LossConfig, ModelConfig
from tfrec.config.presets import find_model_config
from tfrec.errors import DescriptionError
from tfrec.input import Timelines
from tfrec.schema import DataLayout
from tfrec.training import Run, load_run, train
from tfrec.training.options import check_fit, check_options

SMALL = ["dimension=8", "training.epochs=2", "training.batch_size=64"]


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Of `lightgcn`, with moving averages, which are what is kept."""
    folder = tmp_path_factory.mktemp("graph") / "run"
    sets = [*SMALL, "optimizer.average=0.5"]
    config = load_config(find_model_config("lightgcn"), ModelConfig, sets)
    train(data, folder, config, progress=False)
    return load_run(folder)


def adjacency(edges: list[Event]) -> np.ndarray:
    """Normalised, float64 [users + items, users + items]."""
    likes = np.zeros((USERS, ITEMS))
    for user, item, _, _ in edges:
        likes[user, item] = 1
    users, items = likes.sum(1), likes.sum(0)
    scale = np.sqrt(np.maximum(users, 1))[:, None] * np.sqrt(np.maximum(items, 1))
    whole = np.zeros((USERS + ITEMS, USERS + ITEMS))
    whole[:USERS, USERS:] = likes / scale
    return whole + whole.T


def propagated(run: Run, edges: list[Event]) -> tuple[np.ndarray, np.ndarray]:
    """Users' and items' vectors by the run's own tables, in three layers over some edges."""
    view: Any = run.model.views["neural"]
    tables = [view.user_table.table.numpy(), view.item_table.table.numpy()]
    x, matrix = np.concatenate(tables).astype(np.float64), adjacency(edges)
    vectors = sum(np.linalg.matrix_power(matrix, k) @ x for k in range(4)) / 4
    return vectors[:USERS], vectors[USERS:]


def test_the_graph_has_likes_of_the_train_part_and_nothing_else(run: Run) -> None:
    """An edge to a held-out item would put the answer into the user's vector; a dislike is none."""
    kept = run.model.views["neural"].settled_items.table.numpy()
    found = events()
    likes = [event for event in found["train"] if event[3] > 0]
    np.testing.assert_allclose(kept, propagated(run, likes)[1], atol=1e-5)
    for wrong in (found["train"], likes + found["validation"]):
        assert np.abs(kept - propagated(run, wrong)[1]).max() > 1e-2


def test_a_run_answers_by_the_weights_that_it_kept(run: Run) -> None:
    """By the past of the train part, each user has the propagated vector."""
    queries = run.query_vectors(run.train)[:, :-1]
    users, _ = propagated(run, [event for event in events()["train"] if event[3] > 0])
    np.testing.assert_allclose(queries, users[run.train.user_index], atol=1e-5)
    assert not run.item_vectors()[list(COLD), :-1].any()


def test_someone_unknown_is_answered_by_what_they_liked(run: Run) -> None:
    """Ranked by kind, as the known are: two publics, each with its kind of items."""
    past = run.query_inputs(run.train)
    past["user_index"] = np.full_like(past["user_index"], -1)
    queries = run.model.query_tower({name: tf.constant(v) for name, v in past.items()}).numpy()
    scores = queries @ run.item_vectors().T
    kinds = np.arange(ITEMS - len(COLD)) % 2
    means = [scores[:, : len(kinds)][:, kinds == kind].mean(1) for kind in (0, 1)]
    assert ((means[1] > means[0]) == (run.train.user_index % 2 == 1)).mean() > 0.9


def test_one_step_moves_every_row_and_a_table_without_a_graph_only_its_own() -> None:
    """Gradients of all rows reach the tables' optimizer, as gradients of some do."""
    data = {name: value[:1] for name, value in batch(8).items()}
    for graph in (True, False):
        trainer = tiny_trainer(LossConfig(type="bpr", negatives=2), graph=graph)
        view = trainer.model.views["neural"]
        tables = [view.user_table.table, view.item_table.table]
        before = [np.array(table.numpy()) for table in tables]
        trainer.train_step(data)
        moved = [
            (np.abs(table.numpy() - old).max(1) > 0).mean()
            for table, old in zip(tables, before, strict=True)
        ]
        assert moved == [1.0, 1.0] if graph else max(moved) <= 2 / 6


def test_a_known_user_whom_nothing_trained_is_answered_as_an_unknown_one(
    data: Path, tmp_path: Path
) -> None:
    """By the items' biases alone, and not by the random vector that an embedding begins with."""
    stranger = int(Timelines.load(data, "train").user_index[0])
    found = {split: [e for e in some if e[0] != stranger] for split, some in events().items()}
    found["test"].append((stranger, 1, 9_000, 1.0))
    lone = write_prepared(tmp_path / "data", found, items=ITEMS, users=USERS)
    config = load_config(find_model_config("matrix-factorization"), ModelConfig, SMALL)
    train(lone, tmp_path / "run", config, progress=False)
    run = load_run(tmp_path / "run")
    nobody = {"user_index": tf.constant([stranger, -1, stranger + 1])}
    nobody["history"] = tf.fill([3, 4], -1)
    known, unknown, other = run.model.query_tower(nobody).numpy()
    assert known.tolist() == unknown.tolist() == [0.0] * 8 + [1.0]
    assert np.abs(other - unknown).max() > 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"query": {"history": {"type": "mean"}}},
            r"query\.history: .*null beside `graph`.*: mean",
        ),
        ({"query": {"use_id": False}}, r"query\.use_id: ids are .* Received: false. .*=true, or"),
        ({"item": {"use_id": False}}, r"item\.use_id: ids are what a graph spreads"),
        (
            {"query": {"negatives": True}},
            r"query\.negatives: a graph and its histories are of likes",
        ),
        ({"optimizer": {"balance": 0.3}}, r"optimizer\.balance: .* must be 0 .* Received: 0\.3"),
    ],
)
def test_what_a_graph_has_no_place_for_is_refused(change: Any, message: str) -> None:
    plain: dict[str, Any] = {"name": "m", "graph": {}, "query": {"use_id": True, "history": None}}
    check_options(validate(plain, ModelConfig, where="test"))
    for name, value in change.items():
        plain[name] = {**plain.get(name, {}), **value}
    with pytest.raises(DescriptionError, match=message):
        check_options(validate(plain, ModelConfig, where="test"))


def test_more_likes_than_a_step_should_go_over_are_refused(data: Path) -> None:
    config = load_config(find_model_config("lightgcn"), ModelConfig, ["graph.max_positives=400"])
    manifest = DataLayout(data).read_manifest()
    with pytest.raises(DescriptionError, match=r"graph\.max_positives: .*400\. Received: 480\."):
        check_fit(config, manifest)
    check_fit(config.model_copy(update={"graph": GraphConfig(max_positives=480)}), manifest)
