"""A drafted description loads, names what is there, and says why; it never guesses in silence."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from preprocessing.drafting import draft_description
from preprocessing.guessing import guess_column
from tests.preprocessing.service import Service, prepare, write_csv
from tfrec.config import DatasetConfig
from tfrec.errors import DescriptionError


@pytest.mark.parametrize(
    ("name", "cells", "modality"),
    [
        ("released", ["1999-01-02", "2001-05-06"], "moment"),
        ("created", [1_700_000_000, 1_700_000_100], "moment"),
        ("price", ["1.5", "20", ""], "numeric"),
        ("brand_id", ["3", "5", "3"], "categorical"),
        ("country", ["DE", "FR", "DE", "DE"], "categorical"),
        ("genres", ["rock|pop", "pop", "rock"], "tags"),
        ("genres", [["rock"], ["pop", "rock"]], "tags"),
        ("plot", ["a dog, lost, found", "two cats, in Rome"], "text"),
        ("poster", ["a/1.jpg", "a/2.png"], "image"),
        ("clip", [b"RIFF....", b"RIFF...."], "audio"),
        ("vector", ["0.1;0.2;0.3", "1;2;3"], "embedding"),
        ("vector", [[0.1, 0.2], [1.0, 2.0]], "embedding"),
        ("nothing", ["", None], "empty"),
    ],
)
def test_a_column_is_judged_by_name_and_values(
    name: str, cells: list[object], modality: str
) -> None:
    assert guess_column(name, pa.array(cells)).modality == modality


def shop(folder: Path) -> None:
    """Behaviour in two files, orders by other names, a catalogue in Parquet, photos in a tar."""
    (folder / "events").mkdir(parents=True)
    header = ("customer_id", "sku", "time", "action", "device")
    for part in (1, 2):
        rows = [(f"c{n % 5}", n % 7, 1_700_000_000 + n, ("view", "buy")[n % 2], "tv") for n in
                range(20)]  # fmt: skip
        write_csv(folder / "events" / f"{part}.csv", header, rows)
    items = {
        "sku": list(range(7)),
        "Title": [f"thing number {n}" for n in range(7)],
        "tags": [["a"], ["b", "a"]] * 3 + [[]],
        "event": [str(n % 2) + "x" for n in range(7)],
    }
    pq.write_table(pa.table(items), folder / "products.parquet")
    with open(folder / "reviews.jsonl", "w", encoding="utf-8") as stream:
        for n in range(9):
            row = {"customer_id": f"c{n % 3}", "sku": n % 7, "review": f"fine thing {n}"}
            stream.write(json.dumps(row | {"written_at": "2024-01-01"}) + "\n")
    with tarfile.open(folder / "photos.tar", "w") as archive:
        for n in range(7):
            archive.addfile(tarfile.TarInfo(f"big/{n}.jpg"), io.BytesIO())
    (folder / "notes.csv").write_text("colour\nred\nred\n")


def test_a_draft_names_every_source_and_loads(tmp_path: Path) -> None:
    """What a person would write, and a reason at each guess; the odd table is told, not used."""
    shop(tmp_path)
    text = draft_description([tmp_path], None, "shop")
    config = DatasetConfig.model_validate(yaml.safe_load(text))
    rows = config.interactions
    assert (rows.path, rows.user, rows.item, rows.timestamp) == (
        "events/*.csv",
        "customer_id",
        "sku",
        "time",
    )
    assert rows.event == "action" and rows.label is not None and rows.label.value == ("buy",)
    assert (config.items.path, config.items.id) == ("products.parquet", "sku")
    kinds = {name: feature.modality for name, feature in config.items.features.items()}
    assert kinds == {"title": "text", "tags": "tags", "my_event": "categorical", "image": "image"}
    assert config.items.features["image"].path == "photos.tar/big/{sku}.jpg"
    assert config.items.features["title"].column == "Title"
    assert config.comments is not None and config.comments.text == "review"
    assert "# not used: notes.csv" in text
    assert "device: {modality: categorical}" in text and rows.context == {}


def test_a_draft_can_be_prepared_as_it_is(tmp_path: Path) -> None:
    """The first draft of a plain service needs no edit to run."""
    service = Service.of_three_users(tmp_path / "raw")
    service.write()
    text = draft_description([tmp_path / "raw"], None, None)
    config = DatasetConfig.model_validate(yaml.safe_load(text))
    manifest = prepare(config, tmp_path / "out", tmp_path / "raw")
    assert (manifest.items, manifest.users, sum(manifest.events.values())) == (4, 3, 10)
    # Ratings of the first eight events: 5, 4, 2, 5, 4, 1, 5, 3; the draft takes 4 and more.
    assert manifest.positives["train"] == 5


def test_parts_in_other_folders_are_told_and_not_counted_twice(tmp_path: Path) -> None:
    service = Service.of_three_users(tmp_path / "raw")
    service.write()
    (tmp_path / "raw" / "copy").mkdir()
    data = (tmp_path / "raw" / "interactions.csv").read_bytes()
    (tmp_path / "raw" / "copy" / "interactions.csv").write_bytes(data)
    (tmp_path / "raw" / "orders.csv").write_bytes(data)
    text = draft_description([tmp_path / "raw"], None, None)
    config = DatasetConfig.model_validate(yaml.safe_load(text))
    assert [source.path for source in config.interactions.also] == ["orders.csv"]
    assert "# not used: copy/interactions.csv also looks like behaviour" in text


def test_what_is_lacking_is_named(tmp_path: Path) -> None:
    (tmp_path / "colours.csv").write_text("colour\nred\nred\n")
    with pytest.raises(
        DescriptionError, match=r"the sources hold behaviour.*colours\.csv: unknown"
    ):
        draft_description([tmp_path], None, None)
    with pytest.raises(DescriptionError, match="must exist"):
        draft_description([tmp_path / "none"], None, None)
