"""Find source files and media below the data root, and refuse whatever leaves it."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tfrec.errors import DataError, DescriptionError

__all__ = ["SUFFIXES", "DataRoot", "OutsideRootError", "SourceFile"]

Format = Literal["csv", "jsonl", "parquet", "tfrecord"]
SUFFIXES: dict[str, tuple[Format, bool]] = {
    ".csv": ("csv", False),
    ".csv.gz": ("csv", True),
    ".jsonl": ("jsonl", False),
    ".jsonl.gz": ("jsonl", True),
    ".parquet": ("parquet", False),
    ".tfrecord": ("tfrecord", False),
    ".tfrecord.gz": ("tfrecord", True),
}


class OutsideRootError(ValueError):
    """A media path leads out of the data root; the row's media is refused."""


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    Attributes:
        name: Path below the data root, as shown in messages.
        path: Where it is.
        format: How it is read.
        compressed: Whether it is gzip, which can't be read in ranges.
        size: Bytes.
        modified: Nanoseconds; a file that changes while it is read is noticed by it and `size`.
    """

    name: str
    path: str
    format: Format
    compressed: bool
    size: int
    modified: int

    def check_unchanged(self) -> None:
        """Compares the file with what it was when the run began.

        Raises:
            DataError: It has been written since.
        """
        now = os.stat(self.path)
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified):
            raise DataError(
                self.name,
                "a source must stay as it is while it is read",
                received=f"{now.st_size} bytes now, {self.size} at the start",
                remedy="Run again when nothing writes to it",
            )


class DataRoot:
    """The folder that every path of a description is relative to.

    Args:
        root: A local folder.

    Raises:
        DescriptionError: It is no folder.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise DescriptionError(
                str(root),
                "the data root is a folder",
                received="a file" if self.root.exists() else "no such folder",
                remedy="Name the folder that the description's paths are relative to: --data-root",
            )
        self._real = os.path.realpath(self.root)

    def sources(self, pattern: str, field: str, least: int = 1) -> tuple[SourceFile, ...]:
        """Finds the files of a source, in the order of their names.

        Args:
            pattern: A path or glob below the root.
            field: The description's key, for messages.
            least: 0 when none is fine.

        Raises:
            DescriptionError: Nothing matches, a format is unknown, or a file leaves the root.
            DataError: A file can't be read.
        """
        found = [
            path
            for path in sorted(
                glob.glob(os.path.join(glob.escape(str(self.root)), pattern), recursive=True)
            )
            if not os.path.isdir(path)
        ]
        if len(found) < least:
            raise DescriptionError(
                f"{field}: {pattern}",
                f"a source must exist below {self.root}",
                received="no such file",
                remedy="Correct the path, or name another root by --data-root",
            )
        return tuple(self._source(path, field) for path in found)

    def _source(self, path: str, field: str) -> SourceFile:
        name = os.path.relpath(path, self.root)
        if not self._is_inside(path):
            raise DescriptionError(
                f"{field}: {name}",
                "a path stays below the data root",
                received=f"a link to {os.path.realpath(path)}",
                remedy="Copy the file below the root, or name another root by --data-root",
            )
        lowered = name.lower()
        endings = [suffix for suffix in SUFFIXES if lowered.endswith(suffix)]
        if not endings:
            raise DescriptionError(
                f"{field}: {name}",
                "a source is CSV, JSON Lines, Parquet or TFRecord",
                received=os.path.basename(name),
                remedy=f"Name it by one of {', '.join(SUFFIXES)}",
            )
        kind, compressed = SUFFIXES[max(endings, key=len)]
        try:
            with open(path, "rb"):
                pass
            status = os.stat(path)
        except OSError as error:
            raise DataError(
                name,
                "a source must be readable",
                received=error.strerror or str(error),
                remedy="Check its permissions",
            ) from error
        return SourceFile(name, path, kind, compressed, status.st_size, status.st_mtime_ns)

    def media(self, relative: str) -> Path:
        """The path of a media file, which need not exist.

        Raises:
            OutsideRootError: It is absolute, or leads out of the root by `..` or a link.
        """
        if not relative or "\0" in relative or os.path.isabs(relative):
            raise OutsideRootError(relative)
        path = os.path.join(self.root, relative)
        if not self._is_inside(path):
            raise OutsideRootError(relative)
        return Path(path)

    def _is_inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real == self._real or real.startswith(self._real.rstrip(os.sep) + os.sep)
