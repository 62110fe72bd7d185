"""Named rules of quality: each refuses what it says, is counted, and sees no later part."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preprocessing.quality import CorePaths, bot_events, find_core
from tests.preprocessing.service import (
    Service,
    items_of,
    rejected_of,
    rules_of,
    timelines_of,
    write_csv,
)
from tests.preprocessing.test_conservation import balanced
from tfrec.errors import DataError, DescriptionError, RejectedRowsError


def service(folder: Path, **rules: Any) -> Service:
    made = Service.of_three_users(folder)
    made.description = {"interactions": rules}
    return made


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"since": 102}, [(2, "outside_window"), (3, "outside_window")]),
        ({"until": "1970-01-01T00:01:48"}, [(10, "outside_window"), (11, "outside_window")]),
        ({"ranges": {"rating": [2, None]}}, [(7, "out_of_range")]),
        ({"ranges": {"rating": [None, 4.5]}}, [(n, "out_of_range") for n in (2, 5, 8, 10)]),
        ({"allowed": {"user_id": ["u1", "u2"]}}, [(5, "not_allowed")]),
        ({"max_events_per_hour": 4}, [(n, "bot_user") for n in (10,)]),
    ],
)
def test_a_rule_refuses_its_rows_by_its_name(
    tmp_path: Path, rules: dict[str, Any], expected: list[tuple[int, str]]
) -> None:
    """Lines worked by hand; u1 has four events before the test part and the fifth in it."""
    manifest = service(tmp_path, **rules).prepare(tmp_path / "out")
    assert rules_of(tmp_path / "out", "interactions") == sorted(expected)
    assert manifest.rejected == dict(Counter(rule for _, rule in expected))
    balanced(tmp_path / "out", manifest)


@pytest.mark.slow
def test_rules_hold_for_items_and_users_too(tmp_path: Path) -> None:
    """An item from the future and a user from nowhere; an empty year breaks no range."""
    made = service(tmp_path)
    made.users = [("u1", "DE"), ("u2", "XX")]
    made.description = {
        "items": {"ranges": {"year": [None, 2005]}},
        "users": {"allowed": {"country": ["DE"]}},
    }
    manifest = made.prepare(tmp_path / "out")
    assert rules_of(tmp_path / "out", "items") == [(4, "out_of_range")]
    assert rules_of(tmp_path / "out", "users") == [(3, "not_allowed")]
    assert list(items_of(tmp_path / "out")) == ["a", "b", "d"]
    balanced(tmp_path / "out", manifest)


def test_orphans_are_dropped_only_on_request(tmp_path: Path) -> None:
    """By default they count against the limit; `drop` lets them go, by a name of its own."""
    made = service(tmp_path)
    made.interactions += [("u1", f"gone{n}", 110, 5) for n in range(5)]
    with pytest.raises(RejectedRowsError, match="unknown_item"):
        made.prepare(tmp_path / "out", max_rejected=0.1)
    made.description = {"interactions": {"orphans": "drop"}}
    manifest = made.prepare(tmp_path / "out", max_rejected=0.1)
    assert manifest.rejected == {"orphan_event": 5}
    balanced(tmp_path / "out", manifest)


@pytest.mark.slow
def test_dropping_every_orphan_says_why_nothing_is_left(tmp_path: Path) -> None:
    made = service(tmp_path, orphans="drop")
    made.interactions = [(user, item.upper(), *rest) for user, item, *rest in made.interactions]
    with pytest.raises(DataError, match="differ only by upper and lower case"):
        made.prepare(tmp_path / "out")


def test_sum_adds_weights_and_dwell_within_a_part(tmp_path: Path) -> None:
    """Bought 2, 3 and, in the test part, 4: the train part has 5, the test part 4."""
    made = service(tmp_path, duplicates="sum", weight="count", dwell="seconds", label=None)
    made.interaction_header = ("user_id", "item_id", "timestamp", "count", "seconds")
    made.interactions = [
        ("u", "a", 1, 2, 10),
        ("u", "b", 2, 7, 1),
        ("u", "a", 3, 3, 20),
        ("u", "c", 4, 1, 0),
        ("u", "a", 5, 4, 30),
    ]
    manifest = made.prepare(tmp_path / "out")
    train, test = (timelines_of(tmp_path / "out", part)["u"] for part in ("train", "test"))
    assert (train["item_index"], train["weight"], train["dwell"]) == ([1, 0], [7, 5], [1, 30])
    assert (test["item_index"], test["weight"], test["dwell"]) == ([0], [4], [30])
    assert rules_of(tmp_path / "out", "interactions") == [(2, "summed_event")]
    balanced(tmp_path / "out", manifest)


def test_a_bot_of_a_later_part_keeps_its_past() -> None:
    """The part before the first excess stays, whatever the future holds."""
    users = np.zeros(6, np.int64)
    times = np.array([0, 4000, 8000, 8001, 8002, 99_000])
    parts = np.array([0, 0, 1, 1, 1, 2])
    assert bot_events(users, times, parts, 2).tolist() == [False, False, True, True, True, True]
    assert not bot_events(users, times, parts, 3).any()
    parts = np.array([0, 0, 0, 1, 2, 2])
    assert bot_events(users, times, parts, 2).tolist() == [False] * 4 + [True, True]


def reference_core(events: list[tuple[int, int]], user: int, item: int) -> list[tuple[int, int]]:
    while True:
        users, items = Counter(u for u, _ in events), Counter(i for _, i in events)
        left = [(u, i) for u, i in events if users[u] >= user and items[i] >= item]
        if left == events:
            return left
        events = left


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    events=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 6)), max_size=40),
    user=st.integers(1, 3),
    item=st.integers(1, 3),
)
def test_the_core_is_the_one_that_row_by_row_pruning_finds(
    tmp_path: Path, events: list[tuple[int, int]], user: int, item: int
) -> None:
    """Users in two partitions, items across both."""
    paths = []
    for place in range(2):
        own = [(u // 2, i) for u, i in events if u % 2 == place]
        path = CorePaths.of(tmp_path, place)
        np.save(path.users, np.array([u for u, _ in own], np.int64))
        np.save(path.items, np.array([i for _, i in own], np.int64))
        paths.append(path)
    left, dropped = find_core(paths, 7, user, item)
    expected = reference_core(events, user, item)
    kept = [
        (2 * int(u) + place, int(i))
        for place, path in enumerate(paths)
        for u, i, gone in zip(
            np.load(path.users), np.load(path.items), np.load(path.dropped), strict=True
        )
        if not gone
    ]
    assert Counter(kept) == Counter(expected)
    assert (left, dropped) == (len(expected), len(events) - len(expected))


def test_the_core_is_of_the_train_part_alone(tmp_path: Path) -> None:
    """Validation and test stay whole, and popularity counts what is left."""
    made = service(tmp_path, min_user_events=2, min_item_events=2)
    manifest = made.prepare(tmp_path / "out")
    # Train: u1 a, u2 b, u1 b, u3 c, u1 c, u2 a. Without u3, c has one event and goes as well.
    assert manifest.rejected == {"below_core": 2}
    assert rules_of(tmp_path / "out", "interactions") == [(5, "below_core"), (6, "below_core")]
    assert manifest.events == {"train": 4, "validation": 2, "test": 2}
    assert manifest.users == 2 and "u3" not in timelines_of(tmp_path / "out", "train")
    assert items_of(tmp_path / "out")["c"]["train_count"] == [0]
    balanced(tmp_path / "out", manifest)


@pytest.mark.slow
def test_a_changed_future_changes_no_rule_of_the_past(tmp_path: Path) -> None:
    """A bot burst and a core's worth of events in the test part leave the train part as it is."""
    rules = {"max_events_per_hour": 6, "min_user_events": 2, "min_item_events": 2}
    split = {"validation_from": 106, "test_from": 108}
    before = service(tmp_path / "a", duplicates="sum", **rules)
    before.description["split"] = split
    before.prepare(tmp_path / "before")
    after = service(tmp_path / "b", duplicates="sum", **rules)
    after.description["split"] = split
    after.interactions += [("u3", "c", 120 + n, 5) for n in range(9)]
    after.prepare(tmp_path / "after")
    train = [timelines_of(tmp_path / out, "train") for out in ("before", "after")]
    assert train[0] == train[1]
    assert "bot_user" in {row["rule"] for row in rejected_of(tmp_path / "after", "interactions")}


