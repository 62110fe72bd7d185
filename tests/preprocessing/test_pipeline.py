"""What comes out of a small service, worked by hand."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from tests.preprocessing.service import (
    Service,
    items_of,
    records,
    rejected_of,
    rules_of,
    timelines_of,
)
from tfrec.schema import DataLayout, Manifest


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("service")
    service = Service.of_three_users(folder / "raw")
    service.users = [("u1", "DE"), ("u3", "FR"), ("u9", "IT")]
    service.comments = [
        ("u1", "a", "wonderful", 100),
        ("u2", "b", "so boring", 101),
        ("u2", "d", "superb", 109),
        ("u7", "a", "brilliant, lovely", 50),
    ]
    return folder / "out", service.prepare(folder / "out")


def test_the_catalogue_keeps_the_order_of_its_file(prepared: tuple[Path, Manifest]) -> None:
    """An item's index is its place in items.csv."""
    items = items_of(prepared[0])
    assert list(items) == ["a", "b", "c", "d"]
    assert [record["item_index"] for record in items.values()] == [[0], [1], [2], [3]]
    lines = DataLayout(prepared[0]).vocabulary("item_id").read_text().split()
    assert lines == ["a", "b", "c", "d"]


def test_popularity_counts_positives_of_the_train_part(prepared: tuple[Path, Manifest]) -> None:
    """Train is the first six events; 2 and 1 stars are no positives."""
    items = items_of(prepared[0])
    assert [record["train_count"] for record in items.values()] == [[1], [1], [2], [0]]
    assert [record["train_last"] for record in items.values()] == [[100], [101], [104], [0]]
    assert [record["train_weight"] for record in items.values()] == [[1.0], [1.0], [2.0], [0.0]]


def test_numbers_are_standardised_by_the_train_part(prepared: tuple[Path, Manifest]) -> None:
    """1990, 2000, 2010 have mean 2000 and deviation sqrt(200/3)."""
    out, manifest = prepared
    spec = manifest.item_feature("year")
    assert spec.mean == pytest.approx(2000)
    assert spec.deviation == pytest.approx(8.16496580927726)
    items = items_of(out)
    assert items["a"]["year"] == pytest.approx([-1.2247449], abs=1e-6)
    assert "year" not in items["d"] and items["d"]["year/present"] == [0]
    assert spec.missing == 1


def test_tags_index_the_vocabulary(prepared: tuple[Path, Manifest]) -> None:
    """Most frequent first, ties by value, from index 2 on."""
    out, manifest = prepared
    lines = DataLayout(out).vocabulary("genres").read_text().split()
    assert lines == ["food", "sweet", "drink"]
    assert items_of(out)["c"]["genres"] == [4, 3]
    assert manifest.item_feature("genres").vocabulary_size == 5
    assert items_of(out)["d"]["genres/present"] == [0]


def test_timelines_are_one_record_a_user_in_time_order(prepared: tuple[Path, Manifest]) -> None:
    out, manifest = prepared
    train = timelines_of(out, "train")
    assert train["u1"]["item_index"] == [0, 1, 2]
    assert train["u1"]["timestamp"] == [100, 102, 104]
    assert train["u1"]["label"] == [1.0, 0.0, 1.0]
    assert train["u2"]["item_index"] == [1, 0]
    assert train["u3"]["user_index"] == [2]
    assert timelines_of(out, "validation")["u2"]["item_index"] == [2]
    assert timelines_of(out, "test")["u1"]["item_index"] == [3]
    assert manifest.split_times == {"validation": 106, "test": 108}
    assert manifest.events == {"train": 6, "validation": 2, "test": 2}
    assert manifest.positives == {"train": 4, "validation": 1, "test": 2}


def test_profiles_join_users(prepared: tuple[Path, Manifest]) -> None:
    """A user without a profile is known by behaviour; a profile without behaviour is set aside."""
    out, manifest = prepared
    train = timelines_of(out, "train")
    vocabulary = (out / "vocabulary" / "user.country.txt").read_text().split()
    assert vocabulary == ["DE", "FR"]
    assert train["u1"]["country"] == [2] and train["u1"]["country/present"] == [1]
    assert train["u2"]["country/present"] == [0] and "country" not in train["u2"]
    assert rules_of(out, "users") == [(4, "user_without_events")]
    assert manifest.sources["users"].model_dump() == {"read": 3, "written": 2, "rejected": 1}


