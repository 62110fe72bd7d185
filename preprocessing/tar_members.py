"""Read media from uncompressed tar files: a path leads through the tar, `covers.tar/7.jpg`."""

from __future__ import annotations

import os
import tarfile
import threading
from functools import lru_cache
from pathlib import Path

__all__ = ["read_member", "split_at_tar"]

_LOCK = threading.Lock()


def split_at_tar(path: Path) -> tuple[Path, str] | None:
    """The tar file that a path leads through, and the member's name.

    Args:
        path: A path that isn't a file.

    Returns:
        `None` when no part of the path is a tar file.
    """
    for parent in reversed(path.parents):
        if parent.suffix.lower() == ".tar" and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def read_member(tar: Path, name: str, most: int) -> tuple[bytes, int]:
    """Reads a member.

    Args:
        tar: The tar file, uncompressed.
        name: The member's name, with or without `./` before it.
        most: Bytes that are read at most.

    Returns:
        Its bytes, empty when there are more than `most`, and its size.

    Raises:
        FileNotFoundError: There is no such member, or it is no plain file.
        OSError: The tar is damaged or compressed.
    """
    status = os.stat(tar)
    # One thread reads the headers of a tar, the others wait for them.
    with _LOCK:
        members = _members(str(tar), status.st_size, status.st_mtime_ns)
    if name not in members:
        raise FileNotFoundError(name)
    offset, size = members[name]
    if size > most:
        return b"", size
    with open(tar, "rb") as stream:
        stream.seek(offset)
        data = stream.read(size)
    if len(data) < size:
        raise OSError(f"{tar.name} ends within {name}")
    return data, size


@lru_cache(maxsize=16)
def _members(tar: str, size: int, modified: int) -> dict[str, tuple[int, int]]:
    """Offset and size of each plain file; the last one of a name counts, as tar has it."""
    try:
        with tarfile.open(tar, "r:") as archive:
            return {
                member.name.removeprefix("./"): (member.offset_data, member.size)
                for member in archive
                if member.isreg()
            }
    except tarfile.TarError as error:
        raise OSError(f"{os.path.basename(tar)} is no whole uncompressed tar: {error}") from error
