"""Nothing fitted, counted or aggregated sees what comes after the train part."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.preprocessing.service import Service, items_of, records
from tfrec.schema import DataLayout

METHODS = ("global_time", "per_user_time", "column")
# Fifteen users with twelve events each; by any method the last fifth or so is the future.
USERS, EVENTS = 15, 12


def service(folder: Path, method: str, seed: int) -> Service:
    """The past depends on nothing but `method`, the future on `seed`."""
    past, future = random.Random(0), random.Random(seed)
    kinds = ["view", "like", "buy"]
    events: list[tuple[Any, ...]] = []
    comments: list[tuple[Any, ...]] = []
    for user in range(USERS):
        for place in range(EVENTS):
            is_past = place < 8
            rng = past if is_past else future
            item = f"i{rng.randrange(20)}"
            # Everyone's past ends before the first moment of the future.
            time = 1000 * place + past.randrange(900) if is_past else 9000 + rng.randrange(5000)
            kind = rng.choice(kinds) if is_past else rng.choice([*kinds, "return"])
            device = rng.choice(["tv", "phone"]) if is_past else rng.choice(["tv", "watch"])
            part = "train" if is_past else rng.choice(["validation", "test"])
            row = (
                f"u{user:02d}",
                item,
                time,
                rng.randrange(1, 6),
                kind,
                device,
                rng.random(),
                part,
            )
            events.append(row)
            if rng.random() < 0.4:
                mood = rng.choice(["superb", "awful", "a song"])
                later = rng.randrange(100) if is_past else rng.randrange(4000)
                comments.append((row[0], item, mood, time + later))
    result = Service(
        folder,
        items=[
            (f"i{place}", f"title {place}", past.choice(["rock|pop", "jazz", ""]), 1950 + place)
            for place in range(20)
        ],
        interactions=events,
        users=[(f"u{user:02d}", past.choice(["DE", "FR"])) for user in range(USERS)],
        comments=comments,
        interaction_header=(
            "user_id", "item_id", "timestamp", "rating", "kind", "device", "hour", "split",
        ),
    )  # fmt: skip
    result.description = {
        "interactions": {
            "event": "kind",
            "context": {"device": {"modality": "categorical"}, "hour": {"modality": "numeric"}},
        },
        "split": {"method": method, "validation": 2 / 12, "test": 2 / 12}
        | ({"validation_from": 9000, "test_from": 11000} if method == "global_time" else {}),
    }
    return result


def learnt(out: Path) -> dict[str, str]:
    """Hashes of all that training may see."""
    layout = DataLayout(out)
    manifest = layout.read_manifest()
    paths = [*layout.timeline_shards("train"), *layout.item_shards()]
    paths += sorted((out / "vocabulary").iterdir())
    found = {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    }
    for spec in (*manifest.item_features, *manifest.user_features, *manifest.context_features):
        found[f"spec {spec.name}"] = spec.model_dump_json(exclude={"missing"})
    return found | {"events": ",".join(manifest.events_vocabulary)}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    folder = tmp_path_factory.mktemp("undisturbed")

    class Found(dict[str, dict[str, str]]):
        def __missing__(self, method: str) -> dict[str, str]:
            service(folder / method, method, 1).prepare(folder / f"out-{method}")
            self[method] = learnt(folder / f"out-{method}")
            return self[method]

    return Found()


@pytest.mark.parametrize(
    "method",
    [METHODS[0], *(pytest.param(method, marks=pytest.mark.slow) for method in METHODS[1:])],
)
def test_another_future_gives_equal_bytes_for_the_past(
    tmp_path: Path, method: str, undisturbed: dict[str, dict[str, str]]
) -> None:
    """Train records, item records, vocabularies, moments and fingerprints stay as they are."""
    manifest = service(tmp_path / "raw", method, 2).prepare(tmp_path / "out")
    assert manifest.events["train"] == USERS * 8
    assert learnt(tmp_path / "out") == undisturbed[method]


@pytest.mark.slow
@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(3, 10_000), method=st.sampled_from(METHODS))
def test_any_future_gives_equal_bytes_for_the_past(
    tmp_path_factory: pytest.TempPathFactory,
    undisturbed: dict[str, dict[str, str]],
    seed: int,
    method: str,
) -> None:
    folder = tmp_path_factory.mktemp("future")
    service(folder / "raw", method, seed).prepare(folder / "out")
    assert learnt(folder / "out") == undisturbed[method]


def test_the_past_does_change_what_is_learnt(
    tmp_path: Path, undisturbed: dict[str, dict[str, str]]
) -> None:
    """So that the tests above can fail: one more past comment and event is seen."""
    changed = service(tmp_path / "raw", "global_time", 1)
    assert changed.comments is not None
    changed.comments.append(("u00", "i0", "superb", 10))
    changed.prepare(tmp_path / "out")
    assert learnt(tmp_path / "out") != undisturbed["global_time"]


def test_a_comment_after_the_train_part_is_not_in_the_item(tmp_path: Path) -> None:
    """By user: after his own last train event. By date: from the cut-off on."""
    base = Service.of_three_users(tmp_path / "raw")
    base.comments = [
        ("u1", "a", "early", 104),
        ("u1", "a", "later", 105),
        ("u3", "a", "third", 105),
        ("u8", "a", "nobody", 10),
    ]
    base.prepare(tmp_path / "global")
    assert items_of(tmp_path / "global")["a"]["comments"] == [b"nobody. early. later. third"]
    base.description = {"split": {"method": "per_user_time"}}
    base.prepare(tmp_path / "user")
    assert items_of(tmp_path / "user")["a"]["comments"] == [b"early"]


def test_the_sentiment_of_a_train_event_ignores_later_comments(tmp_path: Path) -> None:
    """Users comment on their last train item after the cut-off: the event's mood stays 0."""
    base = Service.of_three_users(tmp_path / "raw")
    base.comments = [("u3", "c", "superb", 106), ("u1", "b", "superb", 103)]
    base.prepare(tmp_path / "out")
    layout = DataLayout(tmp_path / "out")
    moods = {
        record["user_id"][0]: record["sentiment"]
        for record in records(layout.timeline_shards("train"))
    }
    assert moods[b"u3"] == [0.0]
    assert moods[b"u1"][1] > 0.5


