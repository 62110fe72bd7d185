"""Training on every position of a history in one pass: the same loss, learned in fewer steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.input.test_windows import timelines
from tests.training.test_train import BASE, config
from tests.training.tiny import ITEMS, LIKED, USERS
from tfrec.config.model import LossConfig, ModelConfig
from tfrec.errors import DescriptionError
from tfrec.input import Batches, ItemTable, Spans, Windows
from tfrec.model import NeuralView, TwoTower
from tfrec.optimizers import AveragedAdamW, RowAdagrad
from tfrec.schema import DataLayout
from tfrec.towers import GruHistory
from tfrec.training import Catalogue, RunLayout, Trainer, load_run, train
from tfrec.training.defaults import resolve
from tfrec.training.options import check_options

LENGTH = 8
TARGETS = sum(map(len, LIKED))
ALL: dict[str, Any] = {
    **BASE,
    "item": {"features": []},
    "query": {**BASE["query"], "history": {"type": "transformer", "time": "gap", "dropout": 0.1}},
    "training": {**BASE["training"], "positions": "all"},
}


def gru_trainer(loss: LossConfig, *, micro_batches: int = 1) -> Trainer:
    """Users' histories by a recurrent network against ids; the same weights each time."""
    keras.utils.set_random_seed(0)
    view = NeuralView(4, items=ITEMS, history=GruHistory(4, time="gap"), name="neural")
    model = TwoTower({"neural": view})
    one = tf.constant([0])
    model.build_layers(
        {
            "user_index": one,
            "item_index": one,
            "history": one[:, None],
            "history_age": tf.zeros([1, 1]),
        }
    )
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(random.normal(0, 0.5, variable.shape))
    zeros = np.zeros(ITEMS, np.int64)
    table = ItemTable(np.empty(ITEMS, object), zeros + 1, zeros, zeros, {}, {}, {}, {})
    counts = np.arange(1, ITEMS + 1, dtype=np.float64)
    trainer = Trainer(
        model,
        Catalogue(table, {}, {}),
        loss,
        counts,
        RowAdagrad(0.1),
        users=USERS,
        batch_size=TARGETS,
        micro_batches=micro_batches,
    )
    dense = AveragedAdamW(0.01)
    dense.build(trainer.dense_variables)
    trainer.compile(optimizer=dense)
    return trainer


def step(batches: Batches, loss: LossConfig, **options: Any) -> tuple[float, list[np.ndarray]]:
    """Loss of the first batch, and the weights after it."""
    trainer = gru_trainer(loss, **options)
    found = float(trainer.train_step(batches.batch(0))["loss"])
    return found, [np.array(variable.numpy()) for variable in trainer.model.trainable_variables]


@pytest.mark.parametrize("kind", ["full", "weighted"])
def test_one_pass_learns_what_each_example_alone_would_teach(kind: str) -> None:
    """Loss and weights after a step on all targets: spans and windows, equal and weighted."""
    more: dict[str, Any] = {"length": LENGTH, "batch_size": TARGETS}
    if kind == "weighted":
        more["propensity_power"] = 0.5
    loss = LossConfig(type="full", temperature=0.5)
    data = timelines([*LIKED, [(3, 0, 1.0), (7, 2, 1.0)]])
    more["batch_size"] = TARGETS + 2
    one, moved = step(Spans(data, **more), loss)
    other, expected = step(Windows(data, **more), loss)
    assert one == pytest.approx(other, rel=1e-5)
    for first, second in zip(moved, expected, strict=True):
        if first.shape != (1,):  # the bias that a softmax is blind to
            np.testing.assert_allclose(first, second, atol=2e-4)


def test_micro_batches_of_spans_weigh_targets_alike() -> None:
    """Blocks of spans of different sizes: the loss is the mean over targets, not over blocks."""
    data = timelines([user[: 2 + place] for place, user in enumerate(LIKED)])
    loss = LossConfig(type="full", temperature=0.5)
    found = [
        step(Spans(data, length=LENGTH, batch_size=99, blocks=parts), loss, micro_batches=parts)
        for parts in (1, 3)
    ]
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)


