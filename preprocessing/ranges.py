"""Cut the files of a source into ranges of whole rows, so that one large file uses every worker.

A text file is cut near every `RANGE_BYTES`; a cut moves to the next end of a row. Whether a byte
lies within a quoted cell, and on which line, depends on all before it: files of several ranges are
scanned first, each block counting its quotation marks and newlines (both at memory speed), and the
running sums tell each range how it starts. Gzip and TFRecord can't be entered in the middle and are
one range. A Parquet row group is a range.

    bytes      0 ────────── 16 MB ────────── 32 MB ─── end
    scan       q=40 n=9000   q=31 n=8800      q=3 n=410
    range 1 starts outside quotes on line 9001; range 2 inside, since 71 is odd, on line 17801
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from preprocessing.batches import RawBatch
from preprocessing.csv_reading import parse_csv, read_header, row_end
from preprocessing.jsonl_reading import first_keys, parse_jsonl
from preprocessing.parquet_reading import open_parquet, read_row_group
from preprocessing.paths import SourceFile
from preprocessing.tfrecord_reading import read_tfrecords, tfrecord_columns
from tfrec.errors import DataError

__all__ = [
    "RANGE_BYTES",
    "Cut",
    "ReadRange",
    "ScanBlock",
    "cut_file",
    "file_columns",
    "last_row_end",
    "scans_for",
    "start_of",
]

# A block of this size takes about a second to parse and validate, and its tables some 100 MB.
RANGE_BYTES = 16 << 20
PARQUET_ROWS = 250_000
# How far a row may go on beyond a cut. A stray quotation mark must not swallow the file.
ROW_BYTES = 4 << 20
_HEADER_BYTES = 1 << 20


@dataclass(frozen=True)
class ScanBlock:
    """Counts what decides how the next range starts: a task for a worker."""

    key: str
    file: SourceFile
    start: int
    stop: int

    def run(self) -> tuple[int, int]:
        """Quotation marks and newlines of the block."""
        with open(self.file.path, "rb") as stream:
            stream.seek(self.start)
            data = stream.read(self.stop - self.start)
        return data.count(b'"'), data.count(b"\n")


@dataclass(frozen=True)
class Cut:
    """A place near which a text file is cut, and the state of the parser there.

    Attributes:
        position: Byte offset.
        quoted: Whether it lies within a quoted cell.
        line: The line number there, from 1.
        exact: Whether a row starts just there; otherwise the cut moves to the next end of a row.
    """

    position: int
    quoted: bool = False
    line: int = 1
    exact: bool = False


@dataclass(frozen=True)
class ReadRange:
    """Whole rows of one file.

    Attributes:
        file: Which file; `index` its place among the files of its source.
        header: Column names of a CSV file.
        start, stop: Cuts of a text file; `stop` is `None` for the last range.
        group, first_row: A Parquet row group and the number of its first row.
    """

    file: SourceFile
    index: int
    header: tuple[str, ...] = ()
    start: Cut = Cut(0, exact=True)
    stop: Cut | None = None
    group: int | None = None
    first_row: int = 1

    def read(self, columns: Sequence[str]) -> Iterator[RawBatch]:
        """Reads the range.

        Args:
            columns: The wanted columns.

        Yields:
            Batches of rows in the order of the file.

        Raises:
            DataError: The file is damaged or has changed.
        """
        self.file.check_unchanged()
        if self.group is not None:
            yield from read_row_group(
                self.file.path, self.file.name, self.group, columns, self.first_row, PARQUET_ROWS
            )
            return
        if self.file.format == "tfrecord":
            yield from read_tfrecords(self.file.path, self.file.name, self.file.compressed, columns)
            return
        for data, line in self._compressed() if self.file.compressed else self._plain():
            if self.file.format == "csv":
                yield parse_csv(data, self.header, columns, line)
            else:
                yield parse_jsonl(data, columns, line)

    def _plain(self) -> Iterator[tuple[bytes, int]]:
        with open(self.file.path, "rb") as stream:
            stream.seek(self.start.position)
            if self.stop is None:
                data, beyond = stream.read(), b""
            else:
                data = stream.read(self.stop.position - self.start.position)
                beyond = stream.read(ROW_BYTES)
        begin = 0 if self.start.exact else self._move((data + beyond)[:ROW_BYTES], self.start)
        if self.stop is not None:
            data += beyond[: self._move(beyond, self.stop)]
        if begin < len(data):
            yield data[begin:], self.start.line + data.count(b"\n", 0, begin)

    def _move(self, data: bytes, cut: Cut) -> int:
        """From a nominal cut to the next end of a row; both neighbours find the same one."""
        end = row_end(data, 0, inside_quotes=cut.quoted and self.file.format == "csv")
        if end is None:
            # A quotation mark that opens nothing has turned the count around. The next line then,
            # whatever is counted, so that no cut moves past where the next one moves to.
            end = data.find(b"\n") + 1 or None
        if end is None and len(data) == ROW_BYTES:
            raise DataError(
                f"{self.file.name}:{cut.line}",
                f"a row is at most {ROW_BYTES >> 20} MB long",
                received="a longer one",
                remedy="Check its line ends and quotation marks",
            )
        return len(data) if end is None else end

    def _compressed(self) -> Iterator[tuple[bytes, int]]:
        line = 1
        rest = b""
        quotes = self.file.format == "csv"
        try:
            with gzip.open(self.file.path, "rb") as stream:
                if quotes:
                    stream.seek(self.start.position)
                    line = self.start.line
                while block := stream.read(RANGE_BYTES):
                    data = rest + block
                    end = last_row_end(data) if quotes else data.rfind(b"\n") + 1
                    rest = data[end:]
                    if end:
                        yield data[:end], line
                        line += data.count(b"\n", 0, end)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(
                self.file.name,
                "the file must be whole gzip",
                received=str(error),
                remedy="Compress it again",
            ) from error
        if rest:
            yield rest, line


def scans_for(file: SourceFile, source: str, index: int) -> list[ScanBlock]:
    """The scans that `cut_file` needs: none for a file that is one range anyway."""
    if file.compressed or file.format in ("parquet", "tfrecord") or file.size <= RANGE_BYTES:
        return []
    starts = range(0, file.size - RANGE_BYTES, RANGE_BYTES)
    return [
        ScanBlock(f"{source}-{index:04d}-{number:06d}", file, start, start + RANGE_BYTES)
        for number, start in enumerate(starts)
    ]


def cut_file(
    file: SourceFile, index: int, scans: Sequence[tuple[int, int]] = ()
) -> tuple[ReadRange, ...]:
    """Cuts a file into ranges.

    Args:
        file: The file.
        index: Its place among the files of its source.
        scans: What `ScanBlock.run` counted, in order.

    Raises:
        DataError: The file is empty or can't be read.
    """
    if file.format == "parquet":
        metadata = open_parquet(file.path, file.name).metadata
        first, ranges = 1, []
        for group in range(metadata.num_row_groups):
            ranges.append(ReadRange(file, index, group=group, first_row=first))
            first += metadata.row_group(group).num_rows
        return tuple(ranges)
    if file.format == "tfrecord":
        return (ReadRange(file, index),)
    header: tuple[str, ...] = ()
    cuts = [Cut(0, exact=True)]
    if file.format == "csv":
        start = start_of(file)
        header, position = read_header(start, file.name)
        cuts = [Cut(position, line=1 + start.count(b"\n", 0, position), exact=True)]
    quotes, line = 0, 1
    for number, (marks, newlines) in enumerate(scans, 1):
        quotes, line = quotes + marks, line + newlines
        if number * RANGE_BYTES > cuts[0].position:
            cuts.append(Cut(number * RANGE_BYTES, bool(quotes % 2), line))
    stops: list[Cut | None] = [*cuts[1:], None]
    return tuple(
        ReadRange(file, index, header, start_cut, stop)
        for start_cut, stop in zip(cuts, stops, strict=True)
    )


def file_columns(file: SourceFile) -> tuple[tuple[str, ...], bool]:
    """The columns of a file.

    Returns:
        Their names, and whether these are all: JSON Lines and TFRecord declare none, so the keys of
        the first rows stand for them.

    Raises:
        DataError: The file is empty or can't be read.
    """
    if file.format == "parquet":
        return tuple(open_parquet(file.path, file.name).schema_arrow.names), True
    if file.format == "tfrecord":
        return tfrecord_columns(file.path, file.name, file.compressed), False
    start = start_of(file)
    if file.format == "csv":
        return read_header(start, file.name)[0], True
    keys = first_keys(start)
    if not keys:
        raise DataError(
            file.name,
            "a JSON Lines file holds one object a line",
            received="an empty file" if not start.strip() else repr(start[:40]),
            remedy="Fill it, or leave the source out of the description",
        )
    return keys, False


def start_of(file: SourceFile) -> bytes:
    """The first megabyte of a text file.

    Raises:
        DataError: It is damaged gzip.
    """
    try:
        with gzip.open(file.path, "rb") if file.compressed else open(file.path, "rb") as stream:
            return bytes(stream.read(_HEADER_BYTES))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            file.name,
            "the file must be whole gzip",
            received=str(error),
            remedy="Compress it again",
        ) from error


def last_row_end(data: bytes) -> int:
    r"""Where the last whole row of a block ends, the block starting outside quotes.

    Example:
        >>> last_row_end(b'1,a\n2,"b\nc')
        4
    """
    marks = data.count(b'"')
    end = len(data)
    while end > 0:
        newline = data.rfind(b"\n", 0, end)
        if newline < 0:
            return 0
        marks -= data.count(b'"', newline, end)
        if marks % 2 == 0:
            return newline + 1
        end = newline
    return 0
