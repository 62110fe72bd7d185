"""Further inputs: damaged TFRecords, media in tars, ids of other types."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from PIL import Image

from preprocessing.orphans import explain_orphans
from preprocessing.spilling import write_table
from preprocessing.tfrecord_reading import read_tfrecords
from tests.preprocessing.service import Service, items_of, prepare, rejected_of
from tfrec.errors import DataError, DescriptionError, RejectedRowsError

JPEG = io.BytesIO()
Image.new("RGB", (20, 20), (200, 0, 0)).save(JPEG, "JPEG")


def example(**values: object) -> bytes:
    features = {}
    for name, value in values.items():
        kept = value if isinstance(value, list) else [value]
        if isinstance(kept[0], int):
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=kept))
        else:
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=kept))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write_records(path: Path, records: list[bytes]) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def read(path: Path, *columns: str) -> list[object]:
    (batch,) = read_tfrecords(str(path), path.name, False, columns)
    values = [batch.columns[name].to_pylist() for name in columns]
    return [*values, [(row.line, row.rule) for row in batch.broken], batch.lines.tolist()]


def test_pictures_stay_bytes_and_texts_become_text(tmp_path: Path) -> None:
    path = tmp_path / "items.tfrecord"
    jpeg = JPEG.getvalue()
    write_records(path, [example(id=1, photo=jpeg, tags=[b"a", b"b"]), example(id=2, name=b"x")])
    ids, photos, tags, names, broken, lines = read(path, "id", "photo", "tags", "name")
    assert (ids, photos, tags) == ([1, 2], [jpeg, None], [["a", "b"], None])
    assert (names, broken, lines) == ([None, "x"], [], [1, 2])


def test_a_record_with_wrong_data_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    """One bit in the second record: the first and the third are whole."""
    path = tmp_path / "items.tfrecord"
    write_records(path, [example(id=1), example(id=2, name=b"flipped"), example(id=3)])
    data = path.read_bytes()
    path.write_bytes(data.replace(b"flipped", b"flipper"))
    ids, broken, lines = read(path, "id")
    assert (ids, broken, lines) == ([1, 3], [(2, "malformed_row")], [1, 3])


@pytest.mark.parametrize("keep", [-3, -20])
def test_a_cut_tfrecord_is_told(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "items.tfrecord"
    write_records(path, [example(id=1), example(id=2)])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"items\.tfrecord \(record 2\): the file must be a whole"):
        read(path, "id")


def tar_of(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def service_with_tar(folder: Path, path: str = "media/covers.tar/{item_id}.jpg") -> Service:
    service = Service.of_three_users(folder)
    cover = {"modality": "image", "path": path, "size": [8, 8]}
    service.description = {"items": {"features": {"cover": cover}}}
    (folder / "media").mkdir(parents=True)
    return service


def test_media_are_read_from_a_tar(tmp_path: Path) -> None:
    """By pattern through the tar: one there, one damaged, two absent; `./` before a name or not."""
    service = service_with_tar(tmp_path / "raw")
    members = {"./a.jpg": JPEG.getvalue(), "b.jpg": b"no picture", "other/c.jpg": b"x"}
    tar_of(tmp_path / "raw" / "media" / "covers.tar", members)
    manifest = service.prepare(tmp_path / "out")
    items = items_of(tmp_path / "out")
    assert [items[name]["cover/present"] for name in "abcd"] == [[1], [0], [0], [0]]
    counts = manifest.media["cover"]
    assert (counts.read, counts.written, counts.rejected) == (2, 1, 1)
    assert rejected_of(tmp_path / "out", "media")[0]["file"] == "media/covers.tar/b.jpg"


def test_a_damaged_tar_costs_its_media_alone(tmp_path: Path) -> None:
    service = service_with_tar(tmp_path / "raw")
    (tmp_path / "raw" / "media" / "covers.tar").write_bytes(b"no tar at all" * 100)
    service.prepare(tmp_path / "out")
    refused = rejected_of(tmp_path / "out", "media")
    assert [row["rule"] for row in refused] == ["unreadable_media"] * 4
    assert "no whole uncompressed tar" in refused[0]["received"]


def test_a_compressed_tar_is_told_before_anything_is_read(tmp_path: Path) -> None:
    service = service_with_tar(tmp_path / "raw", "media/covers.tar.gz/{item_id}.jpg")
    with pytest.raises(DescriptionError, match="uncompressed"):
        service.prepare(tmp_path / "out")


def test_ids_of_other_types_join_and_are_reported(tmp_path: Path) -> None:
    """Floats in Parquet, digits with a point in CSV, whole numbers elsewhere: one item each."""
    service = Service.of_three_users(tmp_path / "raw")
    service.items = [(n, f"title {n}", "", 2000) for n in (1, 2)]
    service.interactions = [("7.0", "1.0", 1, 5), ("7.0", "2.0", 2, 5), ("7.0", "1.0", 3, 5)]
    service.description = {"items": {"path": "items.parquet"}}
    config = service.write()
    table = {"item_id": [1.0, 2.0], "title": ["a", "b"], "genres": ["", ""], "year": [1, 2]}
    pq.write_table(pa.table(table), tmp_path / "raw" / "items.parquet")
    said = io.StringIO()
    manifest = prepare(config, tmp_path / "out", tmp_path / "raw", stream=said)
    assert (manifest.items, manifest.users, manifest.rejected) == (2, 1, {})
    line = next(line for line in said.getvalue().splitlines() if "differ in type" in line)
    assert "floating point in items.parquet `item_id`" in line
    assert "number with a point in interactions.csv `item_id`" in line


def test_ids_that_join_to_nothing_are_explained(tmp_path: Path) -> None:
    """`tt001` against 1: refused with the reason, never an empty data set."""
    service = Service.of_three_users(tmp_path / "raw")
    service.items = [(n, f"title {n}", "", 2000) for n in (1, 2)]
    service.interactions = [("u", f"tt00{n}", n, 5) for n in (1, 2)]
    with pytest.raises(RejectedRowsError, match="differ only by what comes before the number"):
        service.prepare(tmp_path / "out", max_rejected=0.5)


def test_only_convincing_explanations_are_given(tmp_path: Path) -> None:
    """Ids of another world get none of the reasons."""
    write_table(tmp_path / "ids.arrow", pa.table({"id": ["apple", "pear"]}))
    (tmp_path / "interactions.jsonl").write_text('{"rule": "unknown_item", "received": "x9"}\n')
    sentence = explain_orphans(tmp_path, tmp_path / "ids.arrow")
    assert sentence is not None and "make them alike" in sentence


def test_an_item_without_any_of_its_texts_keeps_its_row(tmp_path: Path) -> None:
    """Several columns are one text; where all are empty it is missing, and nothing else moves."""
    service = Service.of_three_users(tmp_path / "raw")
    service.items[1] = ("b", "", "", 2000)
    service.description = {
        "items": {"features": {"title": {"modality": "text", "column": ["title", "genres"]}}}
    }
    service.prepare(tmp_path / "out")
    found = {name: item.get("title") for name, item in items_of(tmp_path / "out").items()}
    assert found == {
        "a": [b"Apple pie. food|sweet"],
        "b": None,
        "c": [b"Cider. drink|sweet"],
        "d": [b"Dust"],
    }
