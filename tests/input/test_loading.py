"""Prepared data reads back as the arrays that were written, and damage is told in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.records import spec, write_prepared
from tfrec.errors import CorruptDataError, DataError
from tfrec.input import ItemInputs, ItemTable, Timelines, query_inputs

EVENTS = {
    "train": [(0, 0, 10, 1), (0, 1, 20, 0), (0, 2, 30, 1), (2, 0, 5, 1), (2, 2, 5, 1)],
    "validation": [(0, 3, 40, 1), (1, 0, 50, 1)],
    "test": [(2, 1, 60, 1)],
}
PICTURE = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
SOUND = np.array([-32768, 0, 32767], "<i2")
SPECS = [
    spec("title", "text", encoded_dim=2),
    spec("cover", "image", size=(8, 8)),
    spec("clip", "audio", sample_rate=1000, seconds=0.003),
    spec("year", "numeric"),
    spec("genres", "tags", vocabulary_size=9),
    spec("label", "categorical", vocabulary_size=5),
    spec("vector", "embedding", dimension=2),
]
VALUES = {
    "title": ["Ärger", "", "b", None],
    "cover": [PICTURE, None, PICTURE + 1, None],
    "clip": [None, SOUND, None, None],
    "year": [0.5, None, -1.0, 2.0],
    "genres": [[2, 3], [], None, [4]],
    "label": [2, 3, None, 1],
    "vector": [[1.0, 2.0], None, [3.0, 4.0], [5.0, 6.0]],
}
ENCODED = {"title": [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], None]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_prepared(
        tmp_path,
        EVENTS,
        items=4,
        specs=SPECS,
        values=VALUES,
        encoded=ENCODED,
        profile=[spec("band", "categorical", vocabulary_size=4)],
        profiles={"band": [2, None, 3]},
        contexts=[spec("hour", "numeric")],
        chunk=2,
    )


def test_the_item_table_holds_what_was_written(data: Path) -> None:
    table = ItemTable.load(data)
    assert table.ids.tolist() == ["i0", "i1", "i2", "i3"]
    assert table.train_count.tolist() == [2, 0, 2, 0]
    assert table.train_last.tolist() == [10, 0, 30, 0]
    assert table.warm.tolist() == [True, False, True, False]
    assert table.features["title"].tolist() == ["Ärger", "", "b", ""]
    assert table.present["title"].tolist() == [True, True, True, False]
    np.testing.assert_array_equal(table.features["cover"][2], PICTURE + 1)
    assert not table.features["cover"][1].any()
    assert table.features["clip"].tolist() == [[0] * 3, SOUND.tolist(), [0] * 3, [0] * 3]
    assert table.features["year"].tolist() == [0.5, 0.0, -1.0, 2.0]
    assert table.features["genres"].tolist() == [[2, 3], [0, 0], [0, 0], [4, 0]]
    assert table.present["genres"].tolist() == [True, True, False, True]
    assert table.features["label"].tolist() == [2, 3, 0, 1]
    assert table.features["vector"].tolist() == [[1, 2], [0, 0], [3, 4], [5, 6]]
    assert table.encoded["title"].tolist() == [[1, 0], [0, 1], [0.5, 0.5], [0, 0]]
    assert table.value("title") is table.encoded["title"]


def test_only_the_asked_features_are_read(data: Path) -> None:
    table = ItemTable.load(data, features=["title", "year"], raw=False)
    assert set(table.features) == {"year"} and set(table.encoded) == {"title"}
    with pytest.raises(DataError, match="no item feature is called `poster`"):
        ItemTable.load(data, features=["poster"])


def test_timelines_join_chunks_and_sort_by_user_and_time(data: Path) -> None:
    train = Timelines.load(data, "train")
    assert train.user_ids.tolist() == ["u0", "u2"]
    assert train.user_index.tolist() == [0, 2]
    assert train.offsets.tolist() == [0, 3, 5]
    assert train.item_index.tolist() == [0, 1, 2, 0, 2]
    assert train.label.tolist() == [1, 0, 1, 1, 1]
    assert train.profile["band"].tolist() == [2, 3]
    assert train.context["hour"].tolist() == [0, 1, 2, 3, 4]
    assert train.positives().item_index.tolist() == [0, 2, 0, 2]
    assert train.positives().offsets.tolist() == [0, 2, 4]


def test_concatenate_merges_splits_by_user(data: Path) -> None:
    parts = [Timelines.load(data, split) for split in ("train", "validation", "test")]
    joined = Timelines.concatenate(*reversed(parts))
    assert joined.user_ids.tolist() == ["u0", "u1", "u2"]
    assert joined.item_index.tolist() == [0, 1, 2, 3, 0, 0, 2, 1]
    assert joined.timestamp.tolist() == [10, 20, 30, 40, 50, 5, 5, 60]
    assert joined.profile["band"].tolist() == [2, 0, 3]
    assert joined.profile_present["band"].tolist() == [True, False, True]


def test_select_gives_users_in_the_order_asked_also_unknown_ones(data: Path) -> None:
    chosen = Timelines.load(data, "train").select(np.array([2, 7, 0]))
    assert chosen.user_ids.tolist() == ["u2", "", "u0"]
    assert chosen.offsets.tolist() == [0, 2, 2, 5]
    assert chosen.item_index.tolist() == [0, 2, 0, 1, 2]
    assert chosen.profile_present["band"].tolist() == [True, False, True]


def test_query_inputs_are_right_aligned_with_ages_in_days(data: Path) -> None:
    train = Timelines.load(data, "train").positives()
    inputs = query_inputs(train, 3, at=np.array([86_430, 86_405]))
    assert inputs["history"].tolist() == [[-1, 0, 2], [-1, 0, 2]]
    expected = [[0, 1 + 20 / 86_400, 1.0], [0, 1.0, 1.0]]
    np.testing.assert_allclose(inputs["history_age"], expected, rtol=1e-6)
    assert inputs["band/present"].tolist() == [True, True]
    assert inputs["context/hour"].tolist() == [0, 0]
    assert query_inputs(train, 1)["history"].tolist() == [[2], [2]]


def test_a_user_without_events_has_an_empty_history(data: Path) -> None:
    nobody = Timelines.load(data, "train").select(np.array([5]))
    inputs = query_inputs(nobody, 2)
    assert inputs["history"].tolist() == [[-1, -1]]
    assert inputs["history_age"].tolist() == [[0, 0]]


def test_item_inputs_mask_the_id_of_a_cold_item(data: Path) -> None:
    inputs = ItemInputs(ItemTable.load(data), ["title"])(np.array([3, 0, 1]))
    assert inputs["item_index"].tolist() == [-1, 0, -1]
    assert inputs["title"].tolist() == [[0, 0], [1, 0], [0, 1]]
    assert inputs["title/present"].tolist() == [False, True, True]


def test_features_that_the_data_lacks_are_told(data: Path) -> None:
    with pytest.raises(DataError, match=r"must have the feature `poster`"):
        ItemInputs(ItemTable.load(data), ["poster"])


def test_a_damaged_file_is_named(data: Path) -> None:
    file = data / "items" / "items-00001-of-00002"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(CorruptDataError, match=r"items-00001-of-00002: .* must be whole"):
        ItemTable.load(data)


def test_a_lost_shard_is_noticed(data: Path) -> None:
    (data / "items" / "items-00000-of-00002").unlink()
    with pytest.raises(CorruptDataError, match="the 4 of the manifest"):
        ItemTable.load(data)
    (data / "timelines" / "train-00000-of-00001").unlink()
    with pytest.raises(CorruptDataError, match="5 events of the manifest"):
        Timelines.load(data, "train")
