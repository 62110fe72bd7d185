"""Shares add up to the score, and the words say what moved it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.export.fake_model import ITEM_PARTS, fake_source
from tfrec.export import ServingGraph, ServingSource
from tfrec.export.source import Explanation, ItemColumns
from tfrec.index import ExactIndex, IvfIndex
from tfrec.model.parts import QueryParts

LOWEST = np.finfo(np.float32).min


@pytest.fixture(scope="module")
def source() -> ServingSource:
    return fake_source()


def explain(graph: ServingGraph, **inputs: Any) -> dict[str, np.ndarray]:
    rows = len(inputs["user_id"])
    none = np.empty((rows, 0), object)
    k = np.full(rows, 3, np.int32)
    asked = {"history": none, "exclude": none, "k": k, "item_ids": none, **inputs}
    dtypes = {"k": tf.int32}
    tensors = {n: tf.constant(v, dtypes.get(n, tf.string)) for n, v in asked.items()}
    return {n: v.numpy() for n, v in graph.endpoints["explain"](**tensors).items()}


def sums_to_the_score(answer: dict[str, np.ndarray]) -> None:
    there = answer["item_ids"] != b""
    for shares in ("modality_shares", "query_shares"):
        difference = np.abs(answer[shares].sum(-1) - answer["scores"])
        assert difference[there].max() < 1e-4
        assert not answer[shares][~there].any()


def test_both_sums_are_the_score(source: ServingSource) -> None:
    """Known users, an unknown one, a history that was sent; the recommended items, in order."""
    graph = ServingGraph(source, ExactIndex(source.item_vectors))
    history = np.array([[b"", b""], [b"", b""], [b"i3", b"i5"]], object)
    asked = {"user_id": np.array(["u0", "nobody", "u2"]), "history": history}
    answer = explain(graph, **asked)
    sums_to_the_score(answer)
    assert answer["modality"][0].tolist() == [name.encode() for name in ITEM_PARTS]
    recommend = graph.endpoints["recommend"](
        **{n: tf.constant(v, tf.string) for n, v in asked.items()},
        exclude=tf.zeros([3, 0], tf.string),
        k=tf.constant([3, 3, 3]),
    )
    assert answer["item_ids"].tolist() == recommend["item_ids"].numpy().tolist()
    np.testing.assert_allclose(answer["scores"], recommend["scores"], atol=1e-5)
    assert (answer["reason"] != b"").all()


def test_given_items_are_explained_in_their_order(source: ServingSource) -> None:
    """Beside a row of recommendations; unknown and empty ids have no share and no reason."""
    graph = ServingGraph(source, ExactIndex(source.item_vectors))
    given = np.array([["i4", "zz", "i1", ""], ["", "", "", ""]])
    answer = explain(graph, user_id=np.array(["u0", "u0"]), item_ids=given)
    sums_to_the_score(answer)
    assert answer["item_ids"][0].tolist() == [b"i4", b"", b"i1", b""]
    assert (answer["scores"][0][[1, 3]] == LOWEST).all()
    assert answer["reason"][0][1] == b"" and answer["reason"][0][0] != b""
    assert (answer["item_ids"][1] != b"").sum() == 3


def test_rounded_vectors_and_added_items_still_add_up(source: ServingSource) -> None:
    """What an index rounds, and items whose parts nobody gave, go to the base."""
    explanation = source.explanation
    assert explanation is not None
    short = replace(explanation, item_parts=explanation.item_parts[:9])
    graph = ServingGraph(
        replace(source, explanation=short), IvfIndex(source.item_vectors, "ivf-int8", probes=12)
    )
    answer = explain(graph, user_id=np.array(["u2"]), item_ids=np.array([["i3", "i10"]]))
    sums_to_the_score(answer)
    shares = answer["modality_shares"][0]
    assert abs(shares[0, -1]) < 0.05 * np.abs(shares[0]).sum()
    np.testing.assert_allclose(shares[1, -1], answer["scores"][0, 1], rtol=1e-5)


def planted() -> ServingGraph:
    """Four items on the axes; a query is the sum of its history, plus 0.1 for the last item."""
    vectors = np.eye(4, dtype=np.float32)
    vectors[2] = [0.5, -0.25, 0.0, 0.0]

    def events(inputs: dict[str, Any]) -> tf.Tensor:
        history = inputs["history"]
        found = tf.gather(tf.constant(vectors), tf.maximum(history, 0))
        return tf.where((history >= 0)[..., None], found, 0.0)

    user = tf.constant([[0.0, 0.0, 0.0, 0.1]])
    base = fake_source()
    zeros = np.zeros_like(vectors)
    parts = np.stack([zeros, vectors, zeros], 1)
    source = replace(
        base,
        item_ids=np.array(["a", "b", "c", "d"], object),
        item_vectors=vectors,
        query_tower=lambda inputs, training: tf.reduce_sum(events(inputs), 1) + user,
        users=replace(
            base.users,
            ids=np.array([], object),
            offsets=np.zeros(1, np.int64),
            item_index=base.users.item_index[:0],
            age=base.users.age[:0],
            event=base.users.event[:0],
            seen_offsets=np.zeros(1, np.int64),
            seen=base.users.seen[:0],
            profile={name: value[:0] for name, value in base.users.profile.items()},
        ),
        columns=ItemColumns(
            titles=np.array(["Alpha", "Beta", "", "Delta"], object),
            labels={"tags": np.array([[0, 1, 2], [0, 1, -1], [0, 2, 1], [0, -1, -1]], np.int32)},
            values={"tags": ["common", "rare", "rarer"]},
        ),
        explanation=Explanation(
            ("behaviour", "album_cover", "base"),
            parts,
            lambda inputs: tf.constant(parts),
            lambda inputs: QueryParts(
                events(inputs), {"user": tf.repeat(user, tf.shape(inputs["history"])[0], 0)}
            ),
        ),
    )
    return ServingGraph(source, ExactIndex(vectors))


def test_the_sentence_names_what_moved_the_score_and_what_is_shared() -> None:
    """Twice 0.5 of a, -0.25 of b; a and c share three tags, of which the two rarest are told."""
    answer = explain(
        planted(),
        user_id=np.array(["x"]),
        history=np.array([["a", "b", "a"]]),
        item_ids=np.array([["c", "d"]]),
    )
    assert answer["reason"][0, :2].tolist() == [
        b"because you liked Alpha: both rarer, rare",
        b"for its album cover",
    ]
    assert answer["history_ids"][0, 0].tolist() == [b"a", b"b", b""]
    # The two events of `a` count as one.
    np.testing.assert_allclose(answer["history_shares"][0, 0], [1.0, -0.25, 0.0])
    assert answer["query_part"][0].tolist() == [b"history", b"user", b"base"]
    np.testing.assert_allclose(
        answer["query_shares"][0, :2], [[0.75, 0, 0], [0, 0.1, 0]], atol=1e-7
    )


@pytest.mark.slow
def test_new_items_parts_are_what_the_catalogue_keeps(source: ServingSource) -> None:
    """`item_parts` adds up to `embed_item`, so that added items can be explained too."""
    graph = ServingGraph(source, ExactIndex(source.item_vectors))
    inputs = {
        name: tf.constant(["x"]) if spec.dtype == tf.string else tf.constant([float("nan")])
        for name, spec in graph.endpoints["item_parts"].inputs.items()
    }
    inputs |= {
        "genres": tf.constant([["rock"]]),
        "film": tf.constant([["", ""]]),
        "vector": tf.constant([[0.5, 1.0]]),
    }
    found = graph.endpoints["item_parts"](**inputs)
    embedding = graph.endpoints["embed_item"](**inputs)["embedding"]
    np.testing.assert_allclose(tf.reduce_sum(found["parts"], 1), embedding, atol=1e-6)
    assert found["modality"].numpy()[0].tolist() == [name.encode() for name in ITEM_PARTS]
