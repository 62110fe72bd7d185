"""CSV: every line is accounted for, whatever is in it."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from preprocessing import ranges
from preprocessing.csv_reading import parse_csv, read_header
from preprocessing.paths import DataRoot
from preprocessing.ranges import cut_file, scans_for
from tfrec.errors import DataError

CELLS = st.text(st.sampled_from('ab,"\n é😀'), max_size=6)


def written(rows: list[list[str]]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode()


@settings(deadline=None, max_examples=200)
@example([["0", "", "\n"]])
@given(st.lists(st.tuples(st.integers(0, 9).map(str), CELLS, CELLS).map(list), max_size=8))
def test_cells_come_back_as_python_wrote_them(rows: list[list[str]]) -> None:
    """Quotes, commas and line ends within cells survive, and each row knows its line."""
    data = written(rows)
    batch = parse_csv(data, ("i", "t", "u"), ("u", "i"), 1)
    assert batch.columns["u"].to_pylist() == [row[2] for row in rows]
    assert batch.columns["i"].to_pylist() == [row[0] for row in rows]
    starts = [1 + written(rows[:place]).count(b"\n") for place in range(len(rows))]
    assert batch.lines.tolist() == starts
    assert batch.broken == []


@pytest.mark.parametrize(
    ("data", "good", "bad"),
    [
        (b"1,a\n2\n3,c\n", {2: "1", 4: "3"}, [3]),
        (b"1,a\n2,b,c\n3,c", {2: "1", 4: "3"}, [3]),
        (b'1,"x\ny"\n2\n3,c\n', {2: "1", 5: "3"}, [4]),
        (b'1,"a\n2,b\n3,c\n', {3: "2", 4: "3"}, [2]),
        (b'"1,a\n2,b\n3,"c"\n', {3: "2", 4: "3"}, [2]),
        (b'1,5" disc\n2,b\n', {2: "1", 3: "2"}, []),
        (b"1,a\r\n\r\n\r\n2,b\r\n", {2: "1", 5: "2"}, []),
        (b"1,\xff\n2,b\n", {2: "1", 3: "2"}, []),
        (b"\xff\n2,b\n", {3: "2"}, [2]),
        (b"\x00\n2,b\n", {3: "2"}, [2]),
        (b"", {}, []),
    ],
)
def test_damage_costs_its_own_line_only(data: bytes, good: dict[int, str], bad: list[int]) -> None:
    """A missing cell, an unclosed quotation mark, a byte that is no UTF-8: the rest is read."""
    batch = parse_csv(data, ("i", "t"), ("i", "t"), 2)
    ids = batch.columns["i"].to_pylist()
    assert dict(zip(batch.lines.tolist(), ids, strict=True)) == good
    assert [row.line for row in batch.broken] == bad


def test_bytes_that_are_no_utf8_are_marked() -> None:
    batch = parse_csv(b"1,\xff\n2,\xc3\xa9\n3,\xef\xbf\xbd\n", ("i", "t"), ("i", "t"), 2)
    assert batch.not_utf8.tolist() == [True, False, False]
    assert batch.columns["t"].to_pylist() == ["\ufffd", "é", "\ufffd"]


def test_the_header_may_have_a_byte_order_mark_and_quotes() -> None:
    data = b'\xef\xbb\xbf"user\nid",b\r\n1,2\r\n'
    assert read_header(data, "x.csv") == (("user\nid", "b"), 16)


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (b"", "an empty file"),
        (b"\n1,2\n", "an empty first line"),
        (b"a,b,a\n", "`a` more than once"),
        ("a,b\n1,2\n".encode("utf-16"), "b'"),
        (b"a\xff,b\n", "b'a"),
        (b"a,b\r1,2\r", "CR alone"),
    ],
)
def test_a_file_without_a_readable_header_is_refused(data: bytes, received: str) -> None:
    with pytest.raises(DataError, match="x\\.csv") as caught:
        read_header(data, "x.csv")
    assert received in str(caught.value)


@settings(deadline=None, max_examples=200)
@example(rows=[["", ""]], size=8, stray=True)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS).map(list), max_size=12),
    size=st.integers(8, 40),
    stray=st.booleans(),
)
def test_ranges_together_hold_each_row_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], size: int, stray: bool
) -> None:
    """However a file is cut, the ranges' rows and lines are those of the whole."""
    folder = tmp_path_factory.mktemp("cut")
    body = written([["i", "t"], *([str(n), "|".join(row)] for n, row in enumerate(rows))])
    if stray:
        body += b'98,5" disc\n99,end\n'
    (folder / "x.csv").write_bytes(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "RANGE_BYTES", size)
        file = DataRoot(folder).sources("x.csv", "items.path")[0]
        scans = [block.run() for block in scans_for(file, "items", 0)]
        parts = [batch for cut in cut_file(file, 0, scans) for batch in cut.read(("t", "i"))]
        assert len(scans) == max(0, -(-(len(body) - size) // size))
    whole = parse_csv(body.split(b"\n", 1)[1], ("i", "t"), ("t", "i"), 2)
    ids = [value for part in parts for value in part.columns["i"].to_pylist()]
    texts = [value for part in parts for value in part.columns["t"].to_pylist()]
    assert ids == whole.columns["i"].to_pylist()
    assert texts == whole.columns["t"].to_pylist()
    lines = [line for part in parts for line in part.lines.tolist()]
    assert lines == whole.lines.tolist()


def test_gzip_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "RANGE_BYTES", 16)
    rows = [[str(n), "x\n" * (n % 3)] for n in range(30)]
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(written([["i", "t"], *rows])))
    file = DataRoot(tmp_path).sources("*.csv.gz", "items.path")[0]
    (cut,) = cut_file(file, 0, [])
    batches = list(cut.read(("i", "t")))
    assert [v for b in batches for v in b.columns["t"].to_pylist()] == [row[1] for row in rows]
    assert len(batches) > 3


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"i\n1\n")
    file = DataRoot(tmp_path).sources("x.csv", "items.path")[0]
    (cut,) = cut_file(file, 0, [])
    (tmp_path / "x.csv").write_bytes(b"i\n1\n2\n")
    with pytest.raises(DataError, match="stay as it is"):
        list(cut.read(("i",)))


def test_a_row_without_an_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "RANGE_BYTES", 100)
    monkeypatch.setattr(ranges, "ROW_BYTES", 50)
    (tmp_path / "x.csv").write_bytes(b"i\n" + b"1" * 300)
    file = DataRoot(tmp_path).sources("x.csv", "items.path")[0]
    scans = [block.run() for block in scans_for(file, "items", 0)]
    with pytest.raises(DataError, match="a row is at most"):
        [list(cut.read(("i",))) for cut in cut_file(file, 0, scans)]
