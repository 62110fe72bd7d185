"""Items are found by texts: their own titles first, also where the title says all there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.export.fake_model import PLAIN, fake_source
from tests.records import spec, write_prepared
from tfrec.config import FeatureConfig
from tfrec.export import ServingGraph, ServingSource
from tfrec.export.item_texts import TITLE, item_texts, title_config
from tfrec.export.searching import text_codes
from tfrec.export.source import ItemTexts
from tfrec.index import ExactIndex, IvfIndex, train_cells
from tfrec.index.rewriting import Change, rewritten
from tfrec.schema import DataLayout, FeatureSpec

NONE = np.empty((1, 0), object)
# The others have no title; i1 and i10 no blurb.
TITLED = [item for item in range(12) if item % 9]


@pytest.fixture(scope="module")
def source() -> ServingSource:
    return fake_source("title", "blurb", explained=False)


@pytest.fixture(scope="module")
def graph(source: ServingSource) -> ServingGraph:
    return ServingGraph(source, ExactIndex(source.item_vectors))


def ask(
    graph: ServingGraph, query: str, k: int = 12, exclude: np.ndarray = NONE
) -> tuple[list[str], np.ndarray]:
    answer = graph.endpoints["search"](
        query=tf.constant([query.encode()]),
        exclude=tf.constant(exclude, tf.string),
        k=tf.constant([k]),
    )
    ids = [item.decode() for item in answer["item_ids"].numpy()[0] if item]
    return ids, answer["scores"].numpy()[0]


def test_an_item_is_found_by_its_own_title_first(graph: ServingGraph) -> None:
    """However it is spaced; the cosine is 1 as far as 8 bits tell it."""
    for item in TITLED:
        found, scores = ask(graph, f"  título \n {item} ", k=1)
        assert found == [f"i{item}"] and scores[0] == pytest.approx(1, abs=1e-3)


def test_an_item_is_found_by_its_text_too(graph: ServingGraph) -> None:
    """i0 and i9 have no title: their blurbs find them, and what would be their title doesn't."""
    for item in (0, 9):
        found, scores = ask(graph, f"blurb a{'ab' * item} {item}", k=12)
        # Beyond the letters that the encoder reads i9's is one of several.
        first = found[: int((scores > 0.999).sum())]
        assert f"i{item}" in first and (item or first == ["i0"])
        found, scores = ask(graph, f"Título {item}")
        assert scores[found.index(f"i{item}")] < 0.9


def test_an_item_without_any_text_is_never_found(source: ServingSource) -> None:
    """It is no answer at cosine 0 either: lists are shorter, and ids end with blanks."""
    assert source.texts is not None
    vectors = source.texts.vectors.copy()
    vectors[5] = 0
    bare = replace(source, texts=replace(source.texts, vectors=vectors))
    graph = ServingGraph(bare, ExactIndex(source.item_vectors))
    found, scores = ask(graph, "zzz")
    assert sorted(found) == sorted(f"i{i}" for i in range(12) if i != 5)
    assert scores[11] == np.finfo(np.float32).min


def test_excluded_items_and_those_beyond_k_are_left_out(graph: ServingGraph) -> None:
    found, _ = ask(graph, "Título 7", k=3, exclude=np.array([[b"i7", b"", b"nobody"]], object))
    assert len(found) == 3 and "i7" not in found
    answer = graph.endpoints["search"](
        query=tf.constant([b"a", b"b"]), exclude=tf.fill([2, 0], ""), k=tf.constant([1, 3])
    )
    assert (answer["item_ids"].numpy() != b"").sum(1).tolist() == [1, 3]


def test_a_removed_item_is_never_found(source: ServingSource) -> None:
    """Its texts keep their places; that the index has it no more takes it out of all answers."""
    index = ExactIndex(source.item_vectors)
    graph = ServingGraph(source, index)
    assert "i7" in ask(graph, "Título 7")[0]
    kept = {each.name.removesuffix(":0"): each for each in index.variables}
    live = np.arange(12) != 7
    change = Change(np.arange(12), live, np.zeros((0, index.dimension), np.float32))
    arrays, _ = rewritten("exact", {name: each.numpy() for name, each in kept.items()}, change)
    for name, value in arrays.items():
        kept[name].assign(value)
    found, _ = ask(graph, "Título 7", k=11)
    assert len(found) == 11 and "i7" not in found
    with pytest.raises(tf.errors.InvalidArgumentError, match="`k` must not exceed"):
        ask(graph, "Título 7", k=12)


@pytest.mark.parametrize("query", ["", " \n\t ", "\u00a0"])
def test_a_blank_query_is_refused_in_a_line(graph: ServingGraph, query: str) -> None:
    """Its vector of zeros would make any item as good as another."""
    with pytest.raises(tf.errors.InvalidArgumentError, match='`query` must not be "" or blank'):
        ask(graph, query)


@pytest.mark.parametrize("k", [0, 13])
def test_k_is_bounded_by_the_catalogue(graph: ServingGraph, k: int) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="`k` must"):
        ask(graph, "a", k)


