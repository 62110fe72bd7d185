"""Spans: every target once an epoch, after a position that has only what came before it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.input.test_windows import many_users, timelines
from tfrec.errors import DataError
from tfrec.input import Spans, Timelines, Windows


def targets_of(batch: dict[str, tf.Tensor], length: int) -> list[tuple[int, int, list[int]]]:
    """User, item, and the history up to the position that is asked, of every target that counts."""
    values = {name: value.numpy() for name, value in batch.items()}
    found = []
    for row in np.flatnonzero(values["target_weight"] > 0):
        span, position = divmod(int(values["target_place"][row]), length)
        history = values["history"][span, : position + 1].tolist()
        found.append((int(values["user_index"][span]), int(values["item_index"][row]), history))
    return found


@settings(max_examples=40, deadline=None)
@given(
    many_users(),
    st.integers(1, 6),
    st.integers(1, 9),
    st.booleans(),
    st.integers(1, 3),
    st.integers(0, 2),
)
def test_an_epoch_asks_for_each_positive_once_after_only_its_past(
    data: Timelines, length: int, batch_size: int, negatives: bool, blocks: int, epoch: int
) -> None:
    """The targets are those of `Windows`; what a position has read is its target's latest past.

    Items are numbered by place, so a target or a later event in a history would be seen.
    """
    spans = Spans(data, length=length, batch_size=batch_size, negatives=negatives, blocks=blocks)
    shown = []
    steps = spans.steps_per_epoch
    for step in range(epoch * steps, (epoch + 1) * steps):
        for part in range(blocks):
            for user, item, history in targets_of(spans.batch(step, part, blocks), length):
                shown.append(item)
                begin = data.offsets[user]
                past = [i for i in range(begin, item) if negatives or data.label[i] > 0]
                assert begin <= item < data.offsets[user + 1]
                assert history == ([-1] * len(history) + past)[-len(history) :]
                assert len(history) >= min(len(past), length - max(1, length // 2) + 1)
    windows = Windows(data, length=length, batch_size=batch_size, negatives=negatives)
    assert sorted(shown) == sorted(windows.target_items) == np.flatnonzero(data.label > 0).tolist()


def test_a_long_timeline_is_cut_from_its_end_with_half_a_length_of_context() -> None:
    """The example of the module: eight events, length 4."""
    spans = Spans(timelines([[(i, i, 1) for i in range(8)]]), length=4, batch_size=99)
    batch = {name: value.numpy() for name, value in spans.batch(0).items()}
    by_history = {tuple(history) for history in batch["history"].tolist()}
    assert by_history == {(3, 4, 5, 6), (1, 2, 3, 4), (-1, 0, 1, 2)}
    pairs = {(item, tuple(history)) for _, item, history in targets_of(spans.batch(0), 4)}
    assert pairs == {
        (6, (3, 4, 5)),
        (7, (3, 4, 5, 6)),
        (4, (1, 2, 3)),
        (5, (1, 2, 3, 4)),
        (0, (-1,)),
        (1, (-1, 0)),
        (2, (-1, 0, 1)),
        (3, (-1, 0, 1, 2)),
    }


def test_the_order_is_of_seed_and_epoch_alone() -> None:
    """Another seed or epoch gives other batches; the same gives the same, from any batch on."""
    random = np.random.default_rng(0)
    data = timelines(
        [[(u * 20 + i, i, 1) for i in range(random.integers(2, 20))] for u in range(40)]
    )

    def batches(seed: int, first: int, count: int) -> list[dict[str, Any]]:
        spans = Spans(data, length=6, batch_size=60, seed=seed)
        return [
            {name: value.tolist() for name, value in batch.items()}
            for batch in spans.dataset(first, count).as_numpy_iterator()
        ]

    steps = Spans(data, length=6, batch_size=60).steps_per_epoch
    assert steps > 3
    whole = batches(3, 0, 2 * steps)
    assert whole[steps + 1 :] == batches(3, steps + 1, steps - 1)
    assert whole[:steps] != whole[steps:]
    assert whole[:steps] != batches(4, 0, steps)


def test_batches_have_alike_many_targets_and_little_room_to_spare() -> None:
    """Timelines of 2 to 200 events: each batch has about 64 targets, and rows for hardly more."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(2.5, 1.0, 400), 2, 200).astype(int)
    data = timelines([[(i, i, 1) for i in range(length)] for length in lengths])
    spans = Spans(data, length=20, batch_size=64)
    counts = [
        int((spans.batch(step)["target_weight"].numpy() > 0).sum())
        for step in range(spans.steps_per_epoch)
    ]
    assert sum(counts) == lengths.sum()
    assert spans.batch_size == pytest.approx(64, rel=0.15)
    assert max(counts) <= spans.rows <= 1.3 * np.mean(counts)
    assert min(counts) > 0.7 * np.mean(counts)


