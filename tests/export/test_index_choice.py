"""An export's index is what was asked for, proved and described."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.export.fake_model import PLAIN, fake_source
from tfrec.errors import DescriptionError, ExportError
from tfrec.export import ServingGraph, ServingSource, write_saved_model
from tfrec.export.index_choice import (
    IndexOptions,
    choose_index,
    newcomer_queries,
    sampled_queries,
)
from tfrec.export.reference import Reference
from tfrec.export.verify import verify_saved_model
from tfrec.export.warmup import sample_requests
from tfrec.index import ExactIndex
from tfrec.index.index import Neighbours


@pytest.fixture(scope="module")
def source() -> ServingSource:
    return fake_source(*PLAIN)


def test_a_small_catalogue_is_searched_exactly(source: ServingSource) -> None:
    """Without a choice, scoring everything is both fastest and exact."""
    chosen = choose_index(source, IndexOptions())
    assert isinstance(chosen.index, ExactIndex) and chosen.tuning is None
    assert "every item is scored" in chosen.summary


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ivf-int8", "ivf"])
def test_an_approximate_export_passes_its_proof(
    source: ServingSource, tmp_path: Path, kind: str
) -> None:
    """Every signature on the index: scores within what its rounding allows, nothing left out."""
    chosen = choose_index(source, IndexOptions(kind, recall=0.9, k=3))
    assert chosen.tuning is not None and chosen.tuning.chosen.recall > 0.5
    assert f"recall@3 {chosen.tuning.chosen.recall:.4f}" in chosen.summary
    assert f"{chosen.similar:.4f} of `similar_items`" in chosen.summary and chosen.similar > 0.5
    graph = ServingGraph(source, chosen.index)
    write_saved_model(graph, tmp_path / "1", [source.query_tower, source.item_tower])
    requests = sample_requests(source, k=5)
    error = chosen.index.error
    found = verify_saved_model(tmp_path / "1", source, requests, exact=False, error=error)
    assert found.requests == len(requests)
    if error:
        # The proof still compares numbers: with no allowance for rounding it fails.
        with pytest.raises(ExportError, match="a difference of"):
            verify_saved_model(tmp_path / "1", source, requests, exact=False)


def test_queries_are_known_users_with_what_they_saw(source: ServingSource) -> None:
    """Recall is measured as requests are answered: without seen items."""
    queries, seen = sampled_queries(source)
    assert queries.shape == (5, 4) and np.isfinite(queries).all()
    rows = sorted(sorted(set(row.tolist()) - {-1}) for row in seen)
    assert rows == [[0, 1, 2, 5], [0, 11], [3, 4], [3, 4, 5, 6, 7, 8, 9], [10]]


def test_what_cannot_be_is_one_line(source: ServingSource) -> None:
    """An unknown kind, and recall that nobody can be asked for."""
    with pytest.raises(DescriptionError, match="one of auto, exact, ivf"):
        choose_index(source, IndexOptions("hnsw"))
    alone = replace(source, users=replace(source.users, ids=source.users.ids[:1]))
    with pytest.raises(DescriptionError, match="at least two users"):
        choose_index(alone, IndexOptions("ivf"))


class _Telling(ExactIndex):
    """Finds item 1 for newcomers and item 0 for others, so that a request tells who is which."""

    def search(
        self,
        queries: Any,
        k: Any,
        excluded: Any = None,
        allowed: Any = None,
        *,
        cosine: bool = False,
        newcomers: Any = None,
    ) -> Neighbours:
        assert newcomers is not None or cosine
        rows = tf.shape(queries)[0]
        told = tf.zeros([rows], tf.int32) if newcomers is None else tf.cast(newcomers, tf.int32)
        return Neighbours(tf.zeros([rows, k]), tf.repeat(told[:, None], k, 1))


def test_every_request_tells_the_index_who_has_no_history(source: ServingSource) -> None:
    """By what the model is given: a stored history, one that was sent, or none at all."""
    graph = ServingGraph(source, _Telling(source.item_vectors))
    known, sent, nobody = 0, 1, 2
    history = np.array([[b""], [b"i3"], [b""]], object)
    asked: dict[str, Any] = {
        "user_id": tf.constant(["u0", "nobody", "nobody"]),
        "history": tf.constant(history, tf.string),
        "exclude": tf.zeros([3, 0], tf.string),
        "k": tf.constant([1, 1, 1]),
    }
    first = {rows: str(source.item_ids[rows]).encode() for rows in (0, 1)}
    found = graph.endpoints["recommend"](**asked)["item_ids"].numpy()[:, 0].tolist()
    assert [found[row] for row in (known, sent, nobody)] == [first[0], first[0], first[1]]
    none = {"item_ids": tf.zeros([3, 0], tf.string)}
    found = graph.endpoints["explain"](**asked, **none)["item_ids"].numpy()[:, 0].tolist()
    assert found == [first[0], first[0], first[1]]


def test_newcomers_have_profiles_and_nothing_else(source: ServingSource) -> None:
    """One without a profile, and one with each user's: what a request without an id asks."""
    queries = newcomer_queries(source)
    assert queries.ndim == 2 and np.isfinite(queries).all()
    nobody = Reference(source).user_vectors(["nobody"], [[]])
    np.testing.assert_allclose(queries[:1], nobody)
