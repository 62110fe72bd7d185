"""Encoders of a user's history: the common promises, and each method against an independent one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests import harness
from tfrec.config.model import Component
from tfrec.errors import DescriptionError
from tfrec.registry import names
from tfrec.towers import HistoryTower, build_history

pytestmark = pytest.mark.filterwarnings(harness.H5PY_WARNING)

DIMENSION = 8
ROWS, LENGTH = 5, 6
VARIANTS: list[dict[str, Any]] = [{"type": name} for name in names("history")] + [
    {"type": "mean", "power": 0.5},
    {"type": "gru", "layers": 2, "units": 5},
    {"type": "interests", "method": "capsule", "count": 3},
    {"type": "transformer", "time": "gap"},
]


def label(variant: dict[str, Any]) -> str:
    return "-".join(str(value) for value in variant.values())


def make(variant: dict[str, Any]) -> HistoryTower:
    return build_history(Component(**variant), DIMENSION, events=4)


def histories() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Row 0 is full, row 1 empty, the others begin with padding."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((ROWS, LENGTH, DIMENSION)).astype(np.float32)
    padding = np.array([0, LENGTH, 1, 3, 5])
    present = np.arange(LENGTH) >= padding[:, None]
    ages = np.sort(rng.exponential(30, (ROWS, LENGTH)), 1)[:, ::-1].astype(np.float32)
    events = rng.integers(0, 4, (ROWS, LENGTH)).astype(np.int32)
    return tuple(map(tf.constant, (vectors, present, ages, events)))


@pytest.mark.parametrize("variant", VARIANTS, ids=label)
def test_shapes_configuration_and_gradients(variant: dict[str, Any]) -> None:
    """The quick half of the harness."""
    harness.check_basics(lambda: make(variant), histories(), DIMENSION)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS, ids=label)
def test_the_encoder_keeps_every_common_promise(variant: dict[str, Any], tmp_path: Path) -> None:
    """Files, eager = graph = XLA, mixed precision, a TF1-style session: the slow half."""
    harness.check_layer(lambda: make(variant), histories(), tmp_path)


@pytest.mark.parametrize("variant", VARIANTS, ids=label)
def test_padding_may_hold_anything(variant: dict[str, Any]) -> None:
    """Vectors, ages and events of padding are never read."""
    tower = harness.seeded(lambda: make(variant))
    vectors, present, ages, events = histories()
    expected = harness.call(tower, (vectors, present, ages, events))
    dirty = tf.where(present[:, :, None], vectors, tf.fill(vectors.shape, np.nan))
    wild = tf.where(present, ages, tf.fill(ages.shape, np.inf))
    other = tf.where(present, events, 3)
    np.testing.assert_array_equal(harness.call(tower, (dirty, present, wild, other)), expected)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS, ids=label)
def test_more_padding_changes_nothing(variant: dict[str, Any]) -> None:
    """A batch with a longer history in it gives the same vectors for the shorter ones."""
    tower = harness.seeded(lambda: make(variant))
    inputs = histories()
    expected = harness.call(tower, inputs)
    longer = [tf.pad(x, [[0, 0], [3, 0]] + [[0, 0]] * (x.shape.rank - 2)) for x in inputs]
    np.testing.assert_allclose(harness.call(tower, tuple(longer)), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS, ids=label)
def test_an_empty_history_is_a_learned_vector(variant: dict[str, Any]) -> None:
    tower = harness.seeded(lambda: make(variant))
    tower(*histories())
    tower.empty.assign(np.arange(DIMENSION, dtype=np.float32))
    assert harness.call(tower, histories())[1].tolist() == list(range(DIMENSION))


@pytest.mark.parametrize(
    ("name", "sensitive"),
    [
        ("gru", True),
        ("transformer", True),
        ("mean", False),
        ("attention", False),
        ("interests", False),
    ],
)
def test_order_counts_where_it_is_promised(name: str, sensitive: bool) -> None:
    """Without ages: two histories of the same items in another order."""
    options = {"rank_decay": 0.0} if name == "mean" else {}
    tower = harness.seeded(lambda: make({"type": name, **options}))
    vectors = histories()[0]
    present = tf.ones((ROWS, LENGTH), tf.bool)
    forward = harness.call(tower, (vectors, present))
    backward = harness.call(tower, (tf.reverse(vectors, [1]), present))
    assert (np.abs(forward - backward).max() > 1e-3) == sensitive


def test_the_mean_is_weighted_by_age_rank_and_event() -> None:
    """Two events by hand: (1+3)^-0.5 2^-1 e^0 = 1/4 and (1+0)^-0.5 1^-1 e^log 3 = 3."""
    tower = make({"type": "mean", "age_decay": 0.5, "rank_decay": 1.0})
    inputs = (
        tf.constant([[[9.0] * 8, [1.0] * 8, [2.0] * 8]]),
        tf.constant([[False, True, True]]),
        tf.constant([[7.0, 3.0, 0.0]]),
        tf.constant([[1, 0, 2]]),
    )
    tower(*inputs)
    tower.event_logits.assign([0, 0, np.log(3), 0])
    expected = (0.25 * 1 + 3 * 2) / 3.25
    np.testing.assert_allclose(harness.call(tower, inputs)[0], [expected] * 8, rtol=1e-6)


def test_the_gru_equals_its_equations_unrolled() -> None:
    """Cho et al. 2014 in Keras' form (reset after), step by step in NumPy; padding is skipped."""
    tower = harness.seeded(lambda: make({"type": "gru"}))
    vectors, present, _, _ = histories()
    answer = harness.call(tower, (vectors, present))
    kernel, recurrent, bias = tower.recurrences[0].get_weights()
    project, offset = tower.projection.get_weights()

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    for row in (0, 2, 3, 4):
        state = np.zeros(DIMENSION)
        for x, there in zip(vectors[row].numpy(), present[row].numpy(), strict=True):
            if not there:
                continue
            xz, xr, xh = np.split(x @ kernel + bias[0], 3)
            hz, hr, hh = np.split(state @ recurrent + bias[1], 3)
            update = sigmoid(xz + hz)
            state = update * state + (1 - update) * np.tanh(xh + sigmoid(xr + hr) * hh)
        np.testing.assert_allclose(answer[row], state @ project + offset, atol=1e-5)


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_no_state_reads_a_later_event(name: str) -> None:
    """Every position may be trained in one pass: the future doesn't leak into it."""
    tower = harness.seeded(lambda: make({"type": name}))
    vectors = histories()[0]
    present = tf.ones((ROWS, LENGTH), tf.bool)
    tower(vectors, present)
    before = tower.states(vectors, present, False)[:, 3]
    changed = tf.concat([vectors[:, :4], vectors[:, 4:] * 9], 1)
    np.testing.assert_allclose(tower.states(changed, present, False)[:, 3], before, atol=1e-6)
    early = tf.concat([vectors[:, :3] * 9, vectors[:, 3:]], 1)
    assert np.abs(tower.states(early, present, False)[:, 3] - before).max() > 1e-4


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_the_last_of_all_positions_is_what_a_call_gives(name: str) -> None:
    """Empty histories, padding, gaps and event types too."""
    tower = harness.seeded(lambda: make({"type": name, "time": "gap"}))
    tower(*histories())
    tower.empty.assign(np.arange(DIMENSION, dtype=np.float32))
    every = tower.at_every_position(*histories(), training=False).numpy()
    assert every.shape == (ROWS, LENGTH, DIMENSION)
    np.testing.assert_allclose(every[:, -1], harness.call(tower, histories()), atol=1e-6)
    # Row 3 begins with three positions of padding.
    assert (every[3, :3] == np.arange(DIMENSION)).all() and (every[3, 3] != every[3, 2]).any()


