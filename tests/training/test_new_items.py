"""Items that nobody has met get their share of the lists, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.harness import H5PY_WARNING
from tests.records import spec, write_prepared
from tests.training.conftest import COLD, ITEMS, USERS, events, kind
from tfrec.config.loading import validate
from tfrec.config.model import ModelConfig
from tfrec.evaluation.held_out import HeldOut
from tfrec.evaluation.top_k import top_k
from tfrec.export.exporting import export_run
from tfrec.export.session import ServedModel
from tfrec.model import NewItemsView, TwoTower
from tfrec.model.parts import BASE, NEWNESS
from tfrec.training import load_run, train
from tfrec.training.new_items import PLACES, smallest_boost

QUERIES = {"history": tf.constant([[-1, 0], [-1, -1], [1, 2]])}
ASKED = {"item_index": tf.constant([0, -1, 2])}


def test_what_nobody_met_is_raised_and_nothing_else() -> None:
    """And its parts say so: what a query adds is its base, what an item adds is newness."""
    view = NewItemsView()
    view.set(boost=3.0, height=0.5)
    scores = view.query(QUERIES).numpy() @ view.item(ASKED).numpy().T
    np.testing.assert_array_equal(scores, [[0.0, 1.5, 0.0]] * 3)
    parts = view.query_parts(QUERIES)
    assert parts.events.shape == (3, 2, 1) and not parts.events.numpy().any()
    assert list(parts.others) == [BASE] and list(view.item_parts(ASKED)) == [NEWNESS]


@pytest.mark.filterwarnings(H5PY_WARNING)
def test_a_saved_model_keeps_both_factors(tmp_path: Path) -> None:
    view = NewItemsView()
    view.set(boost=3.0, height=0.5)
    model = TwoTower({NEWNESS: view})
    inputs = {**QUERIES, **ASKED}
    model.build_layers(inputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded(inputs).numpy().tolist() == [0.0, 1.5, 0.0]


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_the_boost_is_the_smallest_that_gives_the_share(share: float) -> None:
    """Counted anew, by ranking all scores: with a hair less it is not reached."""
    random = np.random.default_rng(1)
    known = random.normal(size=(300, 200)).astype(np.float32)
    new = (0.2 * random.normal(size=(300, 60))).astype(np.float32)

    def taken(boost: float) -> float:
        both = np.hstack([known, new + np.float32(boost)])
        return float((np.argsort(-both, 1)[:, :PLACES] >= known.shape[1]).mean())

    def best(scores: np.ndarray) -> np.ndarray:
        return -np.sort(-scores, 1)[:, :PLACES]

    boost = smallest_boost(best(known), best(new), share)
    assert taken(0.0) < 0.01
    assert taken(boost + 1e-5) >= share > taken(boost - 1e-3)


def test_who_has_a_share_gets_no_boost_and_few_cannot_have_more_than_they_are() -> None:
    known = np.tile(np.arange(PLACES, 0, -1, dtype=np.float32), (2, 1))
    assert smallest_boost(known, known[:, :3] + 100, 0.1) == 0.0
    # Two items, of which one user has seen one.
    new = np.float32([[0.0, -1.0], [0.0, -np.inf]])
    boost = smallest_boost(known, new, 0.04)
    assert 0 < boost < 4 and np.isfinite(smallest_boost(known, new, 0.5))


CONFIG: dict[str, Any] = {
    "name": "fair",
    "dimension": 8,
    "query": {"history_length": 6},
    "training": {"batch_size": 64, "epochs": 1, "monitor": "ndcg@5"},
    "new_items": {"share": 0.05},
}


@pytest.mark.slow
def test_new_items_come_up_where_they_are_served(tmp_path: Path) -> None:
    """Among the best twenty of validation's users, and of an export, whose shares add up."""
    data = write_prepared(
        tmp_path / "data",
        events(),
        items=ITEMS,
        users=USERS,
        specs=[spec("words", "text")],
        values={"words": ["loud" if kind(i) else "calm" for i in range(ITEMS)]},
    )

    def share(run: Path) -> float:
        restored, asked = load_run(run), HeldOut.load(data, "validation")
        queries = restored.query_vectors(restored.history_of(asked.past))
        found = top_k(queries, restored.item_vectors(), PLACES, seen=asked.seen)
        return float(np.isin(found.items, COLD).mean())

    lines: list[str] = []
    for name, wanted in (("without", 0.0), ("with", 0.05)):
        config = validate({**CONFIG, "new_items": {"share": wanted}}, ModelConfig, where="test")
        train(data, tmp_path / name, config, say=lines.append, progress=False)
    assert share(tmp_path / "without") < 0.05 <= share(tmp_path / "with") + 1e-9
    assert any(line.startswith("new items: 2 without behaviour, raised by") for line in lines)
    done = export_run(tmp_path / "with", tmp_path / "models", force=True)
    assert done.verification.largest_difference < 1e-4
    with ServedModel(done.path) as served:
        inputs = {
            "user_id": np.array([b"u0"], object),
            "history": np.array([[b""]], object),
            "exclude": np.array([[b""]], object),
            "k": np.array([ITEMS], np.int32),
            "item_ids": np.array([[b"i38", b"i0"]], object),
        }
        answer = served.run("explain", inputs)
    place = answer["modality"][0].tolist().index(b"newness")
    shares = answer["modality_shares"][0]
    np.testing.assert_allclose(shares[:2].sum(1), answer["scores"][0, :2], atol=1e-4)
    assert shares[0, place] > 0 == shares[1, place]
