"""Read items outside a preprocessing run, validated as there: what a served catalogue takes in.

Columns that a file lacks are left out, so that a list of ids is as good a file as a full row.
"""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from preprocessing.decoding import decode_media, require_decoder
from preprocessing.entities import ID, LINE, ReadEntities, columns_of
from preprocessing.media_files import read_media
from preprocessing.paths import DataRoot
from preprocessing.ranges import cut_file, file_columns
from preprocessing.rejecting import Refusals
from preprocessing.spilling import read_table
from tfrec.config import ColumnRules, FeatureConfig
from tfrec.config.dataset import MEDIA
from tfrec.errors import DataError

__all__ = ["AVAILABLE", "RawItems", "read_raw_items"]

# A column of truth values beside the features: whether an item may be recommended now.
AVAILABLE = "available"
_NO_RULES = ColumnRules()
_TRUE, _FALSE = {"1", "true", "yes"}, {"0", "false", "no"}


@dataclass
class RawItems:
    """Items as a file holds them.

    Attributes:
        ids: Distinct, in the order of the file.
        table: Arrow table of the features that the file has columns for; media as paths or bytes.
        available: bool [n], where the file has such a column.
        read: Rows read.
        refusals: Rows and media files refused.
        root: Where media are.
    """

    ids: list[str]
    table: Any
    available: np.ndarray | None
    read: int
    refusals: Refusals
    root: DataRoot
    features: Mapping[str, FeatureConfig] = field(default_factory=dict)

    def batches(self, rows: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        """Cells of chosen rows, a batch at a time.

        Args:
            rows: int [m].
            size: Rows of a batch.

        Yields:
            The batch's rows, and by feature: texts, lists of tags, numbers, lists of numbers, or
            file bytes (of videos: uint8 [frames, height, width, 3]); `None` is missing.
        """
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            chosen = self.table.take(pa.array(part))
            lines = chosen.column(LINE).to_pylist()
            yield (
                part,
                {
                    name: self._media(name, config, chosen.column(name), lines)
                    if config.modality in MEDIA
                    else chosen.column(name).to_pylist()
                    for name, config in self.features.items()
                },
            )

    def _media(self, name: str, config: FeatureConfig, column: Any, lines: list[int]) -> list[Any]:
        by_pattern = config.path is not None
        files = [
            read_media(self.root, cell or {"path": None, "data": None}, by_pattern)
            for cell in column.to_pylist()
        ]
        for file, line in zip(files, lines, strict=True):
            if file.rule:
                self.refusals.add(file.name, line, file.rule, file.received, name)
        data: list[Any] = [file.data or None for file in files]
        if config.modality != "video":
            return data
        frames, valid = decode_media(config, [file.data for file in files])
        return [value if good else None for value, good in zip(frames, valid, strict=True)]


def read_raw_items(
    paths: Sequence[Path],
    id_column: str,
    features: Mapping[str, FeatureConfig],
    root: Path | None = None,
) -> RawItems:
    """Reads items.

    Args:
        paths: CSV, JSON Lines, Parquet or TFRecord files.
        id_column: The column with the id.
        features: By name, as the dataset's description has them.
        root: What media paths are relative to; the folder of the first file unless given.

    Raises:
        DataError: A file has no column of ids, or of truth values another word.
        DescriptionError: A file is missing or of an unknown format.
    """
    home = DataRoot(root or paths[0].resolve().parent)
    files = [DataRoot(p.resolve().parent).sources(glob.escape(p.name), "ITEMS")[0] for p in paths]
    columns = [set(file_columns(file)[0]) for file in files]
    for file, names in zip(files, columns, strict=True):
        if id_column not in names:
            raise DataError(
                file.name,
                f"items have their id in the column `{id_column}`",
                received=", ".join(sorted(names)),
                remedy="Rename the column, or give its name by --id",
            )
    has = set.intersection(*columns)
    narrowed = {name: _narrowed(name, config, id_column, has) for name, config in features.items()}
    found = {name: config for name, config in narrowed.items() if config is not None}
    for name, config in found.items():
        require_decoder(config, name)
    read_too = dict(found)
    if AVAILABLE in has and AVAILABLE not in found:
        read_too[AVAILABLE] = FeatureConfig(modality="categorical")
    refusals, read, parts = Refusals("items"), 0, []
    with tempfile.TemporaryDirectory() as folder:
        for index, file in enumerate(files):
            for number, part in enumerate(cut_file(file, index)):
                output = Path(folder, f"{index}-{number}.arrow")
                task = ReadEntities("", "items", id_column, read_too, _NO_RULES, part, output, 1)
                count, refused = task.run()
                read += count
                refusals.extend(refused)
                parts.append(read_table(output))
        # Copied out of the files, which are about to go.
        table = pa.concat_tables(parts).combine_chunks()
        table = pa.ipc.open_stream(_serialised(table)).read_all()
    ids = table.column(ID).to_pylist()
    first = {item: place for place, item in reversed(list(enumerate(ids)))}
    keep = np.array([first[item] == place for place, item in enumerate(ids)], bool)
    for place in np.flatnonzero(~keep):
        line = table.column(LINE)[int(place)].as_py()
        refusals.add(files[0].name, line, "duplicate_item_id", ids[place], id_column)
    table = table.filter(pa.array(keep))
    available = None
    if AVAILABLE in read_too and AVAILABLE not in found:
        available = _truth(files[0].name, table.column(AVAILABLE).to_pylist())
    return RawItems(table.column(ID).to_pylist(), table, available, read, refusals, home, found)


def _serialised(table: Any) -> Any:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _narrowed(
    name: str, config: FeatureConfig, id_column: str, has: set[str]
) -> FeatureConfig | None:
    """The feature as far as a file has columns for it."""
    if config.path is not None:
        return config if set(columns_of(id_column, {name: config}, _NO_RULES)) <= has else None
    own = tuple(column for column in config.columns(name) if column in has)
    if len(own) > 1 or not own:
        return config.model_copy(update={"column": own}) if own else None
    return config.model_copy(update={"column": own[0]})


def _truth(file: str, cells: list[str | None]) -> np.ndarray:
    words = [(cell or "true").strip().lower() for cell in cells]
    wrong = next((word for word in words if word not in _TRUE | _FALSE), None)
    if wrong is not None:
        raise DataError(
            f"{file}: `{AVAILABLE}`",
            "a cell is true or false, 1 or 0, yes or no",
            received=wrong,
            remedy="Correct it; an empty one counts as true",
        )
    return np.array([word in _TRUE for word in words], bool)
