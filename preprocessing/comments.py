"""Read and validate a range of comments, score their sentiment, and spill them by user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from preprocessing.batches import RawBatch
from preprocessing.cells import as_text
from preprocessing.interactions import ITEM, ORIGIN, TIME, USER, find_items, locate, origin_of
from preprocessing.ranges import ReadRange
from preprocessing.rejecting import Refusals, RowCheck
from preprocessing.sentiment import score_texts
from preprocessing.spilling import PartitionedWriter, partition_of, read_table
from tfrec.config import CommentsConfig

__all__ = ["COMMENT_SCHEMA", "ReadComments", "comment_columns"]

TEXT, SENTIMENT = "@text", "@sentiment"
COMMENT_SCHEMA = pa.schema(
    [
        (USER, pa.string()),
        (ITEM, pa.int32()),
        (TIME, pa.int64()),
        (TEXT, pa.string()),
        (SENTIMENT, pa.float32()),
        (ORIGIN, pa.int64()),
    ]
)


@dataclass(frozen=True)
class ReadComments:
    """Reads one range of comments: a task.

    Attributes:
        key: Unique among the ranges.
        config: What the columns mean.
        range: What to read.
        catalogue: The Arrow file with the catalogue's ids in order.
        output: The Arrow file, one batch a partition.
        partitions: Partitions of users.
    """

    key: str
    config: CommentsConfig
    range: ReadRange
    catalogue: Path
    output: Path
    partitions: int

    def run(self) -> tuple[int, Refusals]:
        """Rows read, and those refused."""
        refusals = Refusals("comments")
        ids = read_table(self.catalogue).column("id").combine_chunks()
        writer = PartitionedWriter(self.output, COMMENT_SCHEMA, self.partitions)
        read = 0
        for batch in self.range.read(comment_columns(self.config)):
            read += batch.read
            table = self._validate(batch, refusals, ids)
            users = table.column(USER).combine_chunks()
            writer.add(table, partition_of(users, self.partitions))
        writer.close()
        return read, refusals

    def _validate(self, batch: RawBatch, refusals: Refusals, catalogue: Any) -> Any:
        config = self.config
        check = RowCheck(batch, self.range.file.name, refusals)
        users, items, times = locate(batch, check, config.user, config.item, config.timestamp)
        places = find_items(items, catalogue, check)
        cells = batch.columns[config.text]
        text = pc.fill_null(pc.utf8_trim_whitespace(as_text(cells)), "")
        empty = pc.equal(pc.binary_length(text), 0).to_numpy(zero_copy_only=False)
        check.refuse(empty, "empty_text", cells, config.text)
        kept = pa.array(check.kept)
        table = pa.table(
            {
                USER: users,
                ITEM: pa.array(places),
                TIME: pa.array(times),
                TEXT: text,
                ORIGIN: pa.array(origin_of(self.range.index, batch.lines)),
            }
        ).filter(kept)
        unique = table.column(TEXT).combine_chunks().dictionary_encode()
        scores = score_texts(unique.dictionary.to_pylist())
        scored = pa.array(np.asarray(scores, np.float32)[unique.indices.to_numpy()])
        place = COMMENT_SCHEMA.get_field_index(SENTIMENT)
        return table.add_column(place, SENTIMENT, scored)


def comment_columns(config: CommentsConfig) -> list[str]:
    """The source columns, each once."""
    return list(dict.fromkeys([config.user, config.item, config.text, config.timestamp]))