def test_gaps_do_not_depend_on_when_the_question_is_asked() -> None:
    """Ages 9, 4 and 1 and the same events 2 days later: only the latest event's gap grows."""
    tower = make({"type": "gru", "time": "gap"})
    vectors, there = tf.zeros((2, 4, DIMENSION)), tf.constant([[False, True, True, True]] * 2)
    ages = tf.constant([[0.0, 9.0, 4.0, 1.0], [0.0, 11.0, 6.0, 3.0]])
    tower(vectors, there, ages)
    found = tower._clean(vectors, there, ages)[2].numpy().tolist()
    assert found == [[0, 5, 3, 1], [0, 5, 3, 3]]


def test_every_position_refuses_ages_of_one_question() -> None:
    """They would tell a position how long after it the last question comes."""
    tower = make({"type": "gru"})
    tower(*histories())
    with pytest.raises(ValueError, match=r"`time` must be gap where ages are given\. .*age"):
        tower.at_every_position(*histories())
    assert tower.at_every_position(*histories()[:2]).shape == (ROWS, LENGTH, DIMENSION)
    with pytest.raises(DescriptionError, match="time"):
        make({"type": "gru", "time": "hour"})


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(DescriptionError, match=r"`heads` must divide 8\. Received: heads=3"):
        make({"type": "attention", "heads": 3})


def test_vectors_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be 8 wide\. Received: 5"):
        make({"type": "mean"})(tf.zeros((1, 2, 5)), tf.ones((1, 2), tf.bool))
