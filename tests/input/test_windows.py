"""What training sees: every positive once an epoch, and only what came before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.errors import DataError
from tfrec.input import Timelines, Windows

EMPTY: dict[str, Any] = {"context": {}, "profile": {}, "profile_present": {}}


def timelines(users: list[list[tuple[int, int, float]]]) -> Timelines:
    """From (item, timestamp, label) lists, each in time order."""
    events = [event for user in users for event in user]
    zeros = np.zeros(len(events), np.float32)
    return Timelines(
        user_ids=np.array([f"u{i}" for i in range(len(users))], object),
        user_index=np.arange(len(users), dtype=np.int32),
        offsets=np.cumsum([0, *map(len, users)]),
        item_index=np.array([e[0] for e in events], np.int32),
        timestamp=np.array([e[1] for e in events], np.int64),
        event=np.zeros(len(events), np.int32),
        label=np.array([e[2] for e in events], np.float32),
        weight=zeros + 1,
        dwell=zeros,
        sentiment=zeros,
        **EMPTY,
    )


@st.composite
def many_users(draw: st.DrawFn) -> Timelines:
    """Users whose k-th event, over all, is on item k: so an item tells where it came from."""
    users = []
    number = 0
    for _ in range(draw(st.integers(1, 6))):
        times = sorted(draw(st.lists(st.integers(0, 20), max_size=8)))
        labels = draw(
            st.lists(st.sampled_from([0.0, 1.0]), min_size=len(times), max_size=len(times))
        )
        users.append(
            [(number + k, t, y) for k, (t, y) in enumerate(zip(times, labels, strict=True))]
        )
        number += len(times)
    users.append([(number, 5, 1.0)])
    return timelines(users)


@settings(max_examples=40, deadline=None)
@given(many_users(), st.integers(1, 5), st.integers(1, 7), st.booleans())
def test_an_epoch_shows_each_positive_once_with_only_its_past(
    data: Timelines, length: int, batch_size: int, negatives: bool
) -> None:
    windows = Windows(data, length=length, batch_size=batch_size, negatives=negatives)
    shown = []
    for step in range(windows.steps_per_epoch):
        batch = {name: value.numpy() for name, value in windows.batch(step).items()}
        for row in np.flatnonzero(batch["target_weight"] > 0):
            item = batch["item_index"][row]
            user = batch["user_index"][row]
            shown.append(item)
            begin = data.offsets[user]
            past = [
                i
                for i in range(begin, item)  # items are numbered by position
                if negatives or data.label[i] > 0
            ][-length:]
            expected = [-1] * (length - len(past)) + past
            assert batch["history"][row].tolist() == expected
            assert (batch["history_age"][row] >= 0).all()
    assert sorted(shown) == np.flatnonzero(data.label > 0).tolist()


def test_events_at_the_targets_own_time_count_only_when_recorded_before_it() -> None:
    windows = Windows(timelines([[(0, 7, 1), (1, 7, 1), (2, 7, 1)]]), length=2, batch_size=3)
    batch = windows.batch(0)
    order = np.argsort(batch["item_index"])
    assert batch["history"].numpy()[order].tolist() == [[-1, -1], [-1, 0], [0, 1]]
    assert not batch["history_age"].numpy().any()


def test_the_order_is_of_seed_and_epoch_alone() -> None:
    """Another seed or epoch gives another order; the same gives the same, from any batch on."""
    data = timelines([[(i, i, 1) for i in range(64)]])

    def items(seed: int, first: int, count: int) -> list[list[int]]:
        windows = Windows(data, length=4, batch_size=16, seed=seed)
        batches = windows.dataset(first).take(count)
        return [b["item_index"].numpy().tolist() for b in batches]

    whole = items(3, 0, 12)
    assert whole == items(3, 0, 12)
    assert whole[5:] == items(3, 5, 7)
    assert whole[:4] != whole[4:8]
    assert whole[:4] != items(4, 0, 4)
    assert sorted(item for batch in whole[4:8] for item in batch) == list(range(64))


def test_repeats_may_be_left_out() -> None:
    data = timelines([[(5, 1, 1), (6, 2, 1), (5, 3, 1)], [(5, 1, 1)]])
    assert sorted(Windows(data, length=1, batch_size=2).target_items) == [5, 5, 5, 6]
    once = Windows(data, length=1, batch_size=2, repeats=False)
    assert sorted(once.target_items) == [5, 5, 6]
    assert once.target_counts(8).tolist() == [0, 0, 0, 0, 0, 2, 1, 0]


def test_batches_have_static_shapes_and_profiles_of_their_user() -> None:
    data = timelines([[(0, 1, 1)], [(1, 1, 1), (2, 2, 1)]])
    data = replace(
        data,
        profile={"age": np.array([0.5, 1.5], np.float32)},
        profile_present={"age": np.array([True, False])},
        context={"hour": np.array([7.0, 8.0, 9.0], np.float32)},
    )
    windows = Windows(data, length=3, batch_size=2)
    spec = windows.dataset().element_spec
    assert spec["history"].shape == (2, 3)
    assert spec["history"].dtype == spec["item_index"].dtype == tf.int32
    for step in range(windows.steps_per_epoch):
        batch = windows.batch(step)
        user = batch["user_index"].numpy()
        assert batch["age"].numpy().tolist() == (user + 0.5).tolist()
        assert batch["age/present"].numpy().tolist() == (user == 0).tolist()
        assert batch["context/hour"].numpy().tolist() == (batch["item_index"].numpy() + 7).tolist()


def test_no_positive_event_is_told() -> None:
    with pytest.raises(DataError, match="training needs positive events"):
        Windows(timelines([[(0, 1, 0)]]), length=2, batch_size=2)


def test_ids_beyond_16_777_216_stay_exact() -> None:
    """float32 can't tell 16,777,216 from 16,777,217."""
    data = timelines([[(16_777_217, 1, 1), (2_000_000_001, 2, 1)]])
    batch = Windows(data, length=1, batch_size=2).batch(0)
    assert sorted(batch["item_index"].numpy().tolist()) == [16_777_217, 2_000_000_001]
    assert batch["history"].numpy().max() == 16_777_217


