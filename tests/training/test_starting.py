"""Id tables begin at factors of the train part, and only where that means something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.records import write_prepared
from tests.training.conftest import COLD, ITEMS, USERS
from tfrec.config.loading import validate
from tfrec.config.model import ModelConfig
from tfrec.errors import DescriptionError
from tfrec.input import Timelines
from tfrec.model import NeuralView, TwoTower, build_model
from tfrec.schema import DataLayout
from tfrec.training import resolve
from tfrec.training.item_factors import behaviour_factors
from tfrec.training.options import check_options
from tfrec.training.starting import start_from_factors


def view_of(data: Path, **changes: Any) -> tuple[TwoTower, NeuralView]:
    content = {"name": "m", "dimension": 8, "item": {"features": []}, **changes}
    config = validate(content, ModelConfig, where="test")
    model = build_model(config, DataLayout(data).read_manifest())
    view = model.views["neural"]
    assert isinstance(view, NeuralView)
    return model, view


def test_factors_multiply_to_the_weighted_matrix(tmp_path: Path) -> None:
    """At full rank U S Vᵀ is the matrix; worked by hand: counts 2 and 1 of users, 2 and 1 of items.

    A second positive on the same item counts once, one that is no positive not at all.
    """
    events = [(0, 0, 1, 1.0), (0, 1, 2, 1.0), (1, 0, 3, 1.0), (1, 0, 4, 1.0), (1, 2, 5, 0.0)]
    data = write_prepared(tmp_path / "data", {"train": events}, items=3)
    timelines = Timelines.load(data, "train")
    wanted = {0.0: [[1, 1, 0], [1, 0, 0]], 0.5: [[2**-1, 2**-0.5, 0], [2**-0.5, 0, 0]]}
    for power, matrix in wanted.items():
        of_items, of_users = behaviour_factors(timelines, 3, 5, 0, power=power)
        # The matrix has two users, so that an iteration finds one component: the largest.
        left, values, right = np.linalg.svd(np.array(matrix))
        assert of_items.shape == (3, 1) and of_users.shape == (2, 1)
        np.testing.assert_allclose(np.abs(of_items[:, 0]), np.abs(right[0]) * values[0], atol=1e-9)
        np.testing.assert_allclose(np.abs(of_users[:, 0]), np.abs(left[:, 0]) * values[0])
        assert of_items.sum() * of_users.sum() > 0


def test_tables_begin_near_for_items_with_one_public(data: Path) -> None:
    """Equal in history and among candidates, of length 1 on average, cold rows as before."""
    _, view = view_of(data)
    before = np.array(view.item_table.table.numpy())
    start_from_factors(view, Timelines.load(data, "train"), seed=0)
    items, history = (np.array(t.table.numpy()) for t in (view.item_table, view.history_table))
    warm = np.array([row for row in range(ITEMS) if row not in COLD])
    np.testing.assert_array_equal(items[warm], history[warm])
    assert np.linalg.norm(items[warm], axis=1).mean() == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(items[list(COLD)], before[list(COLD)])
    scores = items[warm] @ history[warm].T
    same = (warm[:, None] % 2) == (warm[None, :] % 2)
    assert scores[same].mean() > 3 * scores[~same].mean()


def test_a_user_without_history_begins_at_his_own_factors(data: Path) -> None:
    """Scores of users' and items' rows are those of the truncated matrix, up to the scale."""
    _, view = view_of(data, query={"history": None, "use_id": True})
    timelines = Timelines.load(data, "train")
    start_from_factors(view, timelines, seed=0)
    of_items, of_users = behaviour_factors(timelines, ITEMS, 8, 0, power=0.25)
    expected = of_users @ of_items.T
    users, items = (t.table.numpy() for t in (view.user_table, view.item_table))
    warm = [row for row in range(ITEMS) if row not in COLD]
    found = (users[timelines.user_index] @ items.T)[:, warm]
    expected = expected[:, warm]
    scale = (found * expected).sum() / (expected**2).sum()
    np.testing.assert_allclose(found, scale * expected, atol=1e-5)
    assert len(users) == USERS


def test_factors_without_tables_are_refused(data: Path) -> None:
    manifest = DataLayout(data).read_manifest()
    content = {"name": "m", "item": {"use_id": False}}
    config, _ = resolve(validate(content, ModelConfig, where="test"), manifest)
    assert config.training.start == "random"
    content["training"] = {"start": "factors"}
    config, _ = resolve(validate(content, ModelConfig, where="test"), manifest)
    with pytest.raises(DescriptionError, match=r"training\.start: factors are put into tables"):
        check_options(config)
