"""Two views of a history: what they keep, what they hide, and whom they are told apart from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.training.resuming import check_resumed
from tfrec.config.loading import validate
from tfrec.config.model import ModelConfig
from tfrec.errors import DescriptionError
from tfrec.training import RunLayout, train
from tfrec.training.history_contrast import HistoryContrast, two_views
from tfrec.training.options import check_options

LENGTH = 8
HISTORY = np.array(
    [[-1, -1, 3, 4, 5, 6, 7, 8], [-1] * 7 + [9], [10, 11, 12, 13, 14, 15, 16, 17], [-1] * 8]
)


def batch(users: list[int] | None = None) -> dict[str, Any]:
    """Each event's age is its item / 10 and its type the item + 1."""
    there = HISTORY >= 0
    return {
        "user_index": tf.constant(users or [0, 1, 2, 3]),
        "history": tf.constant(HISTORY, tf.int32),
        "history_age": tf.constant(np.where(there, HISTORY / 10, 0), tf.float32),
        "history_event": tf.constant(np.where(there, HISTORY + 1, 0), tf.int32),
        "about": tf.constant([1.0, 2.0, 3.0, 4.0]),
        "about/present": tf.constant([True, True, False, True]),
        "context/hour": tf.constant([1, 2, 3, 4]),
        "target_weight": tf.constant([1.0, 1.0, 2.0, 1.0]),
    }


def some_views(count: int = 40) -> list[dict[str, np.ndarray]]:
    pairs = [two_views(batch(), tf.constant([7, seed])) for seed in range(count)]
    return [{n: np.asarray(v) for n, v in view.items()} for pair in pairs for view in pair]


def test_a_view_is_of_the_own_history_with_ages_and_types() -> None:
    """Wherever an event goes, its age and its type go with it; padding has neither."""
    for view in some_views():
        for row, history in enumerate(view["history"]):
            assert set(history.tolist()) <= {-1, *HISTORY[row].tolist()}
            there = history >= 0
            assert there.any() == (HISTORY[row] >= 0).any()
            np.testing.assert_allclose(
                view["history_age"][row], np.where(there, history / 10, 0), rtol=1e-6
            )
            assert view["history_event"][row].tolist() == np.where(there, history + 1, 0).tolist()


def test_views_differ_by_row_and_draw_and_come_again_with_the_seed() -> None:
    views = some_views()
    cropped = [(view["history"] >= 0).sum(1) for view in views]
    # Some rows are cut, some only reordered, in one and the same view.
    assert any(counts[0] < 6 and counts[2] == 8 for counts in cropped)
    assert len({view["history"].tobytes() for view in views}) > 60
    again = two_views(batch(), tf.constant([7, 0]))[0]["history"]
    np.testing.assert_array_equal(views[0]["history"], again)


def test_nothing_but_the_history_tells_a_view() -> None:
    """A user id or a profile in both views would be all that is learned."""
    for view in some_views(2):
        assert (view["user_index"] == -1).all() and not view["about/present"].any()
        assert not view["context/hour"].any()


def test_the_term_is_the_papers_and_leaves_out_short_histories_and_own_rows() -> None:
    """By hand: −log softmax over other users' views, both ways; one event or none counts not."""
    term = HistoryContrast(0.5, temperature=0.2, seed=3)
    calls: list[np.ndarray] = []
    vectors = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)

    def tower(inputs: dict[str, Any], training: bool) -> Any:
        assert training
        calls.append(np.asarray(inputs["history"]))
        return tf.constant(vectors[len(calls) - 1])

    data = {**batch([0, 1, 2, 0]), "history": tf.constant(HISTORY[[0, 1, 2, 2]], tf.int32)}
    found = float(term(data, tower=tower))
    rows, weight, users = [0, 2, 3], np.array([1.0, 2.0, 1.0]), np.array([0, 2, 0])
    expected = 0.0
    for one, other in (vectors, vectors[::-1]):
        scores = one[rows] @ other[rows].T / 0.2
        same = (users[:, None] == users) & ~np.eye(3, dtype=bool)
        scores = np.where(same, -np.inf, scores)
        loss = np.log(np.exp(scores).sum(1)) - np.diag(scores)
        expected += (loss * weight).sum() / weight.sum()
    assert found == pytest.approx(0.5 * expected / 2, rel=1e-4)
    assert len(calls) == 2 and not np.array_equal(*calls)


def test_a_span_counts_as_much_as_its_targets() -> None:
    """Weights of targets become weights of histories; a context, too, has a row a target."""
    vectors = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)

    def told(data: dict[str, Any]) -> float:
        calls: list[int] = []

        def tower(inputs: dict[str, Any], training: bool) -> Any:
            assert inputs["context/hour"].shape == (4,) and "target_place" not in inputs
            calls.append(0)
            return tf.constant(vectors[len(calls) - 1])

        return float(HistoryContrast(1.0, temperature=0.5)(data, tower=tower))

    examples = {**batch(), "target_weight": tf.constant([3.0, 1.0, 2.0, 0.0])}
    places = tf.constant([6, 7, 15, 20, 16], tf.int32)
    spans = {
        **examples,
        "target_place": places,
        "target_weight": tf.constant([1.0, 2.0, 1.0, 2.0, 0.0]),
        "context/hour": tf.constant([1, 2, 3, 4, 5]),
    }
    assert told(spans) == pytest.approx(told(examples), rel=1e-5)


def config(**loss: Any) -> ModelConfig:
    content = {
        "name": "contrast",
        "dimension": 8,
        "item": {"features": []},
        "query": {"history": {"type": "gru"}, "history_length": 6, "history_content": 0},
        "loss": {"type": "full", **loss},
        "training": {
            "batch_size": 64,
            "epochs": 2,
            "monitor": "ndcg@5",
            "seed": 1,
            "positions": "all",
        },
    }
    return validate(content, ModelConfig, where="test")


@pytest.mark.slow
def test_a_training_with_it_over_all_positions_resumes_bit_for_bit(
    data: Path, tmp_path: Path
) -> None:
    """Its draws are part of the state; and the term is in the loss."""
    check_resumed(data, tmp_path, config(history_contrast=0.3))
    train(data, tmp_path / "without", config(), progress=False)
    losses = [
        json.loads(RunLayout(tmp_path / name).history.read_text())[0]["loss"]
        for name in ("whole", "without")
    ]
    assert losses[0] > losses[1] + 0.1


def test_without_a_history_it_is_refused() -> None:
    settings = config(history_contrast=0.3)
    settings = settings.model_copy(
        update={"query": settings.query.model_copy(update={"history": None, "use_id": True})}
    )
    with pytest.raises(DescriptionError, match=r"loss.history_contrast.*Set a query.history"):
        check_options(settings)
