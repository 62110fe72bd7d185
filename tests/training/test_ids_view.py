"""A view of ids alone beside one that has content: what content costs known items is given back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.records import spec, write_prepared
from tests.training.conftest import COLD, ITEMS, USERS, events
from tfrec.config.loading import validate
from tfrec.config.model import ModelConfig
from tfrec.errors import RunError
from tfrec.evaluation.held_out import HeldOut
from tfrec.evaluation.metrics import RankedLists, mean
from tfrec.evaluation.top_k import top_k
from tfrec.input import ItemInputs
from tfrec.model import NeuralView
from tfrec.schema import DataLayout
from tfrec.training import load_run, resolve, train
from tfrec.training.ids_view import ids_alone

CONFIG: dict[str, Any] = {
    "name": "both",
    "dimension": 8,
    # Titles tell nothing, and the learned view must all but do with them.
    "item": {"id_dropout": 0.9},
    "query": {"history_length": 6, "history_content": 0},
    "optimizer": {"learning_rate": 0.01, "embedding_learning_rate": 0.05},
    "training": {"batch_size": 64, "epochs": 3, "patience": 3, "monitor": "ndcg@5"},
    "closed_form": {"enabled": True, "rank": 8, "max_trials": 1},
    "ids": {"enabled": True},
    "popularity": {"enabled": True},
    "new_items": {"share": 0.05},
}


def settings(**changed: Any) -> ModelConfig:
    return validate({**CONFIG, **changed}, ModelConfig, where="test")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(3)
    return write_prepared(
        tmp_path_factory.mktemp("noise") / "data",
        events(),
        items=ITEMS,
        users=USERS,
        specs=[spec("title", "text", encoded_dim=3)],
        values={"title": [f"title {i}" for i in range(ITEMS)]},
        encoded={"title": random.normal(size=(ITEMS, 3)).tolist()},
    )


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float, list[str]]:
    """A run, what training says validation gave it, and its lines."""
    run = tmp_path_factory.mktemp("trained") / "run"
    lines: list[str] = []
    result = train(data, run, settings(), say=lines.append, progress=False)
    return run, result.best, lines


def measured(run: Path, data: Path) -> float:
    restored, asked = load_run(run), HeldOut.load(data, "validation")
    queries = restored.query_vectors(restored.history_of(asked.past))
    found = top_k(queries, restored.item_vectors(), 5, seen=asked.seen)
    return mean(RankedLists(found.items, asked.relevant, items=ITEMS).ndcg(5))


@pytest.mark.slow
def test_what_is_restored_is_what_validation_measured(
    data: Path, trained: tuple[Path, float, list[str]]
) -> None:
    """And it is better than without: content and hidden ids had cost something here."""
    run, told, lines = trained
    assert {"neural", "closed_form", "ids"} <= set(load_run(run).model.views)
    assert measured(run, data) == pytest.approx(told, abs=1e-6)
    learned = max(row["ndcg@5"] for row in json.loads((run / "history.json").read_text()))
    alone = float(next(line for line in lines if line.startswith("ids alone: ")).split()[3][:-1])
    assert told > learned and alone > learned
    # A run of its own, that every command takes.
    assert measured(run / "ids", data) == pytest.approx(alone, abs=1e-4)


@pytest.mark.slow
def test_of_new_items_it_says_what_it_says_of_known_ones_on_average(
    trained: tuple[Path, float, list[str]],
) -> None:
    """Neither kind floods a list; and what content's kernel says of another view isn't its own."""
    run = load_run(trained[0])
    view, vectors = run.model.views["ids"], run.item_vectors()[:, -9:]
    assert isinstance(view, NeuralView) and view.dimension == 9
    known = np.setdiff1d(np.arange(ITEMS), COLD)
    for item in COLD:
        np.testing.assert_allclose(vectors[item], vectors[known].mean(0), atol=1e-6)
    placed = {"item_index": tf.constant([-1]), "placed": tf.ones([1, 9])}
    np.testing.assert_allclose(view.item(placed)[0], vectors[COLD[0]], atol=1e-6)


@pytest.mark.slow
def test_its_parts_add_up_for_known_items_and_new_ones(
    trained: tuple[Path, float, list[str]],
) -> None:
    run = load_run(trained[0])
    rows = np.array([0, 1, *COLD])
    inputs = {
        name: tf.constant(value) for name, value in ItemInputs(run.items, ["title"])(rows).items()
    }
    parts = run.model.item_tower.parts(inputs)
    np.testing.assert_allclose(sum(parts.values()), run.item_vectors()[rows], atol=1e-5)
    assert not np.abs(parts["title"][:, -9:]).max() > 1e-6
    assert np.abs(parts["behaviour"][:2, -9:]).max() > 1e-3


@pytest.mark.slow
def test_killed_within_it_and_resumed_equals_an_undisturbed_training(
    data: Path, trained: tuple[Path, float, list[str]], tmp_path: Path
) -> None:
    run = tmp_path / "run"

    def die(line: str) -> None:
        if line.startswith("  epoch   2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, run, settings(), say=die, progress=False)
    with pytest.raises(RunError, match="training has not ended"):
        load_run(run)
    lines: list[str] = []
    train(data, run, settings(), resume=True, say=lines.append, progress=False)
    assert [line.split()[1] for line in lines if line.strip().startswith("epoch")] == ["3"]
    for where in ("ids/checkpoints/last.npz", "checkpoints/ids.npz"):
        with np.load(trained[0] / where) as whole, np.load(run / where) as resumed:
            assert len(whole.files) == len(resumed.files)
            for name, other in zip(whole.files, resumed.files, strict=True):
                if name != "meta":
                    np.testing.assert_array_equal(whole[name], resumed[other], err_msg=name)
    joined = [
        json.loads((root / "checkpoints" / "joined.json").read_text()) for root in (trained[0], run)
    ]
    # What layers are called counts those made in the process before them.
    for part in ("scales", "unseen"):
        assert joined[0][part] == joined[1][part]


@pytest.mark.slow
def test_a_later_run_goes_on_from_both(
    data: Path, trained: tuple[Path, float, list[str]], tmp_path: Path
) -> None:
    lines: list[str] = []
    once = settings(training={**CONFIG["training"], "epochs": 1})
    train(data, tmp_path / "run", once, source=trained[0], say=lines.append, progress=False)
    went_on = [line.strip() for line in lines if "go on with what they had learned" in line]
    assert [line.split(":")[0] for line in went_on] == [
        f"from {trained[0]}",
        f"from {trained[0] / 'ids'}",
    ]


def test_it_is_trained_as_the_learned_view_is_without_what_is_about_content(data: Path) -> None:
    manifest = DataLayout(data).read_manifest()
    given = settings(
        loss={"negatives": 50, "temperature": 0.2},
        optimizer={"balance": 0.3, "modality_rates": {"title": 0.5}, "learning_rate": 0.02},
    )
    config, _ = resolve(ids_alone(given, manifest), manifest)
    assert config.item.features == () and not config.query.profile and not config.query.context
    assert (config.loss.type, config.loss.negatives, config.loss.temperature) == ("full", 0, 0.2)
    assert not config.optimizer.balance and not config.optimizer.modality_rates
    assert config.optimizer.learning_rate == 0.02 and config.dimension == 8
    assert not (config.ids.enabled or config.closed_form.enabled or config.popularity.enabled)
    assert not config.new_items.share
    # A loss that was asked for stays, with its negatives.
    asked = settings(loss={"type": "in_batch", "negatives": 50})
    assert ids_alone(asked, manifest).loss.negatives == 50


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"item": {"features": []}}, "no features"),
        ({"query": {"history": None}}, "neither history"),
    ],
)
def test_where_ids_say_nothing_of_their_own_there_is_no_view_of_them(
    data: Path, changed: dict[str, Any], why: str
) -> None:
    manifest = DataLayout(data).read_manifest()
    config, told = resolve(settings(**changed), manifest)
    assert not config.ids.enabled
    assert any(line.startswith("ids.enabled: False") and why in line for line in told)
    assert resolve(settings(), manifest)[0].ids.enabled
