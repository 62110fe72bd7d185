"""The same service gives the same records, whatever its files are."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.preprocessing.service import Service, items_of, prepare, rules_of, timelines_of
from tfrec.config import DatasetConfig
from tfrec.errors import DataError, DescriptionError
from tfrec.schema import Manifest

Rows = list[dict[str, str]]


def _read(path: Path) -> Rows:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _typed(rows: Rows) -> list[dict[str, Any]]:
    """Numbers as numbers, tags as lists, empty cells as null."""
    typed = []
    for row in rows:
        new: dict[str, Any] = {key: value or None for key, value in row.items()}
        for key in ("timestamp", "rating", "year"):
            if new.get(key) is not None:
                new[key] = float(new[key]) if key == "year" else int(new[key])
        if "genres" in new:
            new["genres"] = row["genres"].split("|") if row["genres"] else None
        typed.append(new)
    return typed


def _jsonl(rows: Rows, path: Path) -> None:
    lines = [{k: v for k, v in row.items() if v is not None} for row in _typed(rows)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    data = b"\xef\xbb\xbf" + text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def _parquet(rows: Rows, path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(_typed(rows)), path, row_group_size=3)


def _tfrecord(rows: Rows, path: Path) -> None:
    options = tf.io.TFRecordOptions(compression_type="GZIP" if path.suffix == ".gz" else "")
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for row in _typed(rows):
            features = {}
            for key, value in row.items():
                values = value if isinstance(value, list) else [] if value is None else [value]
                if values and isinstance(values[0], str):
                    texts = [text.encode() for text in values]
                    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
                elif values and isinstance(values[0], int):
                    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
                else:
                    feature = tf.train.Feature(float_list=tf.train.FloatList(value=values))
                features[key] = feature
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


def _csv_of_others(rows: Rows, path: Path) -> None:
    """CRLF, a byte order mark, everything quoted, gzip."""
    text = ",".join(f'"{name}"' for name in rows[0]) + "\r\n"
    text += "".join(",".join(f'"{cell}"' for cell in row.values()) + "\r\n\r\n" for row in rows)
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode()))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("plain")
    return folder, Service.of_three_users(folder / "raw").prepare(folder / "out")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "write"),
    [
        ("jsonl", _jsonl),
        ("jsonl.gz", _jsonl),
        ("parquet", _parquet),
        ("tfrecord", _tfrecord),
        ("tfrecord.gz", _tfrecord),
        ("csv.gz", _csv_of_others),
    ],
)
def test_every_format_gives_equal_shards(
    tmp_path: Path,
    plain: tuple[Path, Manifest],
    suffix: str,
    write: Callable[[Rows, Path], None],
) -> None:
    folder, manifest = plain
    for source in ("items", "interactions"):
        write(_read(folder / "raw" / f"{source}.csv"), tmp_path / f"{source}.{suffix}")
    content = Service.of_three_users(tmp_path).content
    for source in ("items", "interactions"):
        content[source]["path"] = f"{source}.{suffix}"
    config = DatasetConfig.model_validate(content)
    assert prepare(config, tmp_path / "out", tmp_path).shards == manifest.shards


def test_a_glob_unites_files(tmp_path: Path, plain: tuple[Path, Manifest]) -> None:
    """Files in the order of their names; each refused row names its own file and line."""
    service = Service.of_three_users(tmp_path / "raw")
    service.write()
    lines = (tmp_path / "raw" / "interactions.csv").read_text().splitlines()
    folder = tmp_path / "raw" / "events"
    folder.mkdir()
    (folder / "1.csv").write_text("\n".join(lines[:5]) + "\n")
    (folder / "2.csv").write_text("\n".join([lines[0], *lines[5:], "u1,zzz,1,5"]))
    service.description = {"interactions": {"path": "events/*.csv"}}
    manifest = service.prepare(tmp_path / "out")
    assert manifest.shards == plain[1].shards
    assert rules_of(tmp_path / "out", "interactions") == [(8, "unknown_item")]


def test_parquet_with_moments_bytes_and_vectors(tmp_path: Path) -> None:
    """Arrow timestamps, media as bytes, vectors as lists, ids as numbers with a gap."""
    pixels = b"BM" + bytes(10)
    items = pa.table(
        {
            "item_id": pa.array([1.0, 2.0, None]),
            "photo": pa.array([pixels, None, None], pa.binary()),
            "vector": pa.array([[1.0, 2.0], [3.0], None], pa.list_(pa.float64())),
        }
    )
    events = pa.table(
        {
            "user_id": pa.array([7, 7]),
            "item_id": pa.array([1, 1]),
            "timestamp": pa.array([1_500, 61_000], pa.timestamp("ms")),
        }
    )
    pq.write_table(items, tmp_path / "items.parquet")
    pq.write_table(events, tmp_path / "events.parquet")
    config = DatasetConfig.model_validate(
        {
            "name": "test",
            "interactions": {"path": "events.parquet"},
            "items": {
                "path": "items.parquet",
                "features": {
                    "photo": {"modality": "image"},
                    "vector": {"modality": "embedding", "dimension": 2},
                },
            },
            "split": {"validation_from": 900, "test_from": 901},
        }
    )
    prepare(config, tmp_path / "out", tmp_path)
    out = tmp_path / "out"
    assert timelines_of(out, "train")["7"]["timestamp"] == [1, 61]
    assert items_of(out)["1"]["vector"] == [1.0, 2.0]
    assert rules_of(out, "items") == [(2, "bad_embedding"), (3, "empty_item_id")]
    assert rules_of(out, "media") == [(1, "unreadable_media")]


# The moment in a gzip header would give a test another name in each worker.
CUT_GZIP = gzip.compress(b"item_id,title,genres,year\na,b,c,1\n", mtime=0)[:-9]


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("items.parquet", b"PAR1 no more", "must be whole Parquet"),
        ("items.csv.gz", b"\x1f\x8b\x08 no more", "must be whole gzip"),
        ("items.csv.gz", CUT_GZIP, "gzip"),
        ("items.jsonl", b"no json\n", "a JSON Lines file holds one object a line"),
        ("items.jsonl", b"", "an empty file"),
    ],
)  # fmt: skip
def test_damaged_files_are_told(tmp_path: Path, name: str, data: bytes, text: str) -> None:
    service = Service.of_three_users(tmp_path / "raw")
    service.description = {"items": {"path": name}}
    config = service.write()
    (tmp_path / "raw" / name).write_bytes(data)
    with pytest.raises(DataError, match=text) as caught:
        prepare(config, tmp_path / "out", tmp_path / "raw")
    assert name in str(caught.value)


def test_json_lines_may_leave_keys_out_but_not_ids(tmp_path: Path) -> None:
    service = Service.of_three_users(tmp_path / "raw")
    service.description = {"items": {"path": "items.jsonl"}}
    config = service.write()
    path = tmp_path / "raw" / "items.jsonl"
    path.write_text('{"item_id": "a"}\n{"item_id": 5, "title": "x"}\n[1]\n\n{"item_id": "b"\n')
    prepare(config, tmp_path / "out", tmp_path / "raw")
    assert list(items_of(tmp_path / "out")) == ["a", "5"]
    broken = [(3, "malformed_row"), (5, "malformed_row")]
    assert rules_of(tmp_path / "out", "items") == broken
    path.write_text('{"id": "a"}\n')
    with pytest.raises(DescriptionError, match="a column `item_id`"):
        prepare(config, tmp_path / "out2", tmp_path / "raw")
