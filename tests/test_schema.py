"""The manifest and the stable hash: damage is told, and equal input gives equal numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tfrec.config import FeatureConfig
from tfrec.errors import CorruptDataError, DataError
from tfrec.fingerprint import fingerprint64, unit_interval
from tfrec.schema import DataLayout, FeatureSpec, schema_fingerprint

MANIFEST: dict[str, Any] = {
    "format_version": 1,
    "dataset": {"name": "x", "interactions": {"path": "a.csv"}, "items": {"path": "b.csv"}},
    "items": 3,
    "warm_items": 2,
    "users": 2,
    "events": {"train": 4},
    "positives": {"train": 3},
    "sources": {"interactions": {"read": 5, "written": 4, "rejected": 1}},
    "item_features": [],
    "shards": [],
    "fingerprint": "0" * 16,
    "versions": {},
}


def test_a_directory_without_a_manifest_is_not_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="tfrec preprocess"):
        DataLayout(tmp_path).read_manifest()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        json.dumps(MANIFEST | {"format_version": 99}),
        json.dumps({k: v for k, v in MANIFEST.items() if k != "items"}),
        json.dumps(MANIFEST | {"surprise": 1}),
    ],
)
def test_a_damaged_manifest_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(CorruptDataError, match="manifest"):
        DataLayout(tmp_path).read_manifest()


def test_a_manifest_reads_back(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    manifest = DataLayout(tmp_path).read_manifest()
    assert manifest.sources["interactions"].read == 5
    with pytest.raises(DataError, match="no item feature is called `photo`"):
        manifest.item_feature("photo")


def test_the_fingerprint_follows_what_a_model_depends_on() -> None:
    """A model refuses data of another vocabulary, and accepts other counts of missing values."""

    def spec(**changes: Any) -> tuple[FeatureSpec, ...]:
        config = FeatureConfig(modality="tags")
        return (FeatureSpec(name="g", modality="tags", config=config, **changes),)

    base = schema_fingerprint(spec(vocabulary_size=5), (), (), 3, 2)
    assert base == schema_fingerprint(spec(vocabulary_size=5, missing=9), (), (), 3, 2)
    assert base != schema_fingerprint(spec(vocabulary_size=6), (), (), 3, 2)
    assert base != schema_fingerprint(spec(vocabulary_size=5), (), (), 4, 2)


def test_hashes_are_equal_in_another_process_and_spread_evenly() -> None:
    """Python salts `hash()` by process; a split must not move between runs."""
    code = "from tfrec.fingerprint import fingerprint64 as f; print(f('user', 7, seed=3))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) == fingerprint64("user", 7, seed=3)
    assert fingerprint64("ab", "c") != fingerprint64("a", "bc")
    values = [unit_interval(i) for i in range(4000)]
    assert all(0 <= value < 1 for value in values)
    counts = [sum(k / 8 <= value < (k + 1) / 8 for value in values) for k in range(8)]
    # 500 expected in each eighth, standard deviation 21: five of them.
    assert max(abs(count - 500) for count in counts) < 105