def test_large_catalogues_are_read_in_blocks(
    source: ServingSource, graph: ServingGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best of several blocks are those of one, also beside an inverted file's order."""
    monkeypatch.setattr("tfrec.export.searching._BLOCK", 5)
    vectors = source.item_vectors
    index = IvfIndex(vectors, "ivf", train_cells(vectors, 3), probes=1)
    blocks = ServingGraph(source, index)
    exclude = np.array([[b"i9", b"i2"]], object)
    for query in ("Título 9", "blurb", "x"):
        one, other = (ask(each, query, exclude=exclude) for each in (graph, blocks))
        assert one[0] == other[0]
        np.testing.assert_allclose(one[1], other[1], atol=1e-6)


def test_without_an_encoder_or_a_title_there_is_no_search() -> None:
    plain = fake_source(*PLAIN, explained=False)
    endpoints = ServingGraph(plain, ExactIndex(plain.item_vectors)).endpoints
    assert not {"search", "embed_text"} & set(endpoints)


def test_eight_bits_keep_the_direction() -> None:
    """Against NumPy: what is kept has length 1, and is as far off as told."""
    vectors = np.random.default_rng(0).normal(size=(50, 2, 384)).astype(np.float32)
    codes, steps, error = text_codes(vectors)
    kept = codes * steps[..., None]
    unit = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    np.testing.assert_allclose(np.linalg.norm(kept, axis=-1), 1, rtol=1e-5)
    assert np.linalg.norm(kept - unit, axis=-1).max() == pytest.approx(error, rel=1e-4)
    assert error < 0.02 and codes.nbytes == vectors.nbytes // 4


class Letters:
    """An encoder of texts to their length and first letter, for any feature."""

    def __init__(self, feature: FeatureSpec) -> None: ...

    def encode(self, texts: np.ndarray) -> np.ndarray:
        return np.array([[len(t), ord(t[0]) if t else 7] for t in texts], np.float32)


def texts_of(
    root: Path,
    specs: list[FeatureSpec],
    values: dict[str, list[Any]],
    encoded: dict[str, list[Any]],
) -> ItemTexts | None:
    """Of a model that reads all features of a service with three items."""
    data = write_prepared(
        root / "data",
        {"train": [(0, 0, 1, 1.0)]},
        items=3,
        specs=specs,
        values=values,
        encoded=encoded,
    )
    manifest = DataLayout(data).read_manifest()
    run: Any = SimpleNamespace(data=data, manifest=manifest)
    return item_texts(run, manifest.item_features, Letters)


def test_of_joined_columns_the_first_is_the_title(tmp_path: Path) -> None:
    """Encoded by itself, beside the vector that preprocessing stored; a missing text is zeros."""
    texts = texts_of(
        tmp_path,
        [spec("text", "text", column=("title", "plot"), encoder="toy", encoded_dim=2)],
        {"text": ["Dr. No. A spy.", "Up. A man.", None]},
        {"text": [[3.0, 4.0], [0.0, 2.0], None]},
    )
    assert texts is not None and (texts.feature, texts.names) == ("text", (TITLE, "text"))
    titles = np.array([[6, ord("D")], [2, ord("U")]]) / np.hypot([[6], [2]], [[68], [85]])
    np.testing.assert_allclose(texts.vectors[:2, 0], titles, rtol=1e-6)
    np.testing.assert_allclose(texts.vectors[:2, 1], [[0.6, 0.8], [0, 1]], rtol=1e-6)
    assert not texts.vectors[2].any()


def test_a_title_of_one_column_is_kept_once(tmp_path: Path) -> None:
    """Its stored vector is taken; a text by another encoder isn't comparable, and is left out."""
    one = spec("title", "text", encoder="toy", encoded_dim=2)
    other = spec("review", "text", encoder="other", encoded_dim=2)
    like = spec("plot", "text", encoder="toy", encoded_dim=2)
    vectors = [[3.0, 4.0], None, [0.0, 2.0]]
    texts = texts_of(
        tmp_path,
        [other, like, one],
        {name: ["a", None, "b"] for name in ("title", "plot", "review")},
        {name: vectors for name in ("title", "plot", "review")},
    )
    assert texts is not None and (texts.feature, texts.names) == ("title", (TITLE, "plot"))
    expected = [[0.6, 0.8], [0, 0], [0, 1]]
    np.testing.assert_allclose(texts.vectors, np.stack([expected, expected], 1), rtol=1e-6)


def test_a_title_without_an_encoder_borrows_one(tmp_path: Path) -> None:
    """And where no text has one, there is nothing to find items by."""
    title = spec("name", "text")
    plot = spec("plot", "text", encoder="toy", encoded_dim=2)
    values = {"name": ["ab", None, "c"], "plot": ["x", "y", "z"]}
    texts = texts_of(tmp_path, [plot, title], values, {"plot": [[1.0, 0.0]] * 3})
    assert texts is not None and (texts.feature, texts.names) == ("plot", (TITLE, "plot"))
    assert texts.vectors[0, 0] == pytest.approx(np.array([2, 97]) / np.hypot(2, 97))
    assert not texts.vectors[1, 0].any() and texts.vectors[1, 1].any()
    assert texts_of(tmp_path / "other", [title], {"name": values["name"]}, {}) is None


def test_raw_files_tell_the_title_by_its_column() -> None:
    features = {"text": FeatureConfig(modality="text", column=("title", "plot"))}
    config = title_config(features, "text")
    assert config is not None and config.columns(TITLE) == ("title",)
    assert title_config(features, None) is None
    plain = title_config({"name": FeatureConfig(modality="text")}, "name")
    assert plain is not None and plain.columns(TITLE) == ("name",)
