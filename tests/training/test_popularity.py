"""Validation chooses how much popularity counts, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.records import Event, write_prepared
from tfrec.input import Timelines
from tfrec.training.popularity import as_newcomers, choose_popularity, recent_popularity
from tfrec.training.validation import Validation

DAY = 86_400
ITEMS, KNOWN = 30, 60
OLD, HIT = 0, 1


def services(newcomers: int) -> dict[str, list[Event]]:
    """Everybody met item 0 long ago and item 1 of late; each has an own item to find.

    Newcomers like item 1, others an item that only their own query knows.
    """
    train: list[Event] = []
    later: list[Event] = []
    for user in range(KNOWN):
        train += [(user, 2 + (user + step) % 8, (100 + step) * DAY, 1.0) for step in range(3)]
        train.append((user, OLD if user % 2 else 2 + user % 8, 1 * DAY, 1.0))
        train.append((user, HIT if user % 3 == 0 else 2 + user % 8, 399 * DAY, 1.0))
        later.append((user, 10 + user % 20, 401 * DAY, 1.0))
    later += [(KNOWN + one, HIT, 401 * DAY, 1.0) for one in range(newcomers)]
    return {"train": train, "validation": later}


@pytest.fixture
def asked(tmp_path: Path) -> Callable[[int], tuple[Timelines, Validation]]:
    def read(newcomers: int) -> tuple[Timelines, Validation]:
        data = write_prepared(
            tmp_path / f"data-{newcomers}",
            services(newcomers),
            items=ITEMS,
            users=KNOWN + newcomers,
        )
        train, later = (Timelines.load(data, split) for split in ("train", "validation"))
        return train, Validation(train, later, items=ITEMS, length=8)

    return read


def finding(inputs: dict[str, Any]) -> np.ndarray:
    """Queries of a model that knows each user by the id, and nothing of newcomers."""
    queries = np.zeros((len(inputs["history"]), ITEMS), np.float32)
    for row, user in enumerate(inputs["user_index"]):
        if 0 <= user < KNOWN:
            queries[row, 10 + user % 20] = 1.0
    return queries


def lost(inputs: dict[str, Any]) -> np.ndarray:
    return np.full((len(inputs["history"]), ITEMS), 1e-3, np.float32)


def test_a_half_life_forgets_and_nothing_is_said_of_the_unmet(tmp_path: Path) -> None:
    """Three positives a hundred days old against one of the last day; dislikes count nothing."""
    events = {
        "train": [
            *((user, 0, 0, 1.0) for user in range(3)),
            (0, 1, 100 * DAY, 1.0),
            (1, 2, 100 * DAY, 0.0),
        ]
    }
    train = Timelines.load(write_prepared(tmp_path / "data", events, items=4, users=3), "train")
    columns = recent_popularity(train, 4, [np.inf, 50.0, 10.0])
    all_time = np.log1p(np.array([3.0, 1.0]) / 2.0)
    np.testing.assert_allclose(columns[:2, 0], all_time / all_time.std(), rtol=1e-5)
    halved = np.log1p(np.array([0.75, 1.0]) / 0.875)
    np.testing.assert_allclose(columns[:2, 1], halved / halved.std(), rtol=1e-5)
    assert columns[1, 2] > columns[0, 2] and not columns[2:].any()


def test_newcomers_get_recent_popularity_and_others_keep_their_order(
    asked: Callable[[int], tuple[Timelines, Validation]],
) -> None:
    """The model finds every known user's item, so that popularity could only hurt there."""
    train, validation = asked(40)
    lines: list[str] = []
    vectors = np.eye(ITEMS, dtype=np.float32)
    view = choose_popularity(train, validation, finding, vectors, "ndcg@5", lines.append)
    assert view is not None
    newcomer, known = view.weights_by_group.numpy()
    assert newcomer > 0 and known == 0
    # Of all time the old item is as popular; only a half-life tells them apart.
    column = view.popularity.numpy()[:, 0]
    assert column[HIT] > column[OLD]
    assert "-> 1.0000 on 40;" in lines[0] and "none, 1.0000 on 60" in lines[0]


def test_without_newcomers_others_are_asked_as_if_they_were(
    asked: Callable[[int], tuple[Timelines, Validation]],
) -> None:
    """Ids and past hidden, so that the model that knows them by their ids is lost."""
    train, validation = asked(0)
    lines: list[str] = []
    choose_popularity(
        train, validation, finding, np.eye(ITEMS, dtype=np.float32), "ndcg@5", lines.append
    )
    assert lines[0].count(f"on {KNOWN}") == 2
    hidden = as_newcomers(validation.inputs)
    assert (hidden["history"] == -1).all() and (hidden["user_index"] == -1).all()
    assert not hidden["history_age"].any() and not hidden["history_event"].any()
    assert (validation.inputs["history"] >= 0).any()


def test_what_only_chance_gains_is_left_out(
    asked: Callable[[int], tuple[Timelines, Validation]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One user of many gains: less than the gain's standard error, so there is no term."""
    train, validation = asked(40)
    calls = {"n": 0}

    def chance(*arguments: Any) -> np.ndarray:
        calls["n"] += 1
        values = np.full(len(arguments[3]), 0.5)
        if calls["n"] > 1:
            values[0] += 0.4
            values[1] -= 0.1
        return values

    monkeypatch.setattr(validation, "values", chance)
    vectors = np.eye(ITEMS, dtype=np.float32)
    assert choose_popularity(train, validation, lost, vectors, "ndcg@5", lambda _: None) is None
