"""The popularity term: who heeds which column, and how much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.harness import H5PY_WARNING
from tfrec.model import PopularityView, TwoTower
from tfrec.model.parts import BASE, POPULARITY

COLUMNS = np.array([[0.5, 1.0], [1.0, 4.0], [3.0, 2.0]], np.float32)
QUERIES = {"history": tf.constant([[-1, -1, -1], [-1, -1, 0], [1, 2, 0]])}


@pytest.fixture
def view() -> PopularityView:
    made = PopularityView(items=3, name="popularity")
    made.set(COLUMNS, newcomer=2.0, known=6.0)
    return made


def items(*index: int) -> dict[str, Any]:
    return {"item_index": tf.constant(index, tf.int32)}


def test_newcomers_and_others_heed_their_own_column(view: PopularityView) -> None:
    """2 x the first without a history; 6 / √(1 + n) x the second after n events, padding none."""
    scores = view.query(QUERIES).numpy() @ view.item(items(0, 1, 2)).numpy().T
    heed = [6.0 / np.sqrt(2.0), 3.0]
    expected = [2.0 * COLUMNS[:, 0], *(weight * COLUMNS[:, 1] for weight in heed)]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_an_item_nobody_met_has_none(view: PopularityView) -> None:
    """Index -1 must not read a row of the table."""
    assert not view.item(items(-1)).numpy().any()


def test_the_shares_are_called_popularity_and_add_up(view: PopularityView) -> None:
    """No single event moves it: what a query adds is its base."""
    parts = view.query_parts(QUERIES)
    assert parts.events.shape == (3, 3, 2) and not parts.events.numpy().any()
    np.testing.assert_array_equal(parts.others[BASE], view.query(QUERIES))
    assert list(view.item_parts(items(2))) == [POPULARITY]


@pytest.mark.filterwarnings(H5PY_WARNING)
def test_a_saved_model_keeps_columns_and_weights(view: PopularityView, tmp_path: Path) -> None:
    model = TwoTower({"popularity": view})
    inputs = {**QUERIES, **items(0, 1, 2)}
    model.build_layers(inputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    assert model(inputs).numpy().any()
