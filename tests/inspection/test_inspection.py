"""Inspection: distances as published, anomalies that are there and no others, a whole page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from tests.records import spec, write_prepared
from tfrec.cli import main
from tfrec.inspection import find_anomalies, jensen_shannon, l_infinity, profile_data
from tfrec.inspection.profile import OTHER

TRAIN = [(user, item, 100 * user + item, 1.0) for user in range(4) for item in range(4)]


def data_in(folder: Path, **changes: Any) -> Path:
    """Four items with a picture, a sound, a year, a genre and a title; four users."""
    values: dict[str, list[Any]] = {
        "cover": [np.full((8, 8, 3), 60 * n, np.uint8) for n in range(4)],
        "clip": [np.arange(800, dtype="<i2") * n for n in range(4)],
        "year": [-1.0, 0.0, 1.0, 2.0],
        "genre": [[2], [2], [3], [1]],
        "title": ["one song", "two <b>songs</b>", "three", "four"],
    }
    values |= changes.pop("values", {})
    specs = [
        spec("cover", "image", size=(8, 8)),
        spec("clip", "audio", sample_rate=1000, seconds=0.8),
        spec("year", "numeric", mean=2000.0, deviation=10.0),
        spec("genre", "categorical", vocabulary="vocabulary/genre.txt", vocabulary_size=4),
        spec("title", "text"),
    ]
    events = {"train": TRAIN, "validation": TRAIN[:3], "test": TRAIN[:5]} | changes.pop(
        "events", {}
    )
    write_prepared(folder, events, items=4, specs=specs, values=values, **changes)
    (folder / "vocabulary" / "genre.txt").write_text("rock\npop\n")
    _name_shards(folder)
    return folder


def _name_shards(folder: Path) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    shard = {"path": "items/items-00000-of-00002", "records": 2, "size": 1, "sha256": ""}
    content["shards"] = [shard]
    path.write_text(json.dumps(content))


def test_jensen_shannon_is_scipys() -> None:
    """SciPy gives its square root, in any base."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = rng.integers(0, 9, (2, 12)) + np.eye(12, dtype=int)[:2]
        expected = jensenshannon(first, second, base=2) ** 2
        assert jensen_shannon(first, second) == pytest.approx(expected, abs=1e-12)


def test_distances_have_their_bounds() -> None:
    """0 for equal shares whatever the totals, 1 for nothing in common, 0 for nothing at all."""
    assert l_infinity({"a": 1, "b": 3}, {"a": 2, "b": 6})[0] == 0
    assert l_infinity({"a": 1}, {"b": 9}) == (1.0, "a")
    assert l_infinity({}, {"b": 9}) == (0.0, "")
    assert jensen_shannon(np.array([1, 2]), np.array([10, 20])) == 0
    assert jensen_shannon(np.zeros(2), np.array([10, 20])) == 0


def test_a_profile_tells_values_as_they_were(tmp_path: Path) -> None:
    """Years before standardisation, genres by name, the one that no vocabulary holds apart."""
    profile = profile_data(data_in(tmp_path / "data"))
    year, genre = profile.entities["items/year"], profile.entities["items/genre"]
    assert year.numbers is not None and year.numbers.tolist() == [1990, 2000, 2010, 2020]
    assert genre.counts == {"rock": 2, "pop": 1, OTHER: 1}
    assert profile.entities["items/title"].numbers.tolist() == [8, 16, 5, 4]
    assert {split: int(c.sum()) for split, c in profile.over_time.items()} == {
        "train": 16,
        "validation": 3,
        "test": 5,
    }


def wheres(profile: Any, against: Any = None) -> set[str]:
    return {a.where for a in find_anomalies(profile, against) if a.level == "warning"}


def test_equal_data_has_no_drift(tmp_path: Path) -> None:
    first, second = (profile_data(data_in(tmp_path / name)) for name in "ab")
    assert wheres(first, second) == set()


def test_each_change_is_found_where_it_is(tmp_path: Path) -> None:
    """A shifted year, another mix of genres, lost covers, fewer events."""
    old = profile_data(data_in(tmp_path / "old"))
    cases = {
        "items/year": {"values": {"year": [5.0, 5.0, 5.0, 6.0]}},
        "items/genre": {"values": {"genre": [[3], [3], [3], [3]]}},
        "items/cover": {"values": {"cover": [None, None, None, np.zeros((8, 8, 3), np.uint8)]}},
        "train events": {"events": {"train": TRAIN[:9]}},
    }
    for where, change in cases.items():
        found = wheres(profile_data(data_in(tmp_path / where.replace("/", "-"), **change)), old)
        assert where in found, (where, found)
    assert "items/year" not in wheres(profile_data(data_in(tmp_path / "same")), old)


def test_an_empty_part_and_a_lost_feature_are_warned_of(tmp_path: Path) -> None:
    lost = {"values": {"title": [None] * 4}, "events": {"validation": []}}
    found = wheres(profile_data(data_in(tmp_path / "data", **lost)))
    assert {"validation", "items/title"} <= found


class _Checker(HTMLParser):
    """Tags must close in order, and nothing may come from elsewhere."""

    VOID = {"meta", "img", "br", "path", "rect", "line"}  # noqa: RUF012 - a constant

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        for name, value in attrs:
            if name in ("src", "href"):
                assert (value or "").startswith("data:")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_shows_what_items_became(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One file: pictures as data, a waveform, tokens escaped; beside the data, not in it."""
    old = data_in(tmp_path / "old")
    new = data_in(tmp_path / "new", values={"genre": [[3], [3], [3], None]})
    before = sorted(path.name for path in new.iterdir())
    assert main(["inspect", str(new), "--against", str(old), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert any(a["where"] == "items/genre" for a in told["anomalies"])
    page = Path(told["page"]).read_text(encoding="utf-8")
    checker = _Checker()
    checker.feed(page)
    assert checker.open == []
    assert sorted(path.name for path in new.iterdir()) == before
    assert page.count("data:image/png;base64,") == 2 and page.count('class="wave"') == 2
    assert "<i>two</i> <i>&lt;</i> <i>b</i>" in page
    assert re.search(r"items/cover.*?0 of 4", page)


def test_what_is_no_data_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path)]) == 1
    assert "prepared data has a manifest.json" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path), "--threshold", "7"]) == 2
