"""Read and validate a range of items or users: ids, and one typed column a feature."""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from preprocessing.batches import RawBatch
from preprocessing.cells import as_embedding, as_identifier, as_number, as_tags, as_text
from preprocessing.quality import check_columns
from preprocessing.ranges import ReadRange
from preprocessing.rejecting import Refusals, RowCheck
from preprocessing.spilling import PartitionedWriter, partition_of
from tfrec.config import ColumnRules, FeatureConfig
from tfrec.config.dataset import MEDIA

__all__ = ["ReadEntities", "columns_of", "entity_schema"]

ID, LINE, FILE = "@id", "@line", "@file"
MEDIA_FIELDS = ["path", "data"]


@dataclass(frozen=True)
class ReadEntities:
    """Reads one range of items or users: a task.

    Attributes:
        key: Unique among the ranges of the source.
        source: `items` or `users`.
        id_column: The column with the id.
        features: Features by name.
        rules: Ranges and allowed values of columns.
        range: What to read.
        output: The Arrow file; for users one batch a partition.
        partitions: Partitions of users; 1 for items, which keep the order of their file.
    """

    key: str
    source: str
    id_column: str
    features: dict[str, FeatureConfig]
    rules: ColumnRules
    range: ReadRange
    output: Path
    partitions: int

    def run(self) -> tuple[int, Refusals]:
        """Rows read, and those refused."""
        refusals = Refusals(self.source)
        schema = entity_schema(self.features)
        writer = PartitionedWriter(self.output, schema, self.partitions)
        read = 0
        for batch in self.range.read(columns_of(self.id_column, self.features, self.rules)):
            read += batch.read
            table = self._validate(batch, refusals)
            places = partition_of(table.column(ID).combine_chunks(), self.partitions)
            writer.add(table, places)
        writer.close()
        return read, refusals

    def _validate(self, batch: RawBatch, refusals: Refusals) -> Any:
        check = RowCheck(batch, self.range.file.name, refusals)
        raw = batch.columns[self.id_column]
        ids, empty, torn = as_identifier(raw)
        check.refuse(empty, f"empty_{self.source[:-1]}_id", raw, self.id_column)
        check.refuse(torn, "bad_id", raw, self.id_column)
        check_columns(check, batch.columns, self.rules)
        columns = {ID: ids}
        for name, feature in self.features.items():
            columns[name] = self._feature(name, feature, batch, check)
        columns[LINE] = pa.array(batch.lines)
        columns[FILE] = pa.array(np.full(batch.rows, self.range.index, np.int32))
        return pa.table(columns).filter(pa.array(check.kept))

    def _feature(self, name: str, feature: FeatureConfig, batch: RawBatch, check: RowCheck) -> Any:
        cells = [batch.columns[column] for column in _own_columns(name, feature)]
        modality = feature.modality
        if modality == "numeric":
            numbers, wrong = as_number(cells[0])
            check.refuse(wrong, "bad_number", cells[0], name)
            if feature.transform == "log1p":
                check.refuse(numbers <= -1, "bad_number", cells[0], name)
            return pa.array(numbers, mask=np.isnan(numbers))
        if modality == "tags":
            return as_tags(cells[0], feature.separator)
        if modality == "embedding":
            dimension = feature.dimension or 0
            vectors, present, wrong = as_embedding(cells[0], feature.separator, dimension)
            check.refuse(wrong, "bad_embedding", cells[0], name)
            flat = pa.array(vectors.reshape(-1))
            return pa.FixedSizeListArray.from_arrays(flat, dimension, mask=pa.array(~present))
        if modality in MEDIA:
            return self._media(feature, batch, cells)
        texts = [as_text(cell) for cell in cells]
        if len(texts) == 1:
            return texts[0]
        # Arrow's "skip" leaves out the whole row where every cell is null.
        none = reduce(pc.and_, map(pc.is_null, texts))
        texts[0] = pc.if_else(none, "", texts[0])
        return as_text(pc.binary_join_element_wise(*texts, ". ", null_handling="skip"))

    def _media(self, feature: FeatureConfig, batch: RawBatch, cells: list[Any]) -> Any:
        """Paths, or the files themselves when the column holds bytes."""
        if feature.path is None:
            if pa.types.is_binary(cells[0].type) or pa.types.is_large_binary(cells[0].type):
                return pa.StructArray.from_arrays(
                    [pa.nulls(batch.rows, pa.string()), cells[0].cast(pa.binary())], MEDIA_FIELDS
                )
            paths = as_text(cells[0])
        else:
            paths = _fill_pattern(feature.path, batch)
        return pa.StructArray.from_arrays([paths, pa.nulls(batch.rows, pa.binary())], MEDIA_FIELDS)


def columns_of(id_column: str, features: dict[str, FeatureConfig], rules: ColumnRules) -> list[str]:
    """The source columns that an id, features and rules need, each once."""
    names = [id_column, *rules.rule_columns]
    for name, feature in features.items():
        names += _own_columns(name, feature)
        if feature.path is not None:
            names += _placeholders(feature.path)
    return list(dict.fromkeys(names))


def entity_schema(features: dict[str, FeatureConfig]) -> Any:
    """The Arrow schema of validated items or users."""
    media = pa.struct([("path", pa.string()), ("data", pa.binary())])
    kinds = {
        "text": pa.string(),
        "categorical": pa.string(),
        "tags": pa.list_(pa.string()),
        "numeric": pa.float64(),
        "image": media,
        "audio": media,
        "video": media,
    }
    fields = [(ID, pa.string())]
    for name, feature in features.items():
        vector = pa.list_(pa.float32(), feature.dimension or 1)
        fields.append((name, kinds.get(feature.modality, vector)))
    return pa.schema([*fields, (LINE, pa.int64()), (FILE, pa.int32())])


def _own_columns(name: str, feature: FeatureConfig) -> tuple[str, ...]:
    return () if feature.path is not None else feature.columns(name)


def _placeholders(pattern: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(pattern) if name]


def _fill_pattern(pattern: str, batch: RawBatch) -> Any:
    parts: list[Any] = []
    for literal, name, _, _ in string.Formatter().parse(pattern):
        if literal:
            parts.append(pa.array([literal] * batch.rows, pa.string()))
        if name:
            filled = as_identifier(batch.columns[name])[0]
            parts.append(pc.if_else(pc.equal(pc.binary_length(filled), 0), None, filled))
    return pc.binary_join_element_wise(*parts, "", null_handling="emit_null")
