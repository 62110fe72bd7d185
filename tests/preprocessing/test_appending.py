"""`tfrec append`: what comes out is what a full run over old and new files makes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from preprocessing import planning
from preprocessing.appending import append
from preprocessing.pipeline import preprocess
from tests.preprocessing.service import (
    ONE_WORKER,
    Service,
    prepare,
    records,
    rejected_of,
    timelines_of,
    write_csv,
)
from tests.preprocessing.test_conservation import balanced
from tfrec.cli import main
from tfrec.config import DatasetConfig
from tfrec.errors import TfrecError
from tfrec.schema import SPLITS, DataLayout, Manifest

HEADER = ("user_id", "item_id", "timestamp", "rating", "device", "minute")
ADD: dict[str, Any] = {"beam_options": ONE_WORKER, "max_rejected": 1.0}


def events(rng: np.random.Generator, count: int, first: int) -> list[tuple[Any, ...]]:
    """Events of a day, some of them repeated, some wrong, some of an unknown item."""
    rows: list[tuple[Any, ...]] = []
    for _ in range(count):
        moment = first + int(rng.integers(0, 86_400))
        row = (
            f"u{rng.integers(0, 12)}",
            f"i{rng.integers(0, 9)}",
            moment if rng.random() > 0.05 else "yesterday",
            int(rng.integers(1, 6)),
            str(rng.choice(["phone", "desk", ""])),
            round(float(rng.gamma(2, 3)), 3),
        )
        rows += [row] * (2 if rng.random() < 0.1 else 1)
    return rows


def service(folder: Path, **interactions: Any) -> Service:
    """Eight items, users with a profile, comments, and three days of events in two files."""
    rng = np.random.default_rng(5)
    items = [(f"i{n}", f"Title {n}", "x|y" if n % 2 else "y", 1990 + n) for n in range(8)]
    made = Service(folder, items, events(rng, 150, 0), interaction_header=HEADER)
    made.users = [(f"u{n}", "DE" if n % 3 else "FR") for n in range(10)]
    made.comments = [
        (f"u{n % 12}", f"i{n % 8}", "great" if n % 2 else "awful, slow", n * 2500)
        for n in range(40)
    ]
    context = {"device": {"modality": "categorical"}, "minute": {"modality": "numeric"}}
    made.description = {"interactions": {"context": context} | interactions}
    made.write()
    write_csv(folder / "tuesday.csv", HEADER, events(rng, 60, 86_400))
    write_csv(folder / "wednesday.csv", HEADER, events(rng, 60, 2 * 86_400))
    return made


def assert_equal_content(one: Path, other: Path) -> None:
    """Records of any shard layout, vocabularies, statistics, refused rows and the manifest."""
    first, second = DataLayout(one), DataLayout(other)
    assert records(first.item_shards()) == records(second.item_shards())
    for split in SPLITS:
        assert timelines_of(one, split) == timelines_of(other, split)
    for path in (*sorted((one / "vocabulary").iterdir()), first.statistics_path, first.schema_path):
        assert path.read_bytes() == (other / path.relative_to(one)).read_bytes()
    for source in ("interactions", "items", "users", "comments"):
        assert rejected_of(one, source) == rejected_of(other, source)
    left, right = (data.read_manifest().model_dump(exclude={"shards"}) for data in (first, second))
    assert left == right


RULES: list[dict[str, Any]] = [
    {},
    {"duplicates": "sum", "max_events_per_hour": 4, "orphans": "drop"},
    {"min_user_events": 3, "min_item_events": 5, "duplicates": "last", "weight": "minute"},
]
SPLIT: list[dict[str, Any]] = [
    {"method": "global_time", "validation": 0.2, "test": 0.2},
    {"method": "global_time", "validation_from": 90_000, "test_from": 170_000},
    {"method": "per_user_time", "validation": 0.2, "test": 0.2},
]


@pytest.mark.parametrize(
    ("rules", "split"),
    [
        (RULES[0], SPLIT[0]),
        *(
            pytest.param(*both, marks=pytest.mark.slow)
            for both in zip(RULES[1:], SPLIT[1:], strict=True)
        ),
    ],
)
def test_two_days_added_are_a_full_run_over_three(
    tmp_path: Path, rules: dict[str, Any], split: dict[str, Any]
) -> None:
    """Record by record, under quality rules that look across files and each split by time."""
    made = service(tmp_path / "files", **rules)
    made.description["split"] = split
    prepare(made.write(), tmp_path / "out", made.folder, appendable=True)
    before = (made.folder / "interactions.csv").read_bytes()
    (made.folder / "interactions.csv").unlink()
    for day in ("tuesday.csv", "wednesday.csv"):
        manifest = append(tmp_path / "out", [made.folder / day], **ADD)
    (made.folder / "interactions.csv").write_bytes(before)
    balanced(tmp_path / "out", manifest)
    prepare(manifest.dataset, tmp_path / "full", made.folder, appendable=True)
    assert_equal_content(tmp_path / "out", tmp_path / "full")
    assert sum(manifest.events.values()) > 60


@pytest.mark.slow
def test_a_larger_past_is_divided_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More partitions by what is added: sums are still made in the order of a full run."""
    monkeypatch.setattr(planning, "RANGE_BYTES", 2000)
    made = service(tmp_path / "files")
    prepare(made.write(), tmp_path / "out", made.folder, appendable=True)
    manifest = append(tmp_path / "out", ["tuesday.csv", "wednesday.csv"], **ADD)
    past = [len(DataLayout(tmp_path / "out").timeline_shards(split)) for split in SPLITS]
    assert max(past) > 2
    prepare(manifest.dataset, tmp_path / "full", made.folder, appendable=True)
    assert_equal_content(tmp_path / "out", tmp_path / "full")


