"""Sparse optimizers: equal to dense Keras ones on used rows, and hands off all others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.optimizers import (
    AveragedAdamW,
    RowAdagrad,
    RowAdam,
    RowFtrl,
    RowOptimizer,
    RowSGD,
    RowwiseAdagrad,
    WarmupSchedule,
    build_row_optimizer,
    sum_by_row,
)

PAIRS: dict[str, tuple[Callable[..., RowOptimizer], Callable[[], Any]]] = {
    "adagrad": (
        lambda **o: RowAdagrad(0.1, **o),
        lambda: keras.optimizers.Adagrad(0.1),
    ),
    "adam": (lambda **o: RowAdam(0.01, **o), lambda: keras.optimizers.Adam(0.01)),
    "sgd": (lambda **o: RowSGD(0.1, **o), lambda: keras.optimizers.SGD(0.1)),
    "momentum": (
        lambda **o: RowSGD(0.1, momentum=0.9, **o),
        lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    ),
    "nesterov": (
        lambda **o: RowSGD(0.1, momentum=0.9, nesterov=True, **o),
        lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    ),
    "ftrl": (
        lambda **o: RowFtrl(0.1, l1=0.01, l2=0.02, beta=0.5, **o),
        lambda: keras.optimizers.Ftrl(
            0.1,
            l1_regularization_strength=0.01,
            l2_regularization_strength=0.02,
            beta=0.5,
        ),
    ),
}
START = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
# Rows 1, 3 and 4 are used in every step, row 3 more than once; 0, 2 and 5 never.
ROWS = np.array([3, 1, 3, 4, 3], np.int32)
USED = [1, 3, 4]


def gradients(step: int) -> tf.IndexedSlices:
    values = np.random.default_rng(step).normal(size=(5, 3)).astype(np.float32)
    return tf.IndexedSlices(tf.constant(values), tf.constant(ROWS), tf.constant([6, 3]))


def table() -> Any:
    return keras.Variable(START, name="table")


def step(optimizer: Any, variable: Any, number: int, *, jit: bool = False) -> None:
    if not optimizer.built:
        optimizer.build([variable])
    gradient = gradients(number)

    @tf.function(jit_compile=jit)
    def apply(values: Any, rows: Any) -> None:
        optimizer.apply([tf.IndexedSlices(values, rows, tf.constant([6, 3]))], [variable])

    apply(gradient.values, gradient.indices)


@pytest.mark.parametrize(
    ("name", "jit"),
    [(name, False) for name in PAIRS]
    + [pytest.param(name, True, marks=pytest.mark.slow) for name in PAIRS],
)
def test_used_rows_equal_the_dense_counterpart_and_others_stay(name: str, jit: bool) -> None:
    sparse, dense = PAIRS[name]
    ours, theirs = table(), table()
    optimizer, reference = sparse(static_shapes=jit), dense()
    for number in range(6):
        step(optimizer, ours, number, jit=jit)
        reference.apply([tf.convert_to_tensor(gradients(number))], [theirs])
    np.testing.assert_allclose(ours.numpy()[USED], theirs.numpy()[USED], rtol=0, atol=1e-6)
    others = [0, 2, 5]
    np.testing.assert_array_equal(ours.numpy()[others], START[others])


def test_rowwise_adagrad_by_hand() -> None:
    """One accumulator a row: 0.1 + mean(3² + 4²) = 12.6; the step is lr g / √12.6."""
    variable = keras.Variable(np.zeros((2, 2), np.float32), name="table")
    optimizer = RowwiseAdagrad(0.5, epsilon=0.0)
    optimizer.build([variable])
    gradient = tf.IndexedSlices(tf.constant([[3.0, 4.0]]), tf.constant([1]), tf.constant([2, 2]))
    optimizer.apply([gradient], [variable])
    expected = [[0, 0], [-1.5 / 12.6**0.5, -2.0 / 12.6**0.5]]
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-6)
    assert [tuple(v.shape) for v in optimizer.variables[2:]] == [(2, 1)]


def test_a_resting_row_keeps_its_momentum() -> None:
    """Lazy: what wasn't in the batch doesn't move, though dense momentum would carry it on."""
    variable = table()
    optimizer = RowAdam(0.1)
    step(optimizer, variable, 0)
    after = variable.numpy()
    gradient = tf.IndexedSlices(tf.ones([1, 3]), tf.constant([0]), tf.constant([6, 3]))
    optimizer.apply([gradient], [variable])
    np.testing.assert_array_equal(variable.numpy()[1:], after[1:])


def test_row_weight_decay_touches_used_rows_alone() -> None:
    variable = table()
    optimizer = RowSGD(0.5, row_weight_decay=0.2)
    optimizer.build([variable])
    zero = tf.IndexedSlices(tf.zeros([1, 3]), tf.constant([2]), tf.constant([6, 3]))
    optimizer.apply([zero], [variable])
    expected = START.copy()
    expected[2] *= 1 - 0.5 * 0.2
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-6)


def test_a_dense_gradient_is_applied_to_all_rows() -> None:
    ours, theirs = table(), table()
    optimizer, reference = RowAdagrad(0.1), keras.optimizers.Adagrad(0.1)
    optimizer.build([ours])
    gradient = tf.constant(np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32))
    optimizer.apply([gradient], [ours])
    reference.apply([gradient], [theirs])
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-6)


@pytest.mark.parametrize("static", [False, True])
def test_equal_rows_are_summed(static: bool) -> None:
    rows, sums = sum_by_row(
        tf.IndexedSlices(tf.constant([[1.0], [2.0], [4.0]]), tf.constant([7, 2, 7])), static=static
    )
    found = {int(row): float(value[0]) for row, value in zip(rows, sums, strict=True)}
    assert found == {7: 5.0, 2: 2.0}
    assert len(rows) == (3 if static else 2)


def test_rows_beyond_16_777_216_are_told_apart() -> None:
    """float32 has no 16,777,217: a cast on the way would update its neighbour."""
    size = 16_777_220
    variable = keras.Variable(np.zeros((size, 1), np.float32), name="table")
    optimizer = RowSGD(1.0)
    optimizer.build([variable])
    rows = tf.constant([16_777_217, 16_777_219], tf.int64)
    optimizer.apply([tf.IndexedSlices(tf.ones([2, 1]), rows, tf.constant([size, 1]))], [variable])
    assert np.flatnonzero(variable.numpy()[:, 0]).tolist() == [16_777_217, 16_777_219]


@pytest.mark.parametrize("name", ["adagrad", "adam", "ftrl", "rowwise_adagrad", "sgd"])
def test_config_round_trip_and_state(name: str, tmp_path: Path) -> None:
    """A saved optimizer goes on where it was: the next step is the same."""
    first, second = table(), table()
    optimizer = build_row_optimizer(name, 0.1, row_weight_decay=0.01)
    step(optimizer, first, 0)
    other = type(optimizer).from_config(optimizer.get_config())
    assert other.get_config() == optimizer.get_config()
    other.build([second])
    store: dict[str, Any] = {}
    optimizer.save_own_variables(store)
    other.load_own_variables(store)
    second.assign(first)
    step(optimizer, first, 1)
    step(other, second, 1)
    np.testing.assert_array_equal(first.numpy(), second.numpy())
    assert not np.array_equal(first.numpy(), START)


def test_averages_equal_keras_own_on_every_row() -> None:
    """Rows that rest are brought up to date by a power, as if each step had averaged them."""
    ours, theirs = table(), table()
    optimizer = RowSGD(0.1, average=0.9)
    reference = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9)
    optimizer.build([ours])
    sequence = [[3, 1, 3], [1, 4, 4], [2, 2, 1], [4, 4, 4], [1, 1, 1]]
    for number, rows in enumerate(sequence):
        values = np.random.default_rng(number).normal(size=(3, 3)).astype(np.float32)
        gradient = tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant([6, 3]))
        optimizer.apply([gradient], [ours])
        reference.apply([tf.convert_to_tensor(gradient)], [theirs])
    [average] = optimizer.averages([ours])
    reference.finalize_variable_values([theirs])
    np.testing.assert_allclose(average, theirs.numpy(), rtol=0, atol=1e-6)
    assert not np.allclose(average, ours.numpy(), atol=1e-3)


def test_averaged_adamw_equals_keras_own() -> None:
    ours, theirs = table(), table()
    optimizer = AveragedAdamW(0.1, average=0.9)
    reference = keras.optimizers.AdamW(0.1, use_ema=True, ema_momentum=0.9)
    optimizer.build([ours])
    for number in range(4):
        gradient = tf.constant(np.random.default_rng(number).normal(size=(6, 3)), tf.float32)
        optimizer.apply([gradient], [ours])
        reference.apply([gradient], [theirs])
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-6)
    [average] = optimizer.averages([ours])
    reference.finalize_variable_values([theirs])
    np.testing.assert_allclose(average, theirs.numpy(), atol=1e-6)


def test_the_schedule_by_hand() -> None:
    """Up in two steps; half a cosine down over eight: at its middle half the rate."""
    schedule = WarmupSchedule(1.0, steps=10, warmup_steps=2)
    found = [float(schedule(step)) for step in (0, 1, 2, 6, 10, 11)]
    np.testing.assert_allclose(found, [0, 0.5, 1, 0.5, 0, 0], atol=1e-6)
    level = WarmupSchedule(1.0, steps=10, warmup_steps=2, cosine=False)
    assert [float(level(step)) for step in (1, 2, 9)] == [0.5, 1.0, 1.0]
    again = WarmupSchedule.from_config(schedule.get_config())
    assert float(again(6)) == float(schedule(6))
    with pytest.raises(ValueError, match="`warmup_steps` must be"):
        WarmupSchedule(1.0, steps=2, warmup_steps=2)


def test_replicas_in_one_device_give_the_same_step() -> None:
    """The optimizer updates a mirrored table from within a replica."""
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        shared = table()
        optimizer = RowAdagrad(0.1)
        optimizer.build([shared])

    @tf.function
    def replica() -> None:
        optimizer.apply([gradients(0)], [shared])

    strategy.run(replica)
    alone = table()
    step(RowAdagrad(0.1), alone, 0)
    np.testing.assert_allclose(shared.numpy(), alone.numpy(), atol=1e-6)
