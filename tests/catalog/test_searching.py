"""What `search` finds follows the catalogue: new titles at once, removed ones never."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.catalog.test_catalog import NONE, WRITE, new_rows, publish, table
from tests.export.fake_model import fake_source
from tfrec.catalog import add_items, changing, remove_items, update_items
from tfrec.catalog.catalogue import Catalogue
from tfrec.errors import DataError, ExportError
from tfrec.export import ServedModel
from tfrec.export.item_texts import TITLE
from tfrec.export.publish import list_versions
from tfrec.export.searching import STEPS
from tfrec.export.variables import Variables

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version that finds items by title and blurb."""
    source = fake_source("title", "blurb", "country", explained=False)
    return publish(source, tmp_path_factory.mktemp("models") / "fake", "exact")


@pytest.fixture
def model(published: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "models" / "fake"
    shutil.copytree(published, copy / "1")
    return copy


def search(served: ServedModel, text: str, k: int = 1) -> list[str]:
    inputs = {
        "query": np.array([text.encode()], object),
        "exclude": NONE,
        "k": np.array([k], np.int32),
    }
    answer = served.run("search", inputs)
    return [item.decode() for item in answer["item_ids"][0] if item]


def test_new_items_are_found_by_their_titles_first(model: Path, tmp_path: Path) -> None:
    """One without a title by its blurb alone, one without either by nothing."""
    rows = new_rows(15)
    rows[3] |= {"title": "", "blurb": "only words"}
    rows[4] |= {"title": " ", "blurb": ""}
    done = add_items(model, [table(tmp_path / "new.csv", rows)])
    assert done.added == 15
    assert Catalogue(model / "2").file.texts == (TITLE, "blurb")
    with ServedModel(model / "2") as new:
        for row in rows[:3] + rows[5:]:
            assert search(new, row["title"]) == [row["item_id"]]
        assert search(new, "only words") == [rows[3]["item_id"]]
        found = search(new, "anything", 27)
        assert len(found) == 26 and rows[4]["item_id"] not in found
        assert search(new, "Título 7") == ["i7"]


def test_removed_items_are_never_found(model: Path, tmp_path: Path) -> None:
    """Trained ones, whose place stays, and added ones; what comes back is found again."""
    rows = new_rows(3)
    add_items(model, [table(tmp_path / "new.csv", rows)])
    gone = ["i7", rows[1]["item_id"]]
    remove_items(model, [table(tmp_path / "gone.csv", [{"item_id": item} for item in gone])])
    with ServedModel(model / "3") as new:
        for title in ("Título 7", "Neu 1"):
            found = search(new, title, 13)
            assert len(found) == 13 and not set(found) & set(gone)
        assert search(new, "Neu 2") == [rows[2]["item_id"]]
    back = {**rows[0], "item_id": "i7", "title": "Another 7"}
    add_items(model, [table(tmp_path / "back.csv", [back])])
    with ServedModel(model / "4") as new:
        assert search(new, "Another 7") == ["i7"]
        assert search(new, "Título 7") != ["i7"]


def test_an_update_encodes_titles_alone(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new title is found, the old one isn't; availability hides and shows; a year is no text."""
    rows = [
        {"item_id": "i7", "title": "Renamed", "available": "yes"},
        {"item_id": "i8", "title": "Título 8", "available": "no"},
        {"item_id": "i6", "title": "", "available": "yes"},
    ]
    update_items(model, [table(tmp_path / "titles.csv", rows)])
    with ServedModel(model / "2") as new:
        assert search(new, "Renamed") == ["i7"]
        assert search(new, "Título 7") != ["i7"]
        assert "i8" not in search(new, "Título 8", 11)
        assert search(new, "Título 6") != ["i6"]
    assert Catalogue(model / "2").variables.read(STEPS)[6].tolist()[0] == 0
    monkeypatch.setattr(changing, "ServedModel", None)
    rows = [{"item_id": "i8", "year": 1801, "available": "yes"}]
    update_items(model, [table(tmp_path / "back.csv", rows)])
    with ServedModel(model / "3") as new:
        assert search(new, "Título 8") == ["i8"]


def test_a_text_without_the_titles_column_is_no_title(model: Path, tmp_path: Path) -> None:
    """A blurb is embedded content: an update that has nothing else is refused."""
    with pytest.raises(DataError, match="at least one of the columns country, genres, title"):
        update_items(model, [table(tmp_path / "b.csv", [{"item_id": "i1", "blurb": "new"}])])


def lose_the_titles(self: Any, *rest: Any) -> None:
    version, changed = rest
    steps = changed[STEPS].copy()
    steps[-3:, 0] = 0
    WRITE(self, version, {**changed, STEPS: steps})


def test_a_version_that_lost_a_title_is_not_published(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Variables, "write", lose_the_titles)
    with pytest.raises(ExportError, match="isn't found by its title"):
        add_items(model, [table(tmp_path / "new.csv", new_rows(3))])
    assert list_versions(model) == [1]
