"""Rows read are rows written and rows refused, whatever the rows are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.preprocessing.service import Service, prepare, records, rejected_of
from tfrec.errors import TfrecError
from tfrec.schema import SPLITS, DataLayout, Manifest

ODD = [
    "",
    " ",
    "a",
    "b",
    "u1",
    "zz",
    "1e3",
    "NaN",
    "-1",
    "1700000000",
    "2024-02-30",
    "é",
    '"',
    "\n",
]
CELL = st.sampled_from(ODD)
SLOW = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def balanced(out: Path, manifest: Manifest) -> None:
    """Counts the files' own rows against the manifest."""
    layout = DataLayout(out)
    written = Counter(
        {
            "items": len(records(layout.item_shards())),
            "interactions": sum(
                len(record["timestamp"])
                for split in SPLITS
                for record in records(layout.timeline_shards(split))
            ),
        }
    )
    for source, counts in manifest.sources.items():
        assert counts.read == counts.written + counts.rejected
        assert counts.rejected == len(rejected_of(out, source))
        if source in written:
            assert counts.written == written[source]
    total = sum(len(rejected_of(out, source)) for source in (*manifest.sources, "media"))
    assert total == sum(manifest.rejected.values())


@pytest.mark.slow
@SLOW
@given(
    items=st.lists(st.tuples(CELL, CELL, CELL, CELL), max_size=5),
    events=st.lists(st.tuples(CELL, CELL, CELL, CELL), max_size=8),
    users=st.lists(st.tuples(CELL, CELL), max_size=4),
    comments=st.lists(st.tuples(CELL, CELL, CELL, CELL), max_size=5),
)
def test_odd_rows_are_written_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    items: list[tuple[str, ...]],
    events: list[tuple[str, ...]],
    users: list[tuple[str, ...]],
    comments: list[tuple[str, ...]],
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    service = Service.of_three_users(folder / "raw")
    service.items += items
    service.interactions += events
    service.users = [("u1", "DE"), *users]
    service.comments = [("u1", "a", "nice", 100), *comments]
    manifest = service.prepare(folder / "out")
    sizes = {
        "items": service.items,
        "interactions": service.interactions,
        "users": service.users,
        "comments": service.comments,
    }
    for source, rows in sizes.items():
        # A row without any value is no row.
        assert manifest.sources[source].read == sum(any(cell != "" for cell in r) for r in rows)
    balanced(folder / "out", manifest)


@pytest.mark.slow
@SLOW
@given(
    name=st.sampled_from(["items.csv", "interactions.csv", "comments.csv"]),
    place=st.floats(0, 1),
    damage=st.binary(min_size=1, max_size=4) | st.sampled_from([b'"', b"\n", b",", b"\r\n", b""]),
    cut=st.integers(0, 30),
)
def test_damaged_files_are_told_or_balanced(
    tmp_path_factory: pytest.TempPathFactory, name: str, place: float, damage: bytes, cut: int
) -> None:
    """Bytes replaced anywhere, the header too: one foreseen line, or balanced books."""
    folder = tmp_path_factory.mktemp("damaged")
    service = Service.of_three_users(folder / "raw")
    service.comments = [("u1", "a", "so, nice", 100), ("u2", "b", 'a "quoted"\nline', 101)]
    config = service.write()
    path = folder / "raw" / name
    data = path.read_bytes()
    at = int(place * len(data))
    path.write_bytes(data[:at] + damage + data[at + cut :])
    try:
        manifest = prepare(config, folder / "out", folder / "raw")
    except TfrecError as error:
        assert "\n" not in str(error)
        assert not (folder / "out").exists()
        return
    balanced(folder / "out", manifest)