def test_several_sources_with_their_own_columns_are_united(tmp_path: Path) -> None:
    """Views in CSV, purchases in JSON Lines by other names: one timeline, each row traceable."""
    made = service(tmp_path, event_type="view", positive=False, label=None)
    shop = {"path": "orders.jsonl", "user": "buyer", "item": "sku", "timestamp": "paid_at"}
    shop |= {"event_type": "purchase", "weight": "pieces", "label": "pieces >= 1"}
    made.description["interactions"]["also"] = [shop]
    orders = [
        {"buyer": "u1", "sku": "d", "paid_at": "1970-01-01T00:01:41", "pieces": 3},
        {"buyer": "", "sku": "d", "paid_at": 101, "pieces": 1},
    ]
    made.write()
    text = "".join(json.dumps(order) + "\n" for order in orders)
    (tmp_path / "orders.jsonl").write_text(text, encoding="utf-8")
    manifest = made.prepare(tmp_path / "out")
    u1 = timelines_of(tmp_path / "out", "train")["u1"]
    assert u1["item_index"] == [0, 3, 1, 2] and u1["weight"] == [1, 3, 1, 1]
    names = [manifest.events_vocabulary[index - 2] for index in u1["event"]]
    assert names == ["view", "purchase", "view", "view"]
    assert u1["label"] == [0, 1, 0, 0]
    (refused,) = rejected_of(tmp_path / "out", "interactions")
    assert (refused["file"], refused["line"]) == ("orders.jsonl", 2)
    assert manifest.sources["interactions"].read == 12
    balanced(tmp_path / "out", manifest)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"since": "soon"}, "interactions.since: a moment is Unix seconds or ISO 8601"),
        ({"ranges": {"stars": [1, 5]}}, "names a column `stars`"),
        ({"also": [{"path": "none.csv"}]}, "interactions.also.0.path: none.csv"),
    ],
)
def test_a_wrong_rule_is_told_before_anything_is_read(
    tmp_path: Path, rules: dict[str, Any], message: str
) -> None:
    with pytest.raises(DescriptionError, match=message):
        service(tmp_path, **rules).prepare(tmp_path / "out")


def test_a_second_source_lacking_a_column_is_named(tmp_path: Path) -> None:
    made = service(tmp_path, also=[{"path": "more.csv", "item": "sku"}])
    made.write()
    write_csv(tmp_path / "more.csv", ("user_id", "item_id", "timestamp"), [])
    with pytest.raises(DescriptionError, match=r"more\.csv: the description names a column `sku`"):
        made.prepare(tmp_path / "out")