def test_comments_join_items_and_events(prepared: tuple[Path, Manifest]) -> None:
    """Comments of the train part only; an event gets its own user's mood."""
    out, _ = prepared
    items, train = items_of(out), timelines_of(out, "train")
    assert items["a"]["comments"] == [b"brilliant, lovely. wonderful"]
    assert items["b"]["comments"] == [b"so boring"]
    assert items["d"]["comments/present"] == [0]
    assert items["d"]["comments_sentiment/present"] == [0]
    assert items["d"]["comments_count/present"] == [1]
    assert train["u1"]["sentiment"][0] > 0.5 and train["u1"]["sentiment"][1:] == [0.0, 0.0]
    assert train["u2"]["sentiment"][0] < -0.5
    assert timelines_of(out, "test")["u2"]["sentiment"][0] > 0.5


def test_shards_prove_themselves_whole(prepared: tuple[Path, Manifest]) -> None:
    """Size and checksum in the manifest are those of the files, and no other file is there."""
    out, manifest = prepared
    for shard in manifest.shards:
        data = (out / shard.path).read_bytes()
        assert shard.size == len(data)
        assert shard.sha256 == hashlib.sha256(data).hexdigest()
        assert shard.records == len(records([out / shard.path]))
    listed = {shard.path for shard in manifest.shards}
    there = {str(p.relative_to(out)) for d in ("items", "timelines") for p in (out / d).iterdir()}
    assert there == listed
    assert DataLayout(out).read_manifest() == manifest


def test_the_schema_names_every_feature_of_every_record(prepared: tuple[Path, Manifest]) -> None:
    """`schema.pbtxt` is a tensorflow-metadata Schema of what is there."""
    out, _ = prepared
    schema = text_format.Parse((out / "schema.pbtxt").read_text(), schema_pb2.Schema())
    named = {feature.name for feature in schema.feature}
    written: set[str] = set()
    for record in [*items_of(out).values(), *timelines_of(out, "train").values()]:
        written |= set(record)
    assert written <= named


def test_a_second_run_gives_equal_bytes_and_replaces_the_first(tmp_path: Path) -> None:
    service = Service.of_three_users(tmp_path / "raw")
    first = service.prepare(tmp_path / "out")
    (tmp_path / "out" / "stale").write_text("x")
    second = service.prepare(tmp_path / "out")
    assert first == second
    assert not (tmp_path / "out" / "stale").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "raw"]


@pytest.mark.slow
def test_one_worker_or_two_give_equal_bytes(tmp_path: Path) -> None:
    service = Service.of_three_users(tmp_path / "raw")
    one = service.prepare(tmp_path / "one")
    two = service.prepare(tmp_path / "two", beam_options=("--direct_num_workers=2",))
    assert one.shards == two.shards


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "train", "validation", "test"),
    [
        ({"method": "per_user_time"}, {"u1": 3, "u2": 3, "u3": 1}, {"u1": 1, "u2": 1}, {"u1": 1}),
        (
            {"method": "global_time", "validation_from": 104, "test_from": "1970-01-01T00:01:48Z"},
            {"u1": 2, "u2": 1, "u3": 1},
            {"u1": 2, "u2": 2},
            {"u1": 1, "u2": 1},
        ),
    ],
)
def test_splits(
    tmp_path: Path,
    split: dict[str, Any],
    train: dict[str, int],
    validation: dict[str, int],
    test: dict[str, int],
) -> None:
    """Each user's own timeline is cut by shares; a user with one event is trained on."""
    service = Service.of_three_users(tmp_path / "raw")
    service.description = {"split": split}
    service.prepare(tmp_path / "out")
    for name, expected in (("train", train), ("validation", validation), ("test", test)):
        found = timelines_of(tmp_path / "out", name)
        assert {user: len(record["timestamp"]) for user, record in found.items()} == expected


