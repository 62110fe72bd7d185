"""A request's conditions: the right items, never too few, and one line for what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.export.fake_model import fake_source
from tests.index.vectors import clustered
from tfrec.export import ServingGraph
from tfrec.export.conditions import Conditions
from tfrec.export.source import ItemColumns, ServingSource
from tfrec.index import ExactIndex, IvfIndex

NAN = float("nan")
COLUMNS = ItemColumns(
    titles=np.array(["", "", "", ""], object),
    labels={
        "genre": np.array([[0, 1], [1, -1], [-1, -1], [2, -1]], np.int32),
        "country": np.array([0, 0, 1, -1], np.int32),
    },
    values={"genre": ["rock", "jazz", "a=b"], "country": ["de", "fr"]},
    numbers={"year": np.array([1990, 2000, 2010, NAN]), "price": np.array([1.0, 2.0, 3.0, 4.0])},
)


def allowed(any_of: Any = ((),), ranges: Any = ((),)) -> list[list[int]]:
    width = max(len(row) for row in any_of)
    texts = [[*row, *[""] * (width - len(row))] for row in any_of]
    rows = [[*row] for row in ranges]
    found = Conditions(COLUMNS).allowed(
        tf.constant(texts, tf.string, [len(texts), width]),
        tf.constant([[r[0] for r in row] for row in rows], tf.string, [len(rows), len(rows[0])]),
        tf.constant([[r[1] for r in row] for row in rows], tf.float32, [len(rows), len(rows[0])]),
        tf.constant([[r[2] for r in row] for row in rows], tf.float32, [len(rows), len(rows[0])]),
    )
    return [np.flatnonzero(row).tolist() for row in found.numpy()]


def test_values_of_a_feature_are_alternatives_and_features_add() -> None:
    """(rock or jazz), then also in de; rows don't mix; values are normalised; `=` may occur."""
    assert allowed([["genre=rock", "genre=jazz"], ["country=fr"], []], [[], [], []]) == [
        [0, 1],
        [2],
        [0, 1, 2, 3],
    ]
    assert allowed([["genre= jazz ", "country=de"]]) == [[0, 1]]
    assert allowed([["genre=a=b"]]) == [[3]]


def test_a_value_that_nothing_has_allows_nothing() -> None:
    """Rather than being dropped, which would show what wasn't asked for."""
    assert allowed([["genre=polka"]]) == [[]]
    assert allowed([["genre=polka", "genre=rock"]]) == [[0]]


def test_ranges_hold_their_ends_and_no_missing_number() -> None:
    """NaN is no bound; an item without the number is in no range, not even an open one."""
    assert allowed(ranges=[[("year", 2000, NAN)]]) == [[1, 2]]
    assert allowed(ranges=[[("year", NAN, 2000)]]) == [[0, 1]]
    assert allowed(ranges=[[("year", NAN, NAN)]]) == [[0, 1, 2]]
    assert allowed(ranges=[[("price", 2, 4), ("year", 1990, 2005)]]) == [[1]]
    assert allowed(ranges=[[("price", 2, NAN), ("price", NAN, 3)]]) == [[1, 2]]


@pytest.mark.parametrize(
    ("any_of", "ranges", "says"),
    [
        ([["mood=x"]], [[]], "FEATURE=VALUE of the features"),
        ([["genre"]], [[]], "FEATURE=VALUE of the features"),
        ([["year=1990"]], [[]], "genre, country"),
        ([[]], [[("genre", 1, 2)]], "year, price"),
    ],
)
def test_an_unknown_feature_is_refused(any_of: Any, ranges: Any, says: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=says):
        allowed(any_of, ranges)


def test_bounds_come_with_their_features() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="of one width"):
        Conditions(COLUMNS).allowed(
            tf.zeros([1, 0], tf.string),
            tf.constant([["year", "year"]]),
            tf.constant([[1.0]]),
            tf.constant([[1.0, 2.0]]),
        )


def test_a_filter_that_keeps_one_in_a_hundred_still_gives_k() -> None:
    """On an approximate index, each row its own filter: k items, 95% of the true best."""
    vectors, queries = clustered(8_000, seed=1), clustered(16, seed=2)
    random = np.random.default_rng(0)
    labels = random.integers(0, 100, len(vectors)).astype(np.int32)
    columns = ItemColumns(
        titles=np.full(len(vectors), "", object),
        labels={"shelf": labels},
        values={"shelf": [str(place) for place in range(100)]},
    )
    conditions = Conditions(columns)
    none, nothing = tf.zeros([16, 0], tf.string), tf.zeros([16, 0])
    kept = conditions.allowed(
        tf.constant([[f"shelf={row}"] for row in range(16)]), none, nothing, nothing
    )
    index, exact = IvfIndex(vectors, probes=1), ExactIndex(vectors)
    found = index.search(tf.constant(queries), tf.constant(10), None, kept).items.numpy()
    truth = exact.search(tf.constant(queries), tf.constant(10), None, kept).items.numpy()
    assert (found >= 0).all() and (labels[found] == np.arange(16)[:, None]).all()
    shared = [len(set(a) & set(b)) for a, b in zip(found, truth, strict=True)]
    assert np.mean(shared) >= 9.5


def test_each_row_of_a_request_has_its_own_k() -> None:
    """Beyond it, and where items run out, ids are empty."""
    source: ServingSource = fake_source()
    graph = ServingGraph(source, ExactIndex(source.item_vectors))
    none = tf.zeros([3, 0], tf.string)
    answer = graph.endpoints["recommend_filtered"](
        user_id=tf.constant(["u1", "u1", "u1"]),
        history=none,
        exclude=tf.constant([["i0"], [""], [""]]),
        any_of=tf.constant([["genres=rock"], ["genres=rock"], [""]]),
        range_of=none,
        at_least=tf.zeros([3, 0]),
        at_most=tf.zeros([3, 0]),
        k=tf.constant([4, 2, 1]),
    )["item_ids"].numpy()
    filled = [{item.decode() for item in row if item} for row in answer]
    # Rock are i0, i3 and i9; u1 has seen i3 and i4.
    assert filled[:2] == [{"i9"}, {"i0", "i9"}]
    assert len(filled[2]) == 1
