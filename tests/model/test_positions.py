"""Queries after every position of a history, in one pass: equal to those asked one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.records import spec, write_prepared
from tfrec.config.loading import validate
from tfrec.config.model import ModelConfig
from tfrec.input import Spans, Timelines, Windows
from tfrec.model import TwoTower, build_model
from tfrec.schema import DataLayout

USERS, ITEMS, LENGTH = 5, 30, 6
DAY = 86_400


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users of 1, 3, … 9 events at odd times, each with a context; a profile that some lack."""
    random = np.random.default_rng(3)
    events = []
    for user in range(USERS):
        times = np.cumsum(random.integers(0, 40 * DAY, 2 * user + 1))
        liked = random.permutation(ITEMS)[: len(times)]
        events += [(user, int(i), int(t), 1.0) for i, t in zip(liked, times, strict=True)]
    contexts = [spec("hour", "numeric"), spec("device", "categorical", vocabulary_size=5)]
    return write_prepared(
        tmp_path_factory.mktemp("positions") / "data",
        {"train": events},
        items=ITEMS,
        users=USERS,
        profile=[spec("band", "categorical", vocabulary_size=4)],
        profiles={"band": [2, None, 3, 2, 3]},
        contexts=contexts,
    )


def make(data: Path, kind: str, **more: Any) -> TwoTower:
    """A model whose every weight says something, the empty history's and the towers' too."""
    keras.utils.set_random_seed(0)
    history = {"type": kind, "time": "gap"}
    query = {"history": history, "history_length": LENGTH, "use_id": True, **more}
    config = {"name": "m", "dimension": 8, "query": query, "item": {"features": []}}
    manifest = DataLayout(data).read_manifest()
    model = build_model(validate(config, ModelConfig, where="test"), manifest)
    random = np.random.default_rng(0)
    for variable in model.variables:
        if "scales" not in variable.path and "seed" not in variable.path:
            variable.assign(random.normal(0, 0.4, variable.shape).astype(np.float32))
    return model


def timelines(data: Path) -> Timelines:
    """As read, each event in a context of its own."""
    part = Timelines.load(data, "train")
    random = np.random.default_rng(5)
    context = {
        "hour": random.normal(size=part.events).astype(np.float32),
        "device": random.integers(1, 5, part.events).astype(np.int32),
    }
    return replace(part, context=context)


def by_target(
    batch: dict[str, Any], queries: Any, user_of: Callable[[int], int]
) -> dict[tuple[int, int], Any]:
    """Query vectors by user and item, which is met once."""
    weights, items = batch["target_weight"].numpy(), batch["item_index"].numpy()
    return {
        (user_of(row), int(items[row])): queries.numpy()[row] for row in np.flatnonzero(weights)
    }


def both(data: Path, model: TwoTower, length: int) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Queries of all targets: in one pass over each span, and each with a history of its own."""
    spans = Spans(timelines(data), length=length, batch_size=99).batch(0)
    users = tf.gather(spans["user_index"], spans["target_place"] // length).numpy()
    windows = Windows(timelines(data), length=length, batch_size=25).batch(0)
    return (
        by_target(spans, model.query_tower.at_places(spans), lambda row: int(users[row])),
        by_target(
            windows,
            model.query_tower(windows),
            lambda row: int(windows["user_index"].numpy()[row]),
        ),
    )


def test_every_position_of_a_recurrent_network_says_what_its_history_alone_says(
    data: Path,
) -> None:
    """Training equals serving: ages, context, profile, user id and empty histories too."""
    one_pass, alone = both(data, make(data, "gru", history_length=9), 9)
    assert set(one_pass) == set(alone) and len(alone) == 25
    for target, query in alone.items():
        np.testing.assert_allclose(one_pass[target], query, atol=2e-5, err_msg=str(target))


@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_the_last_position_says_what_a_query_says(data: Path, kind: str) -> None:
    """Each user's latest target has the whole span before it."""
    one_pass, alone = both(data, make(data, kind), LENGTH)
    part = Timelines.load(data, "train")
    for user in range(USERS):
        latest = (user, int(part.item_index[part.offsets[user + 1] - 1]))
        np.testing.assert_allclose(one_pass[latest], alone[latest], atol=2e-5)


@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_no_position_sees_what_it_is_asked_for_or_later(data: Path, kind: str) -> None:
    """Other items, types, contexts and later times from event 3 on: queries up to it stay.

    Position 2 is asked when event 3 comes; it knows that moment, as a query does, and no later one.
    """
    model = make(data, kind)
    spans = Spans(timelines(data), length=LENGTH, batch_size=99).batch(0)
    later = tf.range(LENGTH)[None] >= 3
    place = spans["target_place"] % LENGTH
    days = tf.constant([[0.0, 0.0, 0.0, 0.0, 17.0, 300.0]])
    changed = {
        **spans,
        "history": tf.where(
            later & (spans["history"] >= 0), (spans["history"] + 7) % ITEMS, spans["history"]
        ),
        "history_event": tf.where(later, 1, spans["history_event"]),
        # Events after the third come later, so that all ages grow, by as much before them.
        "history_age": tf.where(
            spans["history"] < 0, 0.0, spans["history_age"] + 400 - tf.where(later, days, 0.0)
        ),
    }
    for name in ("context/hour", "context/device"):
        value = spans[name]
        changed[name] = tf.where(place >= 3, value + tf.ones_like(value), value)
    before, after = (model.query_tower.at_places(each).numpy() for each in (spans, changed))
    early = place.numpy() < 3
    np.testing.assert_allclose(after[early], before[early], atol=1e-5)
    assert (np.abs(after - before).max(1)[place.numpy() >= 3] > 1e-3).any()


def test_ages_counted_from_one_question_are_refused(data: Path) -> None:
    """An earlier position would read how long after it the last question comes."""
    model = make(data, "gru", history={"type": "gru", "time": "age"})
    spans = Spans(timelines(data), length=LENGTH, batch_size=99).batch(0)
    with pytest.raises(ValueError, match="`time` must be gap where ages are given"):
        model.query_tower.at_places(spans)