@pytest.mark.slow
def test_the_catalogue_may_grow_and_be_reordered(tmp_path: Path) -> None:
    """Items are read as they are now; events of the past find theirs in its new place."""
    made = service(tmp_path / "files")
    prepare(made.write(), tmp_path / "out", made.folder, appendable=True)
    made.items = [("new", "New", "z", 2026), *reversed(made.items)]
    made.write()
    write_csv(made.folder / "thursday.csv", HEADER, [("u1", "new", 400_000, 5, "phone", 1)] * 2)
    manifest = append(tmp_path / "out", ["thursday.csv"], **ADD)
    prepare(manifest.dataset, tmp_path / "full", made.folder, appendable=True)
    assert_equal_content(tmp_path / "out", tmp_path / "full")


@pytest.mark.slow
def test_a_pattern_that_finds_the_new_file_counts_it_once(tmp_path: Path) -> None:
    """`day-*.csv` matches tomorrow's file too: the description names each file from then on."""
    made = service(tmp_path / "files", path="day-*.csv")
    (made.folder / "interactions.csv").rename(made.folder / "day-2.csv")
    config = DatasetConfig.model_validate(made.content)
    prepare(config, tmp_path / "out", made.folder, appendable=True)
    (made.folder / "tuesday.csv").rename(made.folder / "day-1.csv")
    manifest = append(tmp_path / "out", ["day-1.csv"], **ADD)
    assert [one.path for one in manifest.dataset.interactions.united] == ["day-2.csv", "day-1.csv"]
    prepare(manifest.dataset, tmp_path / "full", made.folder, appendable=True)
    assert_equal_content(tmp_path / "out", tmp_path / "full")


def _without_past(out: Path, made: Service) -> Sequence[str]:
    shutil.rmtree(out / "past")
    return ["tuesday.csv"]


def _twice(out: Path, made: Service) -> Sequence[str]:
    append(out, ["tuesday.csv"], **ADD)
    return ["tuesday.csv"]


def _grown(out: Path, made: Service) -> Sequence[str]:
    with open(made.folder / "interactions.csv", "a", encoding="utf-8") as stream:
        stream.write("u1,i1,99,5,phone,1\n")
    return ["tuesday.csv"]


def _outside(out: Path, made: Service) -> Sequence[str]:
    shutil.copy(made.folder / "tuesday.csv", out.parent / "elsewhere.csv")
    return [str(out.parent / "elsewhere.csv")]


def _item_gone(out: Path, made: Service) -> Sequence[str]:
    made.items = made.items[1:]
    made.write()
    return ["tuesday.csv"]


def _item_late(out: Path, made: Service) -> Sequence[str]:
    made.items = [*made.items, ("i8", "Late", "x", 2000)]
    made.write()
    return ["tuesday.csv"]


def _damaged(out: Path, made: Service) -> Sequence[str]:
    (out / "past" / "past.json").write_text("{", encoding="utf-8")
    return ["tuesday.csv"]


def _nothing(out: Path, made: Service) -> Sequence[str]:
    return ["friday.csv"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (_without_past, "--appendable"),
        (_twice, "read before"),
        (_grown, "stay as they were"),
        (_outside, "below the data root"),
        (_item_gone, "no item i0 any more"),
        (_item_late, "because i8 was unknown"),
        (_damaged, "past must be whole"),
        (_nothing, "no such file"),
    ],
)
def test_what_would_differ_from_a_full_run_is_refused_in_one_line(
    tmp_path: Path, fault: Callable[[Path, Service], Sequence[str]], words: str
) -> None:
    """And the data stays as it was."""
    made = service(tmp_path / "files")
    out = tmp_path / "out"
    prepare(made.write(), out, made.folder, appendable=True)
    files = fault(out, made)
    before = DataLayout(out).manifest_path.read_bytes()
    with pytest.raises(TfrecError, match=words) as caught:
        append(out, files, **ADD)
    assert "\n" not in str(caught.value)
    assert DataLayout(out).manifest_path.read_bytes() == before


@pytest.mark.slow
def test_the_command_says_what_came_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command line, with a relative file; `--json` gives counts to a program."""
    made = service(tmp_path / "files")
    preprocess(made.write(), tmp_path / "out", made.folder, appendable=True, **ADD)
    monkeypatch.chdir(made.folder)
    options = ["--max-rejected", "1", "--json", "--", *ONE_WORKER]
    assert main(["append", str(tmp_path / "out"), "tuesday.csv", *options]) == 0
    counts = Manifest.model_validate_json(DataLayout(tmp_path / "out").manifest_path.read_text())
    assert f'"read":{counts.sources["interactions"].read}' in capsys.readouterr().out.replace(
        " ", ""
    )
