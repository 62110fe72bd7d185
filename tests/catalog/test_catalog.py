"""A served catalogue changes without training: new items are found, removed ones never appear."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.export.fake_model import PLAIN, fake_source
from tfrec import cli
from tfrec.catalog import add_items, embedding, remove_items, update_items
from tfrec.catalog.catalogue import Catalogue
from tfrec.config import FeatureConfig
from tfrec.errors import DataError, ExportError
from tfrec.export import ServedModel, ServingGraph, ServingSource, write_saved_model
from tfrec.export.catalogue_file import CatalogueFile
from tfrec.export.publish import list_versions, publishing
from tfrec.export.variables import Variables
from tfrec.export.warmup import sample_requests, write_warmup
from tfrec.index import ExactIndex, IvfIndex, train_cells

NONE = np.empty((1, 0), object)


def publish(source: ServingSource, model: Path, kind: str) -> Path:
    vectors = source.item_vectors
    index = (
        ExactIndex(vectors)
        if kind == "exact"
        else IvfIndex(vectors, kind, train_cells(vectors, 3), probes=3)
    )
    graph = ServingGraph(source, index)
    with publishing(model) as (number, folder):
        write_saved_model(graph, folder, [source.query_tower, source.item_tower])
        write_warmup(folder, model.name, sample_requests(source, k=3))
        year = {"year": FeatureConfig(modality="numeric")}
        CatalogueFile.of(source, index, features=year, title="title").write(folder)
    return model / str(number)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version that loads fast: without media, encoders and `explain`."""
    small = fake_source(*PLAIN, explained=False)
    return publish(small, tmp_path_factory.mktemp("models") / "fake", "exact")


@pytest.fixture
def model(plain: Path, tmp_path: Path) -> Path:
    """A copy of a model with one version."""
    copy = tmp_path / "models" / "fake"
    shutil.copytree(plain, copy / "1")
    return copy


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def new_rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "item_id": f"new {i} ü/../",
            "title": f"Neu {i}",
            "blurb": "a" * (i % 11) + "b" * (i % 7),
            "country": ("de", "fr", "xx")[i % 3],
            "genres": ("rock|jazz", "folk", "")[i % 3],
            "price": 1.0 + i % 13,
            "vector": f"{i % 17}|{-(i % 5)}",
            "year": 1950 + i,
        }
        for i in range(start, start + count)
    ]


def ask(served: ServedModel, user: str = "u0", k: int = 3, **more: Any) -> list[str]:
    inputs = {
        "user_id": np.array([user.encode()], object),
        "history": NONE,
        "exclude": NONE,
        "k": np.array([k], np.int32),
    }
    answer = served.run(more.pop("signature", "recommend"), inputs | more)
    return [item.decode() for item in answer["item_ids"][0] if item]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["exact", "ivf-int8"])
def test_added_items_are_recommended_and_kept_ones_score_as_before(
    tmp_path: Path, kind: str
) -> None:
    """Ids with spaces, slashes and accents; filters, explanations and titles know them too."""
    rows = new_rows(30)
    model = tmp_path / "models" / "fake"
    publish(fake_source(*PLAIN), model, kind)
    done = add_items(model, [table(tmp_path / "new.csv", rows)])
    assert (done.added, done.encoded, done.items) == (30, 30, 42)
    assert done.path == model / "2" and done.largest_difference <= 1e-5
    catalogue = Catalogue(model / "2")
    with ServedModel(model / "1") as old, ServedModel(model / "2") as new:
        everything = ask(new, "u1", 42)
        assert {row["item_id"] for row in rows} <= set(everything)
        kept = {
            "user_id": np.array([b"u0", b"u3"], object),
            "history": np.empty((2, 0), object),
            "item_ids": np.array([[f"i{n}".encode() for n in range(12)]] * 2, object),
        }
        before, after = (served.run("score", kept)["scores"] for served in (old, new))
        np.testing.assert_allclose(after, before, atol=1e-5)
        # The graph's own `embed_item` placed them, and the vector kept is the one it gave.
        raw = {
            name: embedding._input(
                catalogue.file, name, [cell], 1, tuple(d.size for d in info.tensor_shape.dim)
            )
            for name, info in new.signatures["embed_item"].inputs.items()
            for cell in [raw_cell(rows[7], name)]
        }
        vector = new.run("embed_item", raw)["embedding"][0]
        rounding = 1e-5 + catalogue.file.error
        kept_vector = catalogue.vectors([rows[7]["item_id"]])[0]
        np.testing.assert_allclose(kept_vector, vector, atol=rounding)
        conditions = {
            "any_of": np.array([[b"genres=jazz"]], object),
            "range_of": np.array([[b"year"]], object),
            "at_least": np.array([[1953]], np.float32),
            "at_most": np.array([[1962]], np.float32),
        }
        found = ask(new, "nobody", 42, signature="recommend_filtered", **conditions)
        assert set(found) == {f"new {i} ü/../" for i in (3, 6, 9, 12)}
        why = new.run(
            "explain",
            {
                "user_id": np.array([b"u0"], object),
                "history": NONE,
                "exclude": NONE,
                "k": np.array([1], np.int32),
                "item_ids": np.array([[rows[3]["item_id"].encode()]], object),
            },
        )
        shares = dict(zip(why["modality"][0].tolist(), why["modality_shares"][0, 0], strict=True))
        assert abs(sum(shares.values()) - why["scores"][0, 0]) < 1e-4
        assert abs(shares[b"price"]) > 1e-6
    # An added item in a history replaces the stored one, and is never given back.
    with ServedModel(model / "2") as new:
        history = np.array([[rows[0]["item_id"].encode(), b"i3"]], object)
        assert rows[0]["item_id"] not in ask(new, k=42, history=history)


