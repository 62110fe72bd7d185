"""One training step: parts of a batch, negatives of other batches, mined ones, balance."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.tiny import batch, tiny_trainer
from tfrec.config.model import LossConfig, ModelConfig
from tfrec.errors import DescriptionError
from tfrec.training.negatives import HardPool, NegativeCache
from tfrec.training.options import check_options


def weights(trainer: Any) -> list[np.ndarray]:
    return [np.array(variable.numpy()) for variable in trainer.model.trainable_variables]


def loss_of(trainer: Any, data: dict[str, Any]) -> float:
    return float(trainer.train_step(data)["loss"])


def test_micro_batches_of_a_separable_loss_move_weights_as_the_whole_batch() -> None:
    """Gradient accumulation: the full softmax of a batch is the sum of its parts'."""
    found = []
    for parts in (1, 4):
        trainer = tiny_trainer(LossConfig(type="full", temperature=0.5), micro_batches=parts)
        trainer.train_step(batch(8))
        found.append((weights(trainer), float(trainer.loss_mean.result())))
    (whole, loss), (divided, sum_of_parts) = found
    assert sum_of_parts == pytest.approx(loss, rel=1e-6)
    names = [variable.path for variable in trainer.model.trainable_variables]
    for name, one, other in zip(names, whole, divided, strict=True):
        if name.endswith("bias/bias"):
            # A softmax is blind to it: its gradient is rounding, which Adam makes a step of.
            continue
        np.testing.assert_allclose(one, other, atol=1e-6, err_msg=name)


def test_the_cache_holds_the_latest_vectors_first() -> None:
    cache = NegativeCache(3, 1)
    cache.push(tf.constant([[1.0], [2.0]]), tf.constant([1, 2]))
    cache.push(tf.constant([[3.0], [4.0]]), tf.constant([3, 4]))
    assert cache.ids.numpy().tolist() == [3, 4, 1]
    assert cache.vectors.numpy()[:, 0].tolist() == [3, 4, 1]


def test_negatives_are_drawn_among_what_is_ever_a_target() -> None:
    """A new item that were drawn would learn from its content to be bad before anyone met it."""
    trainer = tiny_trainer(LossConfig(type="in_batch", negatives=64), never=(0, 7))
    drawn = set(trainer.objective._draw(500).numpy().tolist())
    assert drawn == set(range(12)) - {0, 7}
    # Expected in a step: a share of the batch's 8 and one in ten of 64.
    expected = np.exp(trainer.objective._expected(tf.constant([1])).numpy())
    share = 2 / (sum(range(1, 13)) - 1 - 8)
    np.testing.assert_allclose(expected, [8 * share + 64 / 10], rtol=1e-5)


def test_each_weight_has_one_optimizer() -> None:
    """A table that dense AdamW moves too would decay in every row and cost its size."""
    trainer = tiny_trainer(LossConfig(type="in_batch", learn_temperature=True))
    names = [variable.path for variable in trainer.dense_variables]
    assert not [name for name in names if name.endswith("/table")]
    assert len(names) == len(set(names)) == 3


def test_an_empty_cache_changes_nothing_and_a_full_one_does() -> None:
    """Of the first step's loss the cache is no part; the second step has the first's items."""
    plain = tiny_trainer(LossConfig(type="in_batch", log_q=False))
    cached = tiny_trainer(LossConfig(type="in_batch", log_q=False, cache=16))
    first = [loss_of(trainer, batch(8)) for trainer in (plain, cached)]
    assert first[1] == pytest.approx(first[0], rel=1e-6)
    for trainer in (plain, cached):
        trainer.loss_mean.reset_state()
    second = [loss_of(trainer, batch(8, seed=1)) for trainer in (plain, cached)]
    assert second[1] > second[0] + 0.1


def test_mined_items_are_negatives_of_their_user_alone() -> None:
    """The gradient of a row reaches the items of its own user's pool, and no other user's."""
    trainer = tiny_trainer(
        LossConfig(type="in_batch", log_q=False, hard_negatives=4, hard_pool=2), item_bias=False
    )
    pool = trainer.objective.hard
    pool.fill(np.array([0]), np.array([[8, 9]], np.int32))
    pool.fill(np.array([1]), np.array([[10, 11]], np.int32))
    table = trainer.model.views["neural"].item_table.table
    before = np.array(table.numpy())
    data = batch(1)
    data["user_index"], data["item_index"] = tf.constant([0]), tf.constant([3])
    trainer.train_step(data)
    moved = np.flatnonzero(np.abs(table.numpy() - before).sum(1) > 0).tolist()
    assert set(moved) <= {3, 8, 9} and len(moved) >= 2
    assert not {10, 11} & set(moved)


def test_a_pool_that_was_never_filled_gives_no_negative() -> None:
    pool = HardPool(2, 3)
    drawn = pool.draw(tf.constant([0, 1]), 4, keras.random.SeedGenerator(0))
    assert drawn.shape == (2, 4) and (drawn.numpy() == -1).all()


def test_a_learned_temperature_moves_and_is_saved() -> None:
    trainer = tiny_trainer(LossConfig(type="in_batch", learn_temperature=True, temperature=0.3))
    assert float(trainer.objective.temperature) == pytest.approx(0.3, rel=1e-5)
    trainer.train_step(batch(8))
    assert float(trainer.objective.temperature) != pytest.approx(0.3, rel=1e-5)
    saved = {id(variable) for variable in trainer.state()}
    assert id(trainer.objective.log_temperature) in saved


def test_averaged_weights_stand_in_and_go_again() -> None:
    trainer = tiny_trainer(LossConfig(type="in_batch"), average=0.5)
    for seed in range(3):
        trainer.train_step(batch(8, seed=seed))
    own = weights(trainer)
    with trainer.averaged():
        averaged = weights(trainer)
    assert max(np.abs(a - b).max() for a, b in zip(own, averaged, strict=True)) > 1e-4
    for one, other in zip(own, weights(trainer), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "graph"),
    [("full", False), ("in_batch", False), ("bpr", False), ("bce", False), ("bpr", True)],
)
def test_every_objective_compiles_for_an_accelerator(kind: Any, graph: bool) -> None:
    """XLA wants static shapes: what compiles here compiles on a TPU."""
    more = {} if kind == "full" else {"negatives": 4, "hard_negatives": 2, "hard_pool": 3}
    more |= {"cache": 8} if kind == "in_batch" else {}
    loss = LossConfig(type=kind, learn_temperature=True, **more)
    compiled = tiny_trainer(loss, static=True, graph=graph)
    step = tf.function(compiled.train_step, jit_compile=True)
    for seed in range(2):
        assert np.isfinite(float(step(batch(8, seed=seed))["loss"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": {"type": "full", "cache": 8}}, r"loss\.cache: it is for loss\.type in_batch"),
        ({"loss": {"type": "tfrs", "hard_negatives": 2}}, r"loss\.hard_negatives: it is for"),
        ({"loss": {"type": "full", "negatives": 2}}, r"loss\.negatives: it is for"),
        ({"loss": {"type": "tfrs", "learn_temperature": True}}, "has a fixed temperature"),
        (
            {"loss": {"type": "full"}, "training": {"batch_size": 10, "micro_batches": 4}},
            r"must divide into 1 replicas × 4 micro-batches. Received: 10. Set .*=8",
        ),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(change: Any, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        check_options(ModelConfig(name="x", **change))