@pytest.mark.parametrize("log_q", [False, True])
def test_in_batch_negatives_are_other_users_items(log_q: bool) -> None:
    """By hand: of a row's rivals only other users' rows on other items are left, corrected."""
    data = timelines(LIKED[:4])
    spans = Spans(data, length=LENGTH, batch_size=99)
    batch = spans.batch(0)
    trainer = gru_trainer(LossConfig(type="in_batch", temperature=0.5, log_q=log_q))
    queries = trainer.model.query_tower.at_places(batch).numpy()
    items = batch["item_index"].numpy()
    users = batch["user_index"].numpy()[batch["target_place"].numpy() // LENGTH]
    vectors = trainer.objective.items(batch["item_index"], batch).numpy()
    scores = queries @ vectors.T / 0.5
    if log_q:
        share = np.arange(1, ITEMS + 1) / sum(range(1, ITEMS + 1))
        scores -= np.log(TARGETS * share[items])
    losses = []
    for row in range(len(items)):
        rivals = [k for k in range(len(items)) if users[k] != users[row] and items[k] != items[row]]
        own = scores[row, row]
        losses.append(np.log(np.exp(own) + np.exp(scores[row, rivals]).sum()) - own)
    found = float(trainer.train_step(batch)["loss"])
    assert found == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.parametrize("more", [{"cache": 8, "negatives": 4}, {"hard_negatives": 2}])
def test_other_negatives_go_with_every_position(more: dict[str, Any]) -> None:
    """Drawn, kept and mined items are negatives of users' rows as they are of single examples."""
    trainer = gru_trainer(LossConfig(type="in_batch", **more))
    spans = Spans(timelines(LIKED), length=LENGTH, batch_size=99)
    losses = [float(trainer.train_step(spans.batch(0))["loss"]) for _ in range(12)]
    assert np.isfinite(losses).all()
    if trainer.objective.cache is not None:
        assert (trainer.objective.cache.ids.numpy() >= 0).all()


def test_a_transformer_learns_from_every_position(data: Path, tmp_path: Path) -> None:
    """On the small service the loss falls, validation beats chance, the run answers."""
    lines: list[str] = []
    settings = config(ALL, training={"epochs": 4})
    train(data, tmp_path / "run", settings, say=lines.append, progress=False)
    history = json.loads(RunLayout(tmp_path / "run").history.read_text())
    assert history[-1]["loss"] < history[0]["loss"]
    assert max(row["ndcg@5"] for row in history) > 0.06
    run = load_run(tmp_path / "run")
    assert np.isfinite(run.query_vectors(run.train)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"loss": {"type": "in_batch"}},
        {"loss": {"type": "bpr", "hard_negatives": 2}},
        {"loss": {"type": "bce"}},
        {"query": {"history": {"type": "gru"}}},
        {"query": {"negatives": True, "use_id": True}},
        {"training": {"micro_batches": 2, "mixed_precision": "mixed_bfloat16"}},
        {
            "loss": {"type": "in_batch"},
            "query": {"profile": False},
            "training": {"jit_compile": True},
        },
    ],
    ids=json.dumps,
)
def test_other_ways_of_training_learn_too(
    data: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    train(data, tmp_path / "run", config(ALL, **change), progress=False)
    losses = [row["loss"] for row in json.loads(RunLayout(tmp_path / "run").history.read_text())]
    assert losses[-1] < losses[0]


GAP = {"type": "gru", "time": "gap"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"query": {"history": {"type": "mean"}}},
            r"query\.history: an encoder with.*mean",
        ),
        ({"query": {"history": None}}, r"query\.history: an encoder with a state.*null"),
        ({"query": {"history": {"type": "gru"}}}, r"query\.history\.time: ages.*Set.*time=gap"),
        ({"loss": {"type": "tfrs"}}, r"loss\.type: .*Set loss\.type=in_batch"),
        ({"training": {"popularity_power": 0.5}}, r"training\.popularity_power: .*Received: 0\.5"),
        ({"optimizer": {"balance": 0.3}}, r"optimizer\.balance: .*Received: 0\.3"),
        ({"graph": {}}, r"positions: all\. Received: given"),
    ],
)
def test_what_every_position_cannot_go_with_is_told(change: dict[str, Any], message: str) -> None:
    content: dict[str, Any] = {"query": {"history": GAP}, "loss": {"type": "full"}, **change}
    content["training"] = {"positions": "all", "batch_size": 8, **change.get("training", {})}
    if "graph" in change:
        content["query"] = {"history": None, "use_id": True}
    with pytest.raises(DescriptionError, match=message):
        check_options(ModelConfig(name="x", **content))
    last = ModelConfig(name="x", **{**content, "training": {"batch_size": 8}})
    if "loss" not in change and "optimizer" not in change:
        check_options(last)


def test_gaps_are_chosen_and_told(data: Path) -> None:
    """What a configuration leaves open is settled in one line; what it says stays."""
    manifest = DataLayout(data).read_manifest()
    left = config(ALL, query={"history": {"type": "gru", "layers": 2}})
    resolved, told = resolve(left, manifest)
    assert resolved.query.history is not None
    assert resolved.query.history.options == {"layers": 2, "time": "gap"}
    assert "query.history.time: gap (training.positions: all)" in told
    again, told = resolve(resolved, manifest)
    assert again == resolved and not any("time" in line for line in told)
    last, _ = resolve(config(ALL, training={"positions": "last"}, query={"history": GAP}), manifest)
    assert last.query.history is not None and last.query.history.options == {"time": "gap"}
