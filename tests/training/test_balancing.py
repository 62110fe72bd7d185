"""Modalities are slowed down while they lead, by the paper's equations, or by fixed rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.test_train import config
from tfrec.errors import DescriptionError
from tfrec.input import ItemTable
from tfrec.model import NeuralView, TwoTower
from tfrec.schema import FeatureSpec
from tfrec.training import Catalogue, load_run, train
from tfrec.training.balancing import ModalityBalance, modulation
from tfrec.training.options import check_options

ITEMS = 6


def test_modulation_is_the_papers() -> None:
    """Two modalities, 0.6 against 0.2: ρ = 3 and 1/3; only the leading one is slowed."""
    np.testing.assert_allclose(modulation([0.6, 0.2], 0.5), [1 - np.tanh(1.5), 1], rtol=1e-6)
    np.testing.assert_allclose(modulation([0.3, 0.3], 9.0), [1, 1])
    # Three: against the mean of the others, 0.4 / 0.25.
    found = modulation([0.4, 0.3, 0.2], 1.0)
    np.testing.assert_allclose(found, [1 - np.tanh(1.6), 1, 1], rtol=1e-5)
    np.testing.assert_allclose(modulation([0.9], 1.0), [1])


@pytest.fixture
def parts() -> tuple[NeuralView, Catalogue]:
    """Ids and a number of each item, item 5 without the number, under a matrix sum."""
    from tfrec.config.dataset import FeatureConfig
    from tfrec.fusion import MatrixSum
    from tfrec.towers import PeriodicTower

    keras.utils.set_random_seed(1)
    tower = PeriodicTower(4)
    view = NeuralView(4, items=ITEMS, users=3, item_towers={"year": tower}, fusion=MatrixSum(4))
    zeros = np.zeros(ITEMS, np.int64)
    spec = FeatureSpec(name="year", modality="numeric", config=FeatureConfig(modality="numeric"))
    numbers, there = np.arange(ITEMS, dtype=np.float32), np.arange(ITEMS) < 5
    table = ItemTable(
        np.empty(ITEMS, object),
        zeros + 1,
        zeros,
        zeros,
        {"year": numbers},
        {},
        {"year": there},
        {"year": spec},
    )
    catalogue = Catalogue(table, view.item_towers, {})
    inputs = {"user_index": tf.constant([0]), **catalogue.gather(tf.constant([0]))}
    TwoTower({"neural": view}).build_layers(inputs)
    return view, catalogue


def data() -> dict[str, Any]:
    return {
        "user_index": tf.constant([0, 1, 2, 0]),
        "item_index": tf.constant([0, 2, 3, 5]),
        "target_weight": tf.constant([1.0, 2.0, 1.0, 1.0]),
    }


def test_a_score_is_what_a_modality_says_alone(parts: tuple[NeuralView, Catalogue]) -> None:
    """The mean probability of the own item, weighted, over rows that have the modality."""
    view, catalogue = parts
    balance = ModalityBalance(view, catalogue, strength=1.0)
    assert balance.modalities == ("item_id", "year")
    found = balance.scores(data()).numpy()
    inputs = catalogue.gather(data()["item_index"])
    queries = view.query(data()).numpy()
    for name, hidden, rows in (
        ("item_id", {"year/present": tf.zeros(4, tf.bool)}, [0, 1, 2, 3]),
        ("year", {"item_index": tf.fill([4], -1)}, [0, 1, 2]),
    ):
        scores = queries @ view.item({**inputs, **hidden}).numpy().T
        shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        weights = data()["target_weight"].numpy()[rows]
        expected = (np.diag(shares)[rows] * weights).sum() / weights.sum()
        assert found[balance.modalities.index(name)] == pytest.approx(expected, rel=1e-5)
    balance.measure(data())
    np.testing.assert_allclose(balance.factors, modulation(found, 1.0), rtol=1e-6)
    assert balance.factors.numpy().min() < 1


def test_a_rate_scales_the_step_of_its_own_weights_alone(
    parts: tuple[NeuralView, Catalogue],
) -> None:
    """Half a step for the number's tower; nothing for ids, rows of a table too; all else whole."""
    view, catalogue = parts
    balance = ModalityBalance(view, catalogue, rates={"year": 0.5, "item_id": 0.0})
    balance.measure(data())
    tower, table = view.item_towers["year"].projection.kernel, view.item_table.table
    other = view.fusion.trainable_variables[0]
    variables = [tower, other, table]
    rows = tf.IndexedSlices(tf.ones([2, 4]), tf.constant([1, 1]), tf.constant([ITEMS, 4]))
    gradients = [tf.ones(tower.shape), tf.ones(other.shape), rows]
    old = [variable.numpy() for variable in variables]
    kept = balance.before(gradients, variables)
    for variable in variables:
        variable.assign(variable.value + 1.0)
    balance.after(kept, variables)
    np.testing.assert_allclose(tower.numpy(), old[0] + 0.5, atol=1e-6)
    np.testing.assert_allclose(other.numpy(), old[1] + 1.0, atol=1e-6)
    np.testing.assert_allclose(table.numpy()[1], old[2][1], atol=1e-6)
    np.testing.assert_allclose(table.numpy()[0], old[2][0] + 1.0, atol=1e-6)


def test_noise_is_as_wide_as_the_gradient_and_only_for_what_is_slowed(
    parts: tuple[NeuralView, Catalogue],
) -> None:
    view, catalogue = parts
    balance = ModalityBalance(view, catalogue, strength=1.0, noise=True)
    kernel = view.item_towers["year"].hidden.kernel
    gradient = tf.random.stateless_normal(kernel.shape, [1, 2]) * 5
    balance.factors.assign([1.0, 1.0])
    np.testing.assert_array_equal(balance.noised([gradient], [kernel])[0], gradient)
    balance.factors.assign([1.0, 0.5])
    added = [balance.noised([gradient], [kernel])[0] - gradient for _ in range(20)]
    assert np.std(added) == pytest.approx(np.std(gradient), rel=0.1)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ({"balance_noise": True}, r"balance_noise: it belongs to the modulation"),
        ({"balance": 0.3, "average": 0.9}, r"without moving averages"),
    ],
)
def test_options_that_contradict_are_refused(optimizer: dict[str, Any], message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        check_options(config(optimizer=optimizer))


@pytest.mark.slow
def test_a_training_is_balanced_and_refuses_unknown_modalities(data: Path, tmp_path: Path) -> None:
    """The options reach a training: weights differ from an unbalanced one's, and are finite."""
    plain = config(training={"epochs": 1})
    train(data, tmp_path / "plain", plain, progress=False)
    options = {"balance": 0.5, "balance_noise": True, "modality_rates": {"genres": 0.0}}
    train(
        data,
        tmp_path / "balanced",
        config(training={"epochs": 1}, optimizer=options),
        progress=False,
    )
    one, two = (load_run(tmp_path / name) for name in ("plain", "balanced"))
    assert np.isfinite(two.item_vectors()).all()
    assert np.abs(one.item_vectors() - two.item_vectors()).max() > 1e-4
    wrong = config(optimizer={"modality_rates": {"genre": 1.0}})
    with pytest.raises(DescriptionError, match=r"Received: genre\. It has: cover, genres"):
        train(data, tmp_path / "wrong", wrong, progress=False)