def raw_cell(row: dict[str, Any], name: str) -> Any:
    value = row.get(name)
    if name == "genres":
        return value.split("|") if value else []
    return [float(part) for part in value.split("|")] if name == "vector" else value


@pytest.mark.slow
def test_removed_items_never_appear_again(model: Path, tmp_path: Path) -> None:
    """Trained and added ones; users who liked them keep their vectors, and their places stay."""
    add_items(model, [table(tmp_path / "new.csv", new_rows(5))])
    gone = ["i1", "i7", "new 3 ü/../", "never there"]
    listed = table(tmp_path / "gone.csv", [{"item_id": item} for item in gone])
    done = remove_items(model, [listed])
    assert (done.removed, done.unchanged, done.items) == (3, 1, 14)
    with ServedModel(model / "2") as old, ServedModel(model / "3") as new:
        for user in ("u0", "u1", "u2", "nobody"):
            assert not set(ask(new, user, 14)) & set(gone)
        with pytest.raises(tf.errors.InvalidArgumentError, match="must not exceed"):
            ask(new, k=15)
        # u0 has i1 in the stored history.
        user = {"user_id": np.array([b"u0"], object), "history": NONE}
        before, after = (served.run("embed_user", user)["embedding"] for served in (old, new))
        np.testing.assert_array_equal(before, after)
        similar = {"item_id": np.array([b"i1"], object), "k": np.array([3], np.int32)}
        assert not any(new.run("similar_items", similar)["item_ids"][0])
        score = new.run("score", {**user, "item_ids": np.array([[b"i1"]], object)})["scores"]
        assert score[0, 0] == np.finfo(np.float32).min
    assert Catalogue(model / "3").ids[:12] == [f"i{n}" for n in range(12)]
    assert "new 3 ü/../" not in Catalogue(model / "3").ids
    # What was trained comes back by its content; a second removal has nothing to do.
    assert remove_items(model, [listed]).path is None
    back = add_items(model, [table(tmp_path / "back.csv", [{**new_rows(1)[0], "item_id": "i7"}])])
    assert back.added == 1
    with ServedModel(model / "4") as new:
        assert "i7" in ask(new, "u1", 15)


