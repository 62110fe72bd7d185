"""Users without a history: the cells of known users hold little of what they are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.index.vectors import clustered
from tfrec.index import ExactIndex, IvfIndex
from tfrec.index.newcomers import tune_newcomers
from tfrec.index.tuning import recall_of

SIZE, K = 3000, 10


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Tastes in clusters, and a last column of popularity that lies across them."""
    popularity = np.random.default_rng(2).gamma(0.5, 0.2, (SIZE, 1))
    return np.hstack([clustered(SIZE), popularity]).astype(np.float32)


@pytest.fixture(scope="module")
def index(vectors: np.ndarray) -> IvfIndex:
    made = IvfIndex(vectors, probes=2)
    assert tune_newcomers(made, vectors, newcomer(vectors)) == 1.0
    return made


def newcomer(vectors: np.ndarray) -> np.ndarray:
    """Someone of whom nothing is known is told what is popular."""
    return np.eye(vectors.shape[1], dtype=np.float32)[-1:]


def known(vectors: np.ndarray) -> np.ndarray:
    return np.pad(clustered(3, seed=5), [[0, 0], [0, 1]])


def ask(index: Any, queries: np.ndarray, new: list[bool] | None, *rest: Any) -> np.ndarray:
    flags = None if new is None else tf.constant(new)
    found = index.search(tf.constant(queries), tf.constant(K), *rest, newcomers=flags)
    return np.asarray(found.items)


def test_a_newcomer_gets_what_scoring_everything_finds(
    vectors: np.ndarray, index: IvfIndex
) -> None:
    """With the cells of the others, most of it would be missed: the flag is what finds it."""
    queries = newcomer(vectors)
    truth = ask(ExactIndex(vectors), queries, None)
    assert recall_of(ask(index, queries, None), truth) <= 0.5
    assert recall_of(ask(index, queries, [True]), truth) == 1.0
    assert index.probes == 2 < index.newcomer_probes <= index.cells


def test_others_of_the_same_batch_are_answered_as_alone(
    vectors: np.ndarray, index: IvfIndex
) -> None:
    queries = np.concatenate([known(vectors)[:2], newcomer(vectors), known(vectors)[2:]])
    found = ask(index, queries, [False, False, True, False])
    np.testing.assert_array_equal(found[[0, 1, 3]], ask(index, known(vectors), None))
    np.testing.assert_array_equal(found[2:3], ask(ExactIndex(vectors), newcomer(vectors), None))


@pytest.mark.parametrize("share", [0.5, 0.02])
def test_a_filter_holds_for_newcomers_too(
    vectors: np.ndarray, index: IvfIndex, share: float
) -> None:
    allowed = tf.constant(np.random.default_rng(3).random(SIZE) < share)
    none = tf.zeros([1, 0], tf.int32)
    found = ask(index, newcomer(vectors), [True], none, allowed)
    truth = ask(ExactIndex(vectors), newcomer(vectors), None, none, allowed)
    assert np.asarray(allowed)[found].all()
    assert recall_of(found, truth) >= 0.9


def test_where_the_usual_cells_do_nothing_more_is_looked_into(vectors: np.ndarray) -> None:
    """Newcomers with a taste, as a profile gives it, find their items in the usual cells."""
    index = IvfIndex(vectors, probes=8)
    assert tune_newcomers(index, vectors, np.pad(clustered(20, seed=9), [[0, 0], [0, 1]])) > 0.9
    assert index.newcomer_probes == 8
