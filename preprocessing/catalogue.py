"""Join the ranges of the items source into the catalogue: one row an item, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from preprocessing.entities import FILE, ID, LINE
from preprocessing.rejecting import Refusals
from preprocessing.spilling import arrow_writer, read_table, write_table
from tfrec.errors import DataError

__all__ = ["Catalogue", "build_catalogue", "write_ids"]

_BATCH = 4096


@dataclass(frozen=True)
class Catalogue:
    """The items.

    Attributes:
        rows: Arrow file of validated rows, without duplicates.
        ids: Arrow file of their ids alone, in the same order.
        size: How many there are.
    """

    rows: Path
    ids: Path
    size: int


def build_catalogue(
    ranges: Sequence[Path], schema: Any, names: Sequence[str], work: Path
) -> tuple[Catalogue, Refusals]:
    """Joins the ranges; of several rows with one id the first is kept.

    Args:
        ranges: Arrow files in the order of the source.
        schema: Of their rows.
        names: File names of the source.
        work: Where to write.

    Raises:
        DataError: No item is left.
    """
    refusals = Refusals("items")
    tables = [read_table(path) for path in ranges]
    table = pa.concat_tables(tables) if tables else schema.empty_table()
    ids = table.column(ID).combine_chunks()
    codes = ids.dictionary_encode().indices.to_numpy()
    first = np.zeros(len(codes), bool)
    first[np.unique(codes, return_index=True)[1]] = True
    if not first.all():
        duplicates = table.select([FILE, LINE, ID]).filter(pa.array(~first))
        for row in duplicates.to_pylist():
            refusals.add(names[row[FILE]], row[LINE], "duplicate_item_id", row[ID])
    if not first.any():
        raise DataError(
            ", ".join(names),
            "the catalogue holds at least one valid item",
            received="none",
            remedy="Look into the rejected rows, or name another file",
        )
    catalogue = Catalogue(work / "catalogue.arrow", work / "item_ids.arrow", int(first.sum()))
    with arrow_writer(catalogue.rows, schema) as writer:
        start = 0
        for part in tables:
            own = part.filter(pa.array(first[start : start + part.num_rows]))
            start += part.num_rows
            writer.write_table(own, max_chunksize=_BATCH)
    write_table(catalogue.ids, pa.table({"id": ids.filter(pa.array(first))}))
    return catalogue, refusals


def write_ids(ids: Any, path: Path) -> None:
    """Writes a vocabulary file, one id a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{name}\n" for name in ids.to_pylist())
