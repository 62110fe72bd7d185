"""An index changes by its arrays alone: what is new is found, what went is gone, the rest stays."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.index.vectors import clustered
from tfrec.errors import ExportError
from tfrec.index import ExactIndex, Index, IvfIndex, train_cells
from tfrec.index.rewriting import Change, rewritten, vectors_at

SIZE, NEW = 2000, 200
KINDS = ("exact", "ivf", "ivf-int8", "ivf-pq")
REMOVED = np.arange(0, SIZE, 7)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    lengths = np.exp(0.2 * np.random.default_rng(1).standard_normal((SIZE + NEW, 1)))
    return (clustered(SIZE + NEW) * lengths).astype(np.float32)


def arrays_of(index: Index) -> dict[str, np.ndarray]:
    return {variable.name.partition(":")[0]: variable.numpy() for variable in index.variables}


def changed(kind: str, vectors: np.ndarray) -> tuple[Index, dict[str, np.ndarray], Change]:
    """The index of SIZE vectors, then without REMOVED and with NEW more."""
    old = vectors[:SIZE]
    index = (
        ExactIndex(old) if kind == "exact" else IvfIndex(old, kind, train_cells(old, 40), probes=10)
    )
    before = arrays_of(index)
    sources = np.concatenate([np.arange(SIZE), np.full(NEW, -1)])
    live = np.ones(SIZE + NEW, bool)
    live[REMOVED] = False
    change = Change(sources, live, vectors[SIZE:])
    after, error = rewritten(kind, before, change)
    assert error <= 0.2
    for variable in index.variables:
        name = variable.name.partition(":")[0]
        if name in after:
            variable.assign(after[name])
    return index, before, change


@pytest.mark.parametrize("kind", KINDS)
def test_new_items_are_found_and_removed_ones_are_not(kind: str, vectors: np.ndarray) -> None:
    """By search, by vector, and when everything there is is asked for."""
    index, _, change = changed(kind, vectors)
    found = index.search(tf.constant(vectors[SIZE:]), tf.constant(1), cosine=True)
    own = found.items.numpy()[:, 0] == np.arange(SIZE, SIZE + NEW)
    # Product quantisation may mistake one of two that nearly coincide.
    assert own.mean() >= (0.97 if kind == "ivf-pq" else 1.0)
    assert int(index.count) == int(change.live.sum())
    everything = index.search(tf.constant(vectors[:2]), index.count)
    for row in everything.items.numpy():
        assert sorted(row) == np.flatnonzero(change.live).tolist()
    held = index.holds(tf.range(SIZE + NEW)).numpy()
    assert held.tolist() == change.live.tolist()
    assert not index.vectors_of(tf.constant(REMOVED, tf.int32)).numpy().any()
    # A removed item may still be excluded, and takes no other with it.
    gone = tf.tile(tf.constant(REMOVED, tf.int32)[None], [20, 1])
    queries = tf.constant(vectors[1:21])
    with_gone, without = (index.search(queries, tf.constant(10), e) for e in (gone, None))
    assert with_gone.items.numpy().tolist() == without.items.numpy().tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_kept_items_are_kept_as_they_were(kind: str, vectors: np.ndarray) -> None:
    """Codes, cells and centroids: a kept vector is the same to the last bit."""
    index, before, change = changed(kind, vectors)
    kept = np.flatnonzero(change.live[:SIZE])
    after = arrays_of(index)
    old, new = vectors_at(kind, before, kept), vectors_at(kind, after, kept)
    assert np.array_equal(old, new)
    np.testing.assert_array_equal(index.vectors_of(tf.constant(kept, tf.int32)), new)
    for name in ("index/directions", "index/norms", "index/pq_books"):
        if name in before:
            assert np.array_equal(before[name], after[name])


def test_what_cannot_be_is_one_line(vectors: np.ndarray) -> None:
    """Nothing left, a vector that isn't finite, of another width, or of an item that is gone."""
    arrays = arrays_of(ExactIndex(vectors[:3]))
    nothing = np.zeros((0, vectors.shape[1]), np.float32)
    with pytest.raises(ExportError, match="at least one item"):
        rewritten("exact", arrays, Change(np.arange(3), np.zeros(3, bool), nothing))
    new, live = np.array([0, -1]), np.ones(2, bool)
    with pytest.raises(ExportError, match="finite"):
        rewritten("exact", arrays, Change(new, live, np.full((1, vectors.shape[1]), np.nan)))
    with pytest.raises(ExportError, match="as wide as"):
        rewritten("exact", arrays, Change(new, live, np.zeros((1, 3), np.float32)))
    fewer, _ = rewritten("exact", arrays, Change(np.arange(3), np.array([1, 0, 1], bool), nothing))
    with pytest.raises(ExportError, match="no vector any more"):
        rewritten("exact", arrays | fewer, Change(np.arange(3), np.ones(3, bool), nothing))