def test_a_ready_made_split_is_taken_as_it_is(tmp_path: Path) -> None:
    service = Service.of_three_users(tmp_path / "raw")
    service.interaction_header = (*service.interaction_header, "split")
    parts = ["train", "train", "test", "train", "validation", "train", "train", "test", "x", ""]
    rows = zip(service.interactions, parts, strict=True)
    service.interactions = [(*row, part) for row, part in rows]
    service.description = {"split": {"method": "column"}}
    manifest = service.prepare(tmp_path / "out")
    assert manifest.events == {"train": 5, "validation": 1, "test": 2}
    assert rules_of(tmp_path / "out", "interactions") == [(10, "bad_split"), (11, "bad_split")]


def test_duplicates_are_refused_by_the_policy(tmp_path: Path) -> None:
    """Exact repeats always; repeats at other times when asked, the later or the earlier one."""
    service = Service.of_three_users(tmp_path / "raw")
    service.interactions = [
        ("u1", "a", 100, 5),
        ("u1", "a", 100, 4),
        ("u1", "a", 101, 4),
        ("u1", "b", 102, 4),
    ]
    service.description = {"split": {"validation_from": 900, "test_from": 901}}
    service.prepare(tmp_path / "all")
    assert rules_of(tmp_path / "all", "interactions") == [(3, "duplicate_event")]
    assert timelines_of(tmp_path / "all", "train")["u1"]["timestamp"] == [100, 101, 102]
    for policy, kept, line in (("first", [100, 102], 4), ("last", [101, 102], 2)):
        service.description["interactions"] = {"duplicates": policy}
        manifest = service.prepare(tmp_path / policy)
        assert timelines_of(tmp_path / policy, "train")["u1"]["timestamp"] == kept
        assert (line, "superseded_event") in rules_of(tmp_path / policy, "interactions")
        assert manifest.sources["interactions"].rejected == 2


def test_ids_of_differing_types_meet(tmp_path: Path) -> None:
    """1 in one file and 1.0 in another are one item; "01" is another, and told."""
    service = Service.of_three_users(tmp_path / "raw")
    service.items = [("1", "One", "", ""), ("2", "Two", "", "")]
    service.interactions = [("7.0", "1.0", 5, 5), ("7", "2", 6, 5), ("7", "02", 7, 5)]
    service.description = {"split": {"validation_from": 900, "test_from": 901}}
    manifest = service.prepare(tmp_path / "out")
    assert manifest.users == 1
    assert timelines_of(tmp_path / "out", "train")["7"]["item_index"] == [0, 1]
    assert rejected_of(tmp_path / "out", "interactions")[0]["received"] == "02"


def test_context_dwell_weight_and_event_types(tmp_path: Path) -> None:
    service = Service.of_three_users(tmp_path / "raw")
    service.interaction_header = (
        *service.interaction_header,
        "kind",
        "secs",
        "w",
        "device",
        "hour",
    )
    extras = [("view", 1.5, 2, "tv", 3), ("buy", "", "", "", ""), ("view", 0, 1, "phone", 5)]
    service.interactions = [
        (*row, *extra) for row, extra in zip(service.interactions, extras, strict=False)
    ]
    service.description = {
        "split": {"validation_from": 900, "test_from": 901},
        "interactions": {
            "event": "kind",
            "dwell": "secs",
            "weight": "w",
            "context": {
                "device": {"modality": "categorical"},
                "hour": {"modality": "numeric"},
            },
        },
    }
    manifest = service.prepare(tmp_path / "out")
    train = timelines_of(tmp_path / "out", "train")
    assert manifest.events_vocabulary == ("view", "buy")
    assert train["u1"]["event"] == [2, 2] and train["u2"]["event"] == [3]
    assert train["u1"]["dwell"] == [1.5, 0.0] and train["u2"]["dwell"] == [0.0]
    assert train["u1"]["weight"] == [2.0, 1.0] and train["u2"]["weight"] == [1.0]
    assert train["u1"]["context/device"] == [3, 2] and train["u2"]["context/device"] == [0]
    np.testing.assert_allclose(train["u1"]["context/hour"], [-1.0, 1.0])
    assert items_of(tmp_path / "out")["a"]["train_weight"] == [2.0]


def test_a_long_timeline_is_several_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preprocessing.writing.CHUNK_EVENTS", 2)
    service = Service.of_three_users(tmp_path / "raw")
    service.prepare(tmp_path / "out")
    found = records(DataLayout(tmp_path / "out").timeline_shards("train"))
    mine = [record["item_index"] for record in found if record["user_id"] == [b"u1"]]
    assert mine == [[0, 1], [2]]
