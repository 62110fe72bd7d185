"""Skew is found where a server answers otherwise, or is asked otherwise, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests.records import spec, write_prepared
from tfrec.errors import DataError
from tfrec.evaluation import CompressedRows, top_k
from tfrec.input import ItemTable, Timelines
from tfrec.inspection import profile_data
from tfrec.online.skew import compare_features, compare_ranks, read_served, training_distributions

VECTORS = np.array([[4.0], [3.0], [3.0], [2.0], [1.0]], np.float32)
SEEN = CompressedRows.from_pairs([0], [0], rows=1)
IDS = np.array(list("abcde"), object)


def ranks(items: str, scores: list[float]):
    query = np.ones((1, 1), np.float32)
    table = query @ VECTORS.T
    table[0, 0] = -np.inf
    return compare_ranks(["u"], top_k(query, VECTORS, 3, seen=SEEN), table, IDS,
                         [(list(items), scores)])  # fmt: skip


@pytest.mark.parametrize("items", ["bcd", "cbd"])
def test_the_models_list_is_equal_and_equal_scores_may_swap(items: str) -> None:
    """Items b and c have one score."""
    found = ranks(items, [3, 3, 2])
    assert found.equal == 1 and found.overlap == 1 and not found.alert() and found.first == ""


@pytest.mark.parametrize(
    ("items", "scores", "first"),
    [
        ("bdc", [3, 2, 3], "u at rank 2"),  # another order
        ("bce", [3, 3, 1], "u at rank 3"),  # another item
        ("abc", [4, 3, 3], "u at rank 1"),  # a seen one
        ("bc", [3, 3], "u at rank 1"),  # too few
        ("bbc", [3, 3, 3], "u at rank 1"),  # one twice
        ("bcx", [3, 3, 2], "u at rank 3"),  # one that isn't in the catalogue
    ],
)
def test_another_list_is_an_alert_and_is_named(items: str, scores: list[float], first: str) -> None:
    """Ranks have to be equal unless an approximate index is told."""
    found = ranks(items, scores)
    assert found.alert() and found.equal == 0 and found.first == first


def test_an_approximate_index_may_miss_but_not_score_otherwise() -> None:
    """Two of three found are enough for 0.6; a seen item, or other scores, never are."""
    found = ranks("bce", [3, 3, 1])
    assert found.overlap == pytest.approx(2 / 3)
    assert not found.alert(0.6) and found.alert(0.7)
    assert ranks("abc", [4, 3, 3]).alert(0.6)
    assert ranks("bcd", [3.1, 3, 2]).alert(0.6)


def record(**inputs: object) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    for name, value in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return bytes(log.SerializeToString())


def request(history: list[str], country: str, age: float, hour: float = 1.0) -> bytes:
    return record(
        history=np.array([history], object),
        k=[5],
        country=np.array([country], object),
        age=np.array([age], np.float32),
        context_hour=np.array([hour], np.float32),
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four users of two countries, ages 20 to 50, two liked items each, of four."""
    root = write_prepared(
        tmp_path / "data",
        {"train": [(u, (u + n) % 4, u + 10 * n, 1.0) for u in range(4) for n in range(2)]},
        items=5,
        profile=[
            spec("country", "categorical", vocabulary="vocabulary/country.txt", vocabulary_size=4),
            spec("age", "numeric", mean=35.0, deviation=10.0),
        ],
        profiles={"country": [2, 2, 3, 3], "age": [-1.5, -0.5, 0.5, None]},
        contexts=[spec("hour", "numeric", mean=0.0, deviation=1.0)],
    )
    (root / "vocabulary" / "country.txt").write_text("AT\nDE\n")
    return root


def skew(data: Path, logs: Path, threshold: float = 0.3):
    profile = profile_data(data)
    items = ItemTable.load(data).ids
    served = read_served([logs], profile.manifest, items, {"users/country": ["AT", "DE"]})
    trained = training_distributions(
        {**profile.entities, **profile.events["train"]}, Timelines.load(data, "train"), items, 3
    )
    found = compare_features(served, trained, 3, threshold)
    return served, {one.feature: one for one in found}


def write(path: Path, records: list[bytes]) -> Path:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in records:
            writer.write(one)
    return path


def test_requests_like_the_training_data_are_no_skew(data: Path, tmp_path: Path) -> None:
    """The same countries and ages, histories of two over all items."""
    people = [("AT", 20.0), ("AT", 30.0), ("DE", 40.0), ("DE", np.nan)]
    log = write(
        tmp_path / "log.tfrecord",
        [request([f"i{u}", f"i{(u + 1) % 4}"], *person, hour=h)
         for u, person in enumerate(people) for h in (float(u), float(u + 4))],
    )  # fmt: skip
    served, found = skew(data, log)
    assert served.requests == 8 and (served.other, served.broken) == (0, 0)
    assert set(found) == {
        "history/items", "history/length", "users/country", "users/age", "context/hour"
    }  # fmt: skip
    assert {name: one.distance for name, one in found.items()} == dict.fromkeys(found, 0.0)
    assert not any(one.alert for one in found.values())


def test_each_feature_that_is_asked_otherwise_is_an_alert(data: Path, tmp_path: Path) -> None:
    """By hand: France is all that comes, ages are over 100, items of the history are unknown."""
    log = write(tmp_path / "log.tfrecord", [request(["x", "y", "i0", "x"], "FR", 120.0)] * 4)
    _, found = skew(data, log)
    country = found["users/country"]
    assert country.distance == 1 and country.at == "(not in the vocabulary)" and country.alert
    assert found["users/age"].distance == 1 and found["users/age"].alert
    # Three quarters of the items are unknown, none was; four events count as the three read.
    items = found["history/items"]
    assert items.distance == 0.75 and items.at == "(not in the vocabulary)" and items.alert
    assert found["history/length"].distance == 1 and found["history/length"].served == 4
    _, patient = skew(data, log, threshold=0.8)
    assert not patient["history/items"].alert and patient["users/country"].alert


def test_values_that_stay_away_are_an_alert(data: Path, tmp_path: Path) -> None:
    """A client that sends no country any more: nothing to compare, and all of it missing."""
    log = write(tmp_path / "log.tfrecord", [request([], "", 30.0)] * 4)
    _, found = skew(data, log)
    country = found["users/country"]
    assert country.distance is None and country.served_missing == 1 and country.alert
    # An empty history stands for the stored one.
    assert "history/length" not in found


def test_other_records_are_counted_and_a_log_without_requests_is_refused(
    data: Path, tmp_path: Path
) -> None:
    """What was passed over is told; nothing at all is one clear line."""
    other = record(item_id=np.array(["i0"], object))
    log = write(tmp_path / "log.tfrecord", [other, b"\xff\xff", request(["i0"], "AT", 20.0)])
    served, _ = skew(data, log)
    assert (served.requests, served.other, served.broken) == (1, 1, 1)
    with pytest.raises(DataError, match=r"none; 1 other records, 0 broken ones"):
        skew(data, write(tmp_path / "other.tfrecord", [other]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds \.tfrecord files"):
        skew(data, tmp_path / "empty")
