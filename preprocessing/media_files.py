"""Read the files of a media feature, also from tars, each below the root and of bounded size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preprocessing.paths import DataRoot, OutsideRootError
from preprocessing.tar_members import read_member, split_at_tar

__all__ = ["MediaFile", "read_media"]

# Two minutes of uncompressed stereo are 21 MB, a raw photograph 50.
MAX_BYTES = 256 << 20


@dataclass(frozen=True)
class MediaFile:
    """One file of a media feature.

    Attributes:
        data: Its bytes; empty when it is missing or refused.
        name: Its path, for refusals.
        found: Whether there is something, good or bad.
        rule: The rule that it breaks, if any.
        received: What was found instead.
    """

    data: bytes
    name: str = ""
    found: bool = False
    rule: str = ""
    received: str = ""


def read_media(root: DataRoot, cell: dict[str, Any], by_pattern: bool) -> MediaFile:
    """Reads one file.

    Args:
        root: Where it must be.
        cell: `path` or `data`.
        by_pattern: The path was made from a pattern, so an absent file is a missing value. One that
            a column names ought to exist.
    """
    if cell["data"] is not None:
        return MediaFile(cell["data"], "(bytes)", found=True)
    name = cell["path"]
    if name is None:
        return MediaFile(b"")
    try:
        data, size = _read(root.media(name))
        if size > MAX_BYTES:
            return MediaFile(b"", name, True, "media_too_large", f"{size} bytes")
    except OutsideRootError:
        return MediaFile(b"", name, True, "media_outside_root", name)
    except (FileNotFoundError, NotADirectoryError):
        if by_pattern:
            return MediaFile(b"", name)
        return MediaFile(b"", name, True, "media_not_found", "no such file")
    except OSError as error:
        return MediaFile(b"", name, True, "unreadable_media", error.strerror or str(error))
    if not data:
        return MediaFile(b"", name, True, "unreadable_media", "an empty file")
    return MediaFile(data, name, found=True)


def _read(path: Path) -> tuple[bytes, int]:
    """The bytes of a file or of a tar's member, none when there are too many; and how many."""
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        found = split_at_tar(path)
        if found is None:
            raise
        return read_member(*found, MAX_BYTES)
    return (b"" if size > MAX_BYTES else path.read_bytes()), size