def test_temperature_sampling_makes_rare_items_targets_as_often_as_its_power_says() -> None:
    """Item 0 sixteen times, item 1 four times, item 2 once; power ½ makes that 4 : 2 : 1."""
    data = timelines(
        [[(0, t, 1.0) for t in range(16)], [(1, t, 1.0) for t in range(4)], [(2, 0, 1.0)]]
    )
    windows = Windows(data, length=1, batch_size=7, popularity_power=0.5)
    np.testing.assert_allclose(windows.target_counts(3), [12, 6, 3], rtol=1e-6)
    assert windows.steps_per_epoch == 3
    found = np.zeros(3)
    for step in range(30):
        batch = windows.batch(step)
        found += np.bincount(batch["item_index"], minlength=3)
    np.testing.assert_allclose(found / 10, [12, 6, 3], atol=0.5)
    again = Windows(data, length=1, batch_size=7, popularity_power=0.5).batch(5)
    np.testing.assert_array_equal(again["item_index"], windows.batch(5)["item_index"])


def test_inverse_propensity_weighs_items_alike_and_keeps_the_mean() -> None:
    data = timelines([[(0, t, 1.0) for t in range(3)], [(1, 0, 1.0)]])
    windows = Windows(data, length=0, batch_size=4, propensity_power=1.0)
    batch = windows.batch(0)
    weight = {i: batch["target_weight"].numpy()[batch["item_index"] == i] for i in (0, 1)}
    np.testing.assert_allclose(weight[0], 2 / 3, rtol=1e-6)
    np.testing.assert_allclose(weight[1], 2.0, rtol=1e-6)


def test_dwell_weighs_examples_by_the_logarithm_of_seconds() -> None:
    """log(1 + 0) and log(1 + e - 1): 0 and 1, their mean ½; half of it counts."""
    data = timelines([[(0, 0, 1.0), (1, 1, 1.0)]])
    data = replace(data, dwell=np.array([0.0, np.e - 1], np.float32))
    batch = Windows(data, length=0, batch_size=2, dwell_weight=0.5).batch(0)
    order = np.argsort(batch["item_index"])
    np.testing.assert_allclose(batch["target_weight"].numpy()[order], [0.5, 1.5], rtol=1e-6)
    none = timelines([[(0, 0, 1.0)]])
    with pytest.raises(DataError, match=r"loss\.dwell_weight: positive events must have dwell"):
        Windows(none, length=0, batch_size=2, dwell_weight=0.5)


def test_parts_of_batches_are_the_batches() -> None:
    """Two workers of two replicas each read every row of a batch once, in order."""
    data = timelines([[(k, k, 1.0) for k in range(10)]])
    windows = Windows(data, length=2, batch_size=8)
    whole = [batch["item_index"].numpy() for batch in windows.dataset(1, 2)]
    workers = [
        [b["item_index"].numpy() for b in windows.dataset(1, 2, parts=4, own=(worker, 2))]
        for worker in (0, 1)
    ]
    assert all(part.shape == (2,) for parts in workers for part in parts)
    for step in range(2):
        rows = [part for worker in workers for part in worker[2 * step : 2 * step + 2]]
        np.testing.assert_array_equal(np.concatenate(rows), whole[step])