@pytest.mark.slow
def test_metadata_costs_no_encoding(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Years, tags and availability change while `embed_item` is never asked."""
    monkeypatch.setattr(embedding, "ServedModel", None)
    rows = [
        {"item_id": "i8", "year": 1801, "genres": "folk|unknown", "available": "yes"},
        {"item_id": "i9", "year": "", "genres": "", "available": "no"},
    ]
    done = update_items(model, [table(tmp_path / "update.csv", rows)])
    assert (done.updated, done.encoded, done.items) == (2, 0, 11)
    conditions = {
        "any_of": np.array([[b"genres=folk"]], object),
        "range_of": np.array([[b"year"]], object),
        "at_least": np.array([[np.nan]], np.float32),
        "at_most": np.array([[1900]], np.float32),
    }
    before = Catalogue(model / "1").vectors(["i9"])
    with ServedModel(model / "2") as new:
        assert "i9" not in ask(new, "nobody", 11)
        assert ask(new, "nobody", 11, signature="recommend_filtered", **conditions) == ["i8"]
    back = update_items(
        model, [table(tmp_path / "back.csv", [{"item_id": "i9", "available": "true"}])]
    )
    assert back.items == 12
    np.testing.assert_array_equal(Catalogue(model / "3").vectors(["i9"]), before)
    with pytest.raises(DataError, match="at least one of the columns"):
        update_items(model, [table(tmp_path / "nothing.csv", [{"item_id": "i9", "colour": "red"}])])


@pytest.mark.slow
def test_an_interrupted_run_embeds_nothing_twice(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that were finished are found again; one cut short is made anew."""
    monkeypatch.setattr(embedding, "MEDIA_ROWS", 8)
    monkeypatch.setattr(embedding, "TEXT_ROWS", 8)
    path = table(tmp_path / "new.csv", new_rows(40))

    def interrupt(done: int, of: int) -> None:
        if done >= 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_items(model, [path], progress=interrupt)
    assert list_versions(model) == [1]
    kept = sorted(model.glob(".catalog-*/*.npz"))
    assert len(kept) == 3
    kept[0].write_bytes(kept[0].read_bytes()[:50])
    done = add_items(model, [path])
    assert (done.added, done.encoded) == (40, 24)
    assert not list(model.glob(".catalog-*"))
    again = add_items(model, [path])
    assert again.path is None and again.unchanged == 40


@pytest.mark.slow
def test_only_variables_differ(model: Path, tmp_path: Path) -> None:
    """Graph, towers, vocabularies and warm-up are the base's, byte for byte."""
    add_items(model, [table(tmp_path / "new.csv", new_rows(3))])
    for name in ("saved_model.pb", "assets.extra/tf_serving_warmup_requests"):
        assert (model / "1" / name).read_bytes() == (model / "2" / name).read_bytes()
    reader = [tf.train.load_checkpoint(str(model / n / "variables/variables")) for n in "12"]
    towers = [key for key in reader[0].get_variable_to_shape_map() if "catalogue/" not in key]
    assert any("VARIABLE_VALUE" in key for key in towers)
    for key in towers:
        one, other = (each.get_tensor(key) for each in reader)
        assert np.array_equal(one, other)
    assert "3 items added" in (model / "2" / "model_card.md").read_text()


def spoil_scores(self: Any, *rest: Any) -> None:
    """Writes another weight of the towers than it read."""
    version, changed = rest
    name = next(n for n in self.names if n == "users/history_age")
    WRITE(self, version, {**changed, name: self.read(name) + 1})


WRITE = Variables.write


def lose_an_item(self: Any, *rest: Any) -> None:
    version, changed = rest
    values = changed["items/values"].copy()
    values[-2] = b"another"
    WRITE(self, version, {**changed, "items/values": values})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "says"), [(spoil_scores, "score differs"), (lose_an_item, "is missing")]
)
def test_a_change_that_fails_its_proof_is_not_published(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[..., None],
    says: str,
) -> None:
    """A fault of the rewriting is found by asking both versions, and nothing is left behind."""
    monkeypatch.setattr(Variables, "write", fault)
    with pytest.raises(ExportError, match=says):
        add_items(model, [table(tmp_path / "new.csv", new_rows(3))])
    assert list_versions(model) == [1] and not list(model.glob(".publishing-*"))


def test_refused_rows_are_told(model: Path, tmp_path: Path) -> None:
    """An id twice, a bad number, an item without content; the others are added."""
    rows = [*new_rows(2), new_rows(1)[0], {**new_rows(1, 5)[0], "price": "cheap"}]
    rows.append({**dict.fromkeys(rows[0], ""), "item_id": "empty"})
    done = add_items(model, [table(tmp_path / "new.csv", rows)])
    assert done.added == 2
    assert done.refused == {"duplicate_item_id": 1, "bad_number": 1, "no_content": 1}
    places = {row["rule"]: row["line"] for row in map(json.loads, done.refused_rows)}
    assert places["duplicate_item_id"] == 4 and places["bad_number"] == 5
    with pytest.raises(DataError, match="column `item_id`"):
        add_items(model, [table(tmp_path / "other.csv", [{"id": "x"}])])
    with pytest.raises(ExportError, match="no version 9"):
        add_items(model, [tmp_path / "new.csv"], base=9)
    assert cli.main(["catalog", "remove", str(model), str(tmp_path / "new.csv"), "--replace"]) == 2


@pytest.mark.slow
def test_the_command_tells_what_it_did(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table(tmp_path / "new.csv", [*new_rows(4), {**new_rows(1, 5)[0], "price": "cheap"}])
    assert cli.main(["catalog", "add", str(model), str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["added"], told["base"], told["items"]) == (4, 1, 16)
    assert cli.main(["catalog", "add", str(model), str(path)]) == 0
    said = capsys.readouterr()
    assert "nothing to do: 4 items" in said.out
    assert "refused new.csv:6: bad_number in `price`. Received: cheap.\n" in said.err