def test_repeats_may_be_left_out() -> None:
    """A positive on an item that the user had before is read, and not asked for."""
    data = timelines([[(5, 1, 1), (6, 2, 1), (5, 3, 1), (7, 4, 1)], [(5, 1, 1)]])
    spans = Spans(data, length=4, batch_size=9, repeats=False)
    found = {(item, tuple(history)) for _, item, history in targets_of(spans.batch(0), 4)}
    assert found == {(5, (-1,)), (6, (-1, 5)), (7, (-1, 5, 6, 5)), (5, (-1, -1, -1, -1))}
    assert spans.target_counts(8).tolist() == [0, 0, 0, 0, 0, 2, 1, 1]


def test_targets_weigh_what_they_weigh_alone() -> None:
    """Weights of label, propensity and dwell are those of `Windows`; rows that fill have 0."""
    data = timelines([[(i % 4, i, 1) for i in range(9)], [(0, 1, 1)]])
    random = np.random.default_rng(0)
    data = replace(
        data,
        weight=random.uniform(1, 2, 10).astype(np.float32),
        dwell=random.uniform(1, 99, 10).astype(np.float32),
    )
    more: dict[str, Any] = {"propensity_power": 0.5, "dwell_weight": 0.5, "batch_size": 3}
    found = []
    for batches in (Windows(data, length=4, **more), Spans(data, length=4, **more)):
        counted: Counter[tuple[int, float]] = Counter()
        for batch in batches.dataset(0, batches.steps_per_epoch).as_numpy_iterator():
            for item, weight in zip(batch["item_index"], batch["target_weight"], strict=True):
                if weight:
                    counted[(int(item), round(float(weight), 5))] += 1
        found.append(counted)
    assert found[0] == found[1] and sum(found[0].values()) == 10


def test_a_user_has_a_row_a_span_and_an_event_its_own_context() -> None:
    """Shapes are static; the context is that of the target, ages are the last target's."""
    data = timelines([[(0, 0, 1)], [(1, 86_400, 1), (2, 2 * 86_400, 1), (3, 5 * 86_400, 1)]])
    data = replace(
        data,
        profile={"age": np.array([0.5, 1.5], np.float32)},
        profile_present={"age": np.array([True, False])},
        context={"hour": np.array([7.0, 8.0, 9.0, 10.0], np.float32)},
    )
    spans = Spans(data, length=3, batch_size=4)
    spec = spans.dataset().element_spec
    assert spec["history"].shape == (2, 3) and spec["item_index"].shape == (4,)
    assert spec["target_place"].dtype == spec["item_index"].dtype == tf.int32
    batch = spans.batch(0)
    user = batch["user_index"].numpy()
    assert batch["age"].numpy().tolist() == (user + 0.5).tolist()
    assert batch["age/present"].numpy().tolist() == (user == 0).tolist()
    assert batch["context/hour"].numpy().tolist() == (batch["item_index"].numpy() + 7).tolist()
    ages = dict(zip(user.tolist(), batch["history_age"].numpy().tolist(), strict=True))
    assert ages == {0: [0, 0, 0], 1: [0, 4, 3]}


def test_parts_of_batches_are_the_batches() -> None:
    """Two workers of two replicas each read every target of a batch once, of their own spans."""
    data = timelines([[(10 * u + k, k, 1.0) for k in range(3 + u % 4)] for u in range(9)])
    spans = Spans(data, length=4, batch_size=20, blocks=4)
    whole = [sorted(batch["item_index"].numpy().tolist()) for batch in spans.dataset(1, 2)]
    workers = [list(spans.dataset(1, 2, parts=4, own=(worker, 2))) for worker in (0, 1)]
    for step in range(2):
        parts = [part for worker in workers for part in worker[2 * step : 2 * step + 2]]
        assert len({part["item_index"].shape for part in parts}) == 1
        found = [item for part in parts for item in part["item_index"].numpy().tolist()]
        assert sorted(found) == whole[step]
        for part in parts:
            assert all(item // 10 == user for user, item, _ in targets_of(part, 4))


def test_no_positive_event_and_wrong_sizes_are_told() -> None:
    with pytest.raises(DataError, match="training needs positive events"):
        Spans(timelines([[(0, 1, 0)]]), length=2, batch_size=2)
    with pytest.raises(ValueError, match=r"must be at least 1\. Received: length=0"):
        Spans(timelines([[(0, 1, 1)]]), length=0, batch_size=2)
