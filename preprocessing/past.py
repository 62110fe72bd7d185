"""What prepared data keeps so that a day can be added to it without reading the past again.

    OUT/past/past.json                  the files that were read, and how
    OUT/past/interactions-000007.arrow  validated rows of one range, one batch a partition of users
    OUT/past/interactions-000007.times.npy, comments-000000.arrow

These are the spilled tables of `preprocessing.spilling`: rows as validated, before duplicates,
split and quality rules, since all of these may change with what is added.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from preprocessing.spilling import replacing
from tfrec.errors import CorruptDataError, DataError

__all__ = ["Past", "PastFile", "link", "read_past", "table_path"]

_FORMAT = 1


class PastFile(BaseModel):
    """A file that was read.

    Attributes:
        name: Path below the data root.
        size: Bytes.
        weight: Bytes that it counts as when users are divided into partitions.
        source: Which of the united sources of interactions it belongs to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    size: int
    weight: int
    source: int = 0


class Past(BaseModel):
    """What `past.json` says.

    Attributes:
        format: Of the tables.
        root: The data root.
        encode: Whether frozen encoders were run.
        partitions: Batches of each table.
        files: Of interactions and of comments, in order.
        tables: How many tables there are of each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = _FORMAT
    root: str
    encode: bool
    partitions: int = 1
    files: dict[str, tuple[PastFile, ...]]
    tables: dict[str, int]

    def check_unchanged(self, root: Path) -> None:
        """Refuses files that have grown: what was added to them would be left out.

        Raises:
            DataError: One has another size now; a file that is gone is none of our business.
        """
        for files in self.files.values():
            for file in files:
                path = root / file.name
                if path.is_file() and path.stat().st_size != file.size:
                    raise DataError(
                        file.name,
                        "files that were read stay as they were, since they aren't read again",
                        received=f"{path.stat().st_size} bytes, {file.size} when it was read",
                        remedy="Put new events into a file of their own, or run `tfrec preprocess`",
                    )


def read_past(out: Path) -> Past:
    """Reads what prepared data keeps of its past.

    Raises:
        DataError: It keeps none.
        CorruptDataError: It is damaged, or of another version.
    """
    path = out / "past" / "past.json"
    if not path.is_file():
        raise DataError(
            str(out),
            "data that is to be added to was prepared with `--appendable`",
            received="no folder `past` in it",
            remedy="Run `tfrec preprocess --appendable` once",
        )
    try:
        past = Past.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise _corrupt(path, "be whole", str(error).splitlines()[0]) from error
    if past.format != _FORMAT:
        raise _corrupt(path, f"have the format {_FORMAT}", past.format)
    for source, number in past.tables.items():
        for place in range(number):
            table = table_path(out, source, place)
            if not table.is_file():
                raise _corrupt(table, "be there", "no such file")
    return past


def _corrupt(path: Path, rule: str, received: object) -> CorruptDataError:
    remedy = "Run `tfrec preprocess --appendable` again"
    return CorruptDataError(str(path), f"the past must {rule}", received=received, remedy=remedy)


def table_path(out: Path, source: str, place: int) -> Path:
    """Where prepared data keeps one table of its past."""
    return out / "past" / f"{source}-{place:06d}.arrow"


def link(path: Path, target: Path) -> None:
    """A second name for a file that nobody changes; a copy where there are no links."""
    with replacing(target) as partial:
        try:
            os.link(path, partial)
        except OSError:
            shutil.copyfile(path, partial)