def test_what_only_the_future_has_is_not_learnt(tmp_path: Path) -> None:
    """An item and a user of the test part alone: their values are unknown, not counted."""
    base = Service.of_three_users(tmp_path / "raw")
    base.items[3] = ("d", "Dust", "dirt", 5000)
    base.interactions.append(("u4", "a", 109, 5))
    base.users = [("u1", "DE"), ("u4", "ZZ")]
    manifest = base.prepare(tmp_path / "out")
    vocabulary = tmp_path / "out" / "vocabulary"
    assert (vocabulary / "genres.txt").read_text().split() == ["food", "sweet", "drink"]
    assert (vocabulary / "user.country.txt").read_text().split() == ["DE"]
    assert manifest.item_feature("year").mean == pytest.approx(2000)
    assert items_of(tmp_path / "out")["d"]["genres"] == [1]
    tests = records(DataLayout(tmp_path / "out").timeline_shards("test"))
    assert [record["country"] for record in tests if record["user_id"] == [b"u4"]] == [[1]]


def test_a_ready_made_split_hides_later_parts_between_train_events(tmp_path: Path) -> None:
    """A validation event between a train event and its comment doesn't take the mood away."""
    base = Service.of_three_users(tmp_path / "raw")
    base.interaction_header = (*base.interaction_header, "split")
    base.interactions = [
        ("u1", "a", 100, 5, "train"),
        ("u1", "b", 105, 5, "validation"),
        ("u1", "c", 200, 5, "train"),
    ]
    base.comments = [("u1", "a", "superb", 110)]
    base.description = {"split": {"method": "column"}}
    base.prepare(tmp_path / "out")
    (train,) = records(DataLayout(tmp_path / "out").timeline_shards("train"))
    assert train["sentiment"][0] > 0.5 and train["sentiment"][1] == 0.0
