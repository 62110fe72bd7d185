"""Bad input: one clear line each, the right exit status, and no half-written output."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.preprocessing.service import (
    ONE_WORKER,
    Service,
    items_of,
    prepare,
    rejected_of,
    rules_of,
)
from tfrec.cli import main
from tfrec.config import DatasetConfig
from tfrec.errors import DataError, DescriptionError, RejectedRowsError, TfrecError

Change = Callable[[Service], None]


def _drop_timestamp(service: Service) -> None:
    service.interaction_header = ("user_id", "item_id", "time", "rating")


def _name_no_file(service: Service) -> None:
    service.description = {"items": {"path": "nothing.csv"}}


def _link_out(service: Service) -> None:
    service.description = {"items": {"path": "link.csv"}}
    outside = service.folder.parent / "outside.csv"
    service.folder.mkdir(parents=True, exist_ok=True)
    outside.write_text("item_id,title,genres,year\na,b,c,1\n")
    (service.folder / "link.csv").symlink_to(outside)


def _excel(service: Service) -> None:
    service.description = {"items": {"path": "items.xlsx"}}
    service.folder.mkdir(parents=True, exist_ok=True)
    (service.folder / "items.xlsx").write_text("x")


def _reserved_name(service: Service) -> None:
    features = {"label": {"modality": "categorical", "column": "title"}}
    service.description = {"items": {"features": features}}


def _wrong_moment(service: Service) -> None:
    service.description = {"split": {"validation_from": "soon", "test_from": "later"}}


def _cuts_exchanged(service: Service) -> None:
    service.description = {"split": {"validation_from": 200, "test_from": 100}}


def _no_items(service: Service) -> None:
    service.items = []


def _no_interactions(service: Service) -> None:
    service.interactions = []


def _everything_at_once(service: Service) -> None:
    service.interactions = [(user, item, 7, stars) for user, item, _, stars in service.interactions]


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (_drop_timestamp, DescriptionError, "interactions: interactions.csv: the description names"
         " a column `timestamp`. Received: the columns user_id, item_id, time, rating."),
        (_name_no_file, DescriptionError, "items.path: nothing.csv"),
        (_link_out, DescriptionError, "a path stays below the data root"),
        (_excel, DescriptionError, "a source is CSV, JSON Lines, Parquet or TFRecord"),
        (_reserved_name, DescriptionError, "items.features.label"),
        (_wrong_moment, DescriptionError, "split.validation_from"),
        (_cuts_exchanged, DescriptionError, "`validation_from` comes before `test_from`"),
        (_no_items, DataError, "items.csv: the catalogue holds at least one valid item"),
        (_no_interactions, DataError, "interactions.csv: there is at least one valid interaction"),
        (_everything_at_once, DataError, "train part of `global_time` holds at least one event"),
    ],
)  # fmt: skip
def test_a_wrong_service_is_told_in_one_line(
    tmp_path: Path, change: Change, kind: type[TfrecError], text: str
) -> None:
    """Where, rule, received, remedy; nothing is left of the output."""
    service = Service.of_three_users(tmp_path / "raw")
    change(service)
    with pytest.raises(kind) as caught:
        service.prepare(tmp_path / "out")
    message = str(caught.value)
    assert text in message and "Received: " in message and "\n" not in message
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / ".out.partial").exists()


@pytest.mark.parametrize("name", ["items.csv", "interactions.csv"])
def test_an_empty_file_is_told(tmp_path: Path, name: str) -> None:
    service = Service.of_three_users(tmp_path / "raw")
    config = service.write()
    (tmp_path / "raw" / name).write_bytes(b"")
    with pytest.raises(DataError, match=f"{name}: a CSV file starts with a header line.*empty"):
        prepare(config, tmp_path / "out", tmp_path / "raw")


def test_text_in_another_encoding_is_told(tmp_path: Path) -> None:
    """A whole file of UTF-16 is one error; a Latin-1 cell costs its own row."""
    service = Service.of_three_users(tmp_path / "raw")
    config = service.write()
    path = tmp_path / "raw" / "items.csv"
    text = path.read_text(encoding="utf-8").replace("Apple pie", "Crème")
    path.write_bytes(text.encode("latin-1"))
    prepare(config, tmp_path / "out", tmp_path / "raw")
    assert rules_of(tmp_path / "out", "items") == [(2, "not_utf8")]
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(DataError, match="UTF-8 text"):
        prepare(config, tmp_path / "out2", tmp_path / "raw")


def test_each_rule_refuses_its_row(tmp_path: Path) -> None:
    """One bad row a rule, each with its line; the books are balanced."""
    service = Service.of_three_users(tmp_path / "raw")
    service.items += [
        ("", "No id", "", ""),
        ("a", "Twice", "", ""),
        ("e", "Year", "", "MCMXC"),
        ("f\ng", "Two lines", "", ""),
    ]
    service.interaction_header = (*service.interaction_header, "weight")
    service.interactions = [(*row, 1) for row in service.interactions]
    service.interactions += [
        ("", "a", 1, 5, 1),
        ("u1", "", 1, 5, 1),
        ("u1", "a", "soon", 5, 1),
        ("u1", "a", 1_700_000_000_000, 5, 1),
        ("u1", "nothing", 1, 5, 1),
        ("u1", "a", 1, "good", 1),
        ("u1", "a", 1, 5, "heavy"),
        ("u1", "a", 1, 5, -1),
        ("u1", "a", 1),
    ]
    service.comments = [("u1", "a", " ", 1), ("u1", "z", "good", 1), ("", "a", "good", 1)]
    service.description = {"interactions": {"weight": "weight"}}
    manifest = service.prepare(tmp_path / "out")
    out = tmp_path / "out"
    assert rules_of(out, "items") == [
        (6, "empty_item_id"),
        (7, "duplicate_item_id"),
        (8, "bad_number"),
        (9, "bad_id"),
    ]
    assert [rule for _, rule in rules_of(out, "interactions")] == [
        "empty_user_id",
        "empty_item_id",
        "bad_timestamp",
        "bad_timestamp",
        "unknown_item",
        "bad_label",
        "bad_number",
        "negative_weight",
        "malformed_row",
    ]
    assert [rule for _, rule in rules_of(out, "comments")] == [
        "empty_text",
        "unknown_item",
        "empty_user_id",
    ]
    for source, counts in manifest.sources.items():
        assert counts.read == counts.written + counts.rejected
        assert counts.rejected == len(rejected_of(out, source))
    assert list(items_of(out)) == ["a", "b", "c", "d"]
    assert rejected_of(out, "items")[0] == {
        "source": "items",
        "file": "items.csv",
        "line": 8,
        "rule": "bad_number",
        "column": "year",
        "received": "MCMXC",
    } or "MCMXC" in json.dumps(rejected_of(out, "items"))


def test_too_many_refused_rows_publish_nothing(tmp_path: Path) -> None:
    """An earlier output stays; the refused rows are beside it to look at."""
    service = Service.of_three_users(tmp_path / "raw")
    before = service.prepare(tmp_path / "out")
    service.interactions += [("u1", "nothing", 1, 5)]
    with pytest.raises(RejectedRowsError) as caught:
        service.prepare(tmp_path / "out", max_rejected=0.05)
    message = str(caught.value)
    assert "1 of 11: 1 unknown_item (first interactions.csv:12 'nothing')" in message
    assert caught.value.exit_status == 1
    beside = tmp_path / "out.rejected" / "interactions.jsonl"
    assert json.loads(beside.read_text())["rule"] == "unknown_item"
    assert service.prepare(tmp_path / "out", max_rejected=0.1).items == before.items
    assert not beside.exists()


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        (["01", "02"], "only by leading zeros: `01` against `1`"),
        (["x1", "x2"], "only by what comes before the number: `x1` against `1`"),
        (["pear", "plum"], "look like `1`, these like `pear`"),
    ],
)
def test_a_join_that_would_be_empty_says_why(tmp_path: Path, ids: list[str], reason: str) -> None:
    service = Service.of_three_users(tmp_path / "raw")
    service.items = [("1", "One", "", ""), ("2", "Two", "", "")]
    service.interactions = [("u", name, time, 5) for time, name in enumerate(ids)]
    with pytest.raises(RejectedRowsError, match="unknown_item") as caught:
        service.prepare(tmp_path / "out", max_rejected=0.05)
    assert reason in str(caught.value)


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    service = Service.of_three_users(tmp_path / "raw")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(DescriptionError, match="earlier prepared data"):
        service.prepare(tmp_path / "out")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read and write everything")
def test_missing_permissions_are_told(tmp_path: Path) -> None:
    service = Service.of_three_users(tmp_path / "raw")
    config = service.write()
    (tmp_path / "raw" / "items.csv").chmod(0)
    with pytest.raises(DataError, match="must be readable"):
        prepare(config, tmp_path / "out", tmp_path / "raw")


def test_an_unknown_beam_option_is_told(tmp_path: Path) -> None:
    service = Service.of_three_users(tmp_path / "raw")
    with pytest.raises(DescriptionError, match="--runer"):
        service.prepare(tmp_path / "out", beam_options=("--runer=x",))


def test_the_command_prints_one_line_and_exits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 for the description, 1 for the data, 0 with the counts as JSON."""
    service = Service.of_three_users(tmp_path / "raw")
    config = service.write()
    path = tmp_path / "raw" / "dataset.yaml"
    path.write_text(json.dumps(service.content))
    arguments = ["preprocess", str(path), str(tmp_path / "out"), "--json"]
    wrong = ["--set", "items.features.title.modality=smell"]
    assert main([*arguments, *wrong]) == 2
    assert "items.features.title.modality" in capsys.readouterr().err
    assert main([*arguments, "--set", "items.path=../items.csv"]) == 2
    assert "stays below the data root" in capsys.readouterr().err
    assert main([*arguments, "--set", "interactions.timestamp=rating", "--max-rejected", "9"]) == 2
    assert "--max-rejected" in capsys.readouterr().err
    assert main([*arguments, "--set", "interactions.timestamp=item_id", "--", *ONE_WORKER]) == 1
    assert "bad_timestamp" in capsys.readouterr().err.splitlines()[-1]
    assert main([*arguments, "--", *ONE_WORKER]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["sources"]["items"] == {"read": 4, "written": 4, "rejected": 0}
    assert isinstance(config, DatasetConfig)
