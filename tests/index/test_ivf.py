"""The inverted file: what it finds, what it never returns, and that it never starves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.export.variable_reads import copied_variables
from tests.index.vectors import brute_force, clustered, recall
from tfrec.errors import DescriptionError
from tfrec.export.allowed_ops import check_ops
from tfrec.export.session import ServedModel
from tfrec.index import Cells, ExactIndex, IvfIndex, train_cells

KINDS = ("ivf", "ivf-int8", "ivf-pq")
SIZE = 3000


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    # Of different lengths, as those of popular and rare items are.
    lengths = np.exp(0.2 * np.random.default_rng(1).standard_normal((SIZE, 1)))
    return (clustered(SIZE) * lengths).astype(np.float32)


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return clustered(20, seed=5)


@pytest.fixture(scope="module")
def cells(vectors: np.ndarray) -> Cells:
    return train_cells(vectors, 60)


@pytest.fixture(scope="module", params=KINDS)
def index(request: pytest.FixtureRequest, vectors: np.ndarray, cells: Cells) -> IvfIndex:
    return IvfIndex(vectors, request.param, cells, probes=12)


def ask(index: Any, queries: np.ndarray, k: int, *rest: Any, **options: Any) -> Any:
    return index.search(tf.constant(queries), tf.constant(k), *rest, **options)


@pytest.mark.parametrize("cosine", [False, True])
def test_probing_every_cell_is_exact(
    vectors: np.ndarray, cells: Cells, queries: np.ndarray, cosine: bool
) -> None:
    """The cells only leave out: with all of them nothing is lost."""
    index = IvfIndex(vectors, "ivf", cells, probes=len(cells.centroids))
    found = ask(index, queries, 10, cosine=cosine)
    exact = ask(ExactIndex(vectors), queries, 10, cosine=cosine)
    assert found.items.numpy().tolist() == exact.items.numpy().tolist()
    np.testing.assert_allclose(found.scores, exact.scores, atol=1e-5)


def test_few_cells_find_nearly_all(
    index: IvfIndex, vectors: np.ndarray, queries: np.ndarray
) -> None:
    """12 of 60 and more cells of clustered vectors, rounded ones included."""
    found = ask(index, queries, 10)
    assert recall(found, brute_force(vectors, queries, 10)) >= 0.95


def test_scores_are_those_of_the_vectors_that_are_kept(
    index: IvfIndex, vectors: np.ndarray, queries: np.ndarray
) -> None:
    """A score is the product with `vectors_of`, and off the true one by no more than `error`."""
    found = ask(index, queries, 10)
    kept = index.vectors_of(found.items)
    np.testing.assert_allclose(
        found.scores, tf.einsum("bd,bkd->bk", queries, kept), atol=1e-5, rtol=0
    )
    true = np.einsum("bd,bkd->bk", queries, vectors[found.items.numpy()])
    assert np.abs(true - found.scores.numpy()).max() <= index.error + 1e-5
    assert not index.vectors_of(tf.constant([-1])).numpy().any()


def test_excluded_items_never_come_back(
    index: IvfIndex, vectors: np.ndarray, queries: np.ndarray
) -> None:
    """The best items are excluded, and as many others take their places."""
    best = ask(index, queries, 30).items.numpy()
    excluded = np.concatenate([best, np.full((20, 2), -1, np.int32)], 1)
    found = ask(index, queries, 10, tf.constant(excluded))
    for row, out in zip(found.items.numpy().tolist(), excluded.tolist(), strict=True):
        assert -1 not in row and not set(row) & set(out) and len(set(row)) == 10
    expected = brute_force(vectors, queries, 10, [set(row) for row in excluded.tolist()])
    assert recall(found, expected) >= 0.9


def test_more_than_the_cells_hold_is_filled_up(
    index: IvfIndex, vectors: np.ndarray, queries: np.ndarray
) -> None:
    """K beyond the probed cells, with all but a few items excluded, starves nobody."""
    assert (ask(index, queries, SIZE).items.numpy() >= 0).all()
    left = {3, 700, 1500}
    out = np.array([[item for item in range(SIZE) if item not in left]], np.int32)
    found = ask(index, queries[:1], 4, tf.constant(out)).items.numpy()[0]
    assert set(found[:3].tolist()) == left and found[3] == -1


def test_an_answer_does_not_depend_on_the_queries_that_it_comes_with() -> None:
    """Where one of a batch finds too few in its cell, all items are scored for it alone."""
    vectors = np.random.default_rng(4).normal(size=(400, 6)).astype(np.float32)
    index = IvfIndex(vectors, "ivf", train_cells(vectors, 40), probes=1)
    together = ask(index, vectors[:60], 10).items.numpy()
    alone = [ask(index, vectors[i : i + 1], 10).items.numpy() for i in range(60)]
    np.testing.assert_array_equal(together, np.concatenate(alone))
    exact = ask(ExactIndex(vectors), vectors[:60], 10).items.numpy()
    # Queries of both kinds are among them.
    assert 0.1 < (together == exact).all(1).mean() < 0.9


@pytest.mark.parametrize("share", [0.01, 0.3])
@pytest.mark.parametrize("by_row", [False, True])
def test_filters_neither_leak_nor_starve(
    index: IvfIndex, vectors: np.ndarray, queries: np.ndarray, share: float, by_row: bool
) -> None:
    """One percent and a third of the items are allowed, for all queries or for each its own."""
    random = np.random.default_rng(3)
    allowed = random.random((len(queries), SIZE)) < share
    if not by_row:
        allowed[:] = allowed[0]
    excluded = np.array([np.flatnonzero(row)[:1] for row in allowed], np.int32)
    given = tf.constant(allowed if by_row else allowed[0])
    found = ask(index, queries, 5, tf.constant(excluded), given)
    banned = [
        {*np.flatnonzero(~row).tolist(), *out}
        for row, out in zip(allowed, excluded.tolist(), strict=True)
    ]
    for row, out in zip(found.items.numpy().tolist(), banned, strict=True):
        assert -1 not in row and not set(row) & out
    assert recall(found, brute_force(vectors, queries, 5, banned)) >= 0.95


def test_an_empty_batch_and_an_empty_filter_are_answered(index: IvfIndex) -> None:
    """No queries give no rows, no allowed item gives none."""
    assert ask(index, np.zeros((0, 16), np.float32), 3).items.shape == (0, 3)
    nothing = tf.zeros([SIZE], tf.bool)
    found = ask(index, np.ones((1, 16), np.float32), 3, None, nothing)
    assert found.items.numpy().tolist() == [[-1, -1, -1]]


@pytest.mark.parametrize(
    "kind",
    ["ivf-int8", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("ivf", "ivf-pq"))],
)
def test_a_session_on_stock_ops_gives_the_same(
    kind: str, vectors: np.ndarray, cells: Cells, queries: np.ndarray, tmp_path: Path
) -> None:
    """Exported by Keras, loaded as a server loads it: the ids and scores of Python."""
    index = IvfIndex(vectors, kind, cells, probes=12)
    archive = keras.export.ExportArchive()
    archive.add_variable_collection("index", list(index.variables))

    def answer(
        queries: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor, allowed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        free = index.search(queries, k, excluded)
        filtered = index.search(queries, k, excluded, allowed)
        kept = {"vectors": index.vectors_of(excluded), "holds": index.holds(excluded)}
        return {**_named("free", free), **_named("filtered", filtered), **kept}

    specs = [
        tf.TensorSpec([None, 16], tf.float32, "queries"),
        tf.TensorSpec([], tf.int32, "k"),
        tf.TensorSpec([None, None], tf.int32, "excluded"),
        tf.TensorSpec([None], tf.bool, "allowed"),
    ]
    archive.add_endpoint("search", answer, specs)
    archive.write_out(str(tmp_path / "1"), verbose=False)
    check_ops(tmp_path / "1")
    assert copied_variables(tmp_path / "1") == set()
    with ServedModel(tmp_path / "1") as served:
        for rows in (1, 20):
            inputs = {
                "queries": queries[:rows],
                "k": np.array(7, np.int32),
                "excluded": np.arange(2 * rows, dtype=np.int32).reshape(rows, 2),
                "allowed": np.arange(SIZE) % 40 == 0,
            }
            got = served.run("search", inputs)
            expected = answer(*(tf.constant(inputs[spec.name]) for spec in specs))
            for name, value in expected.items():
                np.testing.assert_allclose(got[name], value, atol=1e-5)


def _named(prefix: str, found: Any) -> dict[str, tf.Tensor]:
    return {f"{prefix}_{name}": value for name, value in found._asdict().items()}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "hnsw"}, "one of ivf, ivf-int8, ivf-pq"),
        ({"probes": 0}, "`probes` is at least 1"),
    ],
)
def test_wrong_parameters_are_one_line(
    vectors: np.ndarray, cells: Cells, options: dict[str, Any], says: str
) -> None:
    """What was wrong and what to take instead."""
    with pytest.raises(DescriptionError, match=says) as error:
        IvfIndex(vectors, cells=cells, **options)
    assert "\n" not in str(error.value)


def test_cells_of_other_vectors_are_refused(vectors: np.ndarray, cells: Cells) -> None:
    """A catalogue that grew needs cells that grew."""
    with pytest.raises(DescriptionError, match="cells of 3000 items, 2999 vectors"):
        IvfIndex(vectors[:-1], cells=cells)
