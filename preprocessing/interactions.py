"""Read and validate a range of interactions, and spill them by user.

user_id,item_id,rating,timestamp        user  item  time       label  origin
429,22,4.0,828124615              ──▶   "429"   17  828124615    1.0  file 0, line 2
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from preprocessing.batches import RawBatch
from preprocessing.cells import as_identifier, as_number, as_text, as_timestamp
from preprocessing.quality import check_columns, check_window, parse_window
from preprocessing.ranges import ReadRange
from preprocessing.rejecting import Refusals, RowCheck
from preprocessing.spilling import PartitionedWriter, partition_of, read_table, save_array
from preprocessing.splitting import needs_times
from tfrec.config import FeatureConfig, InteractionsConfig, InteractionsSource, SplitConfig
from tfrec.schema import SPLITS

__all__ = [
    "USER",
    "ReadInteractions",
    "interaction_columns",
    "interaction_schema",
    "locate",
    "origin_of",
]

USER, ITEM, TIME, EVENT = "@user", "@item", "@time", "@event"
LABEL, WEIGHT, DWELL, PART, ORIGIN = "@label", "@weight", "@dwell", "@part", "@origin"
_LINE_BITS = 40


@dataclass(frozen=True)
class ReadInteractions:
    """Reads one range of interactions: a task.

    Attributes:
        key: Unique among the ranges.
        config: What is asked of all sources.
        source: What the columns of this one mean.
        split: A ready-made split is a column as well.
        range: What to read.
        catalogue: The Arrow file with the catalogue's ids in order.
        output: The Arrow file, one batch a partition; `<output>.times.npy` gets the sorted times
            where the cut-off moments are sought among them.
        partitions: Partitions of users.
    """

    key: str
    config: InteractionsConfig
    source: InteractionsSource
    split: SplitConfig
    range: ReadRange
    catalogue: Path
    output: Path
    partitions: int

    def run(self) -> tuple[int, Refusals]:
        """Rows read, and those refused."""
        refusals = Refusals("interactions")
        ids = read_table(self.catalogue).column("id").combine_chunks()
        writer = PartitionedWriter(self.output, interaction_schema(self.config), self.partitions)
        read, times = 0, [np.zeros(0, np.int64)]
        names = interaction_columns(self.source, self.config.context, self.split)
        for batch in self.range.read(names):
            read += batch.read
            table = self._validate(batch, refusals, ids)
            times.append(table.column(TIME).to_numpy())
            users = table.column(USER).combine_chunks()
            writer.add(table, partition_of(users, self.partitions))
        writer.close()
        if needs_times(self.split):
            save_array(times_path(self.output), np.sort(np.concatenate(times)))
        return read, refusals

    def _validate(self, batch: RawBatch, refusals: Refusals, catalogue: Any) -> Any:
        config, source, columns = self.config, self.source, batch.columns
        check = RowCheck(batch, self.range.file.name, refusals)
        users, items, times = locate(batch, check, source.user, source.item, source.timestamp)
        check_columns(check, columns, source)
        check_window(check, times, parse_window(config.since, config.until))
        orphans = "unknown_item" if config.orphans == "refuse" else "orphan_event"
        places = find_items(items, catalogue, check, orphans)
        label = _labels(source, columns, check)
        weight = _numbers(source.weight, 1.0, columns, check)
        check.refuse(weight < 0, "negative_weight", columns.get(source.weight or ""), "weight")
        dwell = _numbers(source.dwell, 0.0, columns, check)
        if source.event is None:
            event = pa.array([source.event_type] * batch.rows, pa.string())
        else:
            event = as_text(columns[source.event])
        table = {
            USER: users,
            ITEM: pa.array(places),
            TIME: pa.array(times),
            EVENT: event,
            LABEL: pa.array(label),
            WEIGHT: pa.array(weight.astype(np.float32)),
            DWELL: pa.array(dwell.astype(np.float32)),
            PART: pa.array(self._parts(columns, check)),
            ORIGIN: pa.array(origin_of(self.range.index, batch.lines)),
        }
        for name, feature in config.context.items():
            column = columns[feature.columns(name)[0]]
            if feature.modality == "categorical":
                table[name] = as_text(column)
                continue
            numbers, wrong = as_number(column)
            if feature.transform == "log1p":
                wrong |= numbers <= -1
            check.refuse(wrong, "bad_number", column, name)
            table[name] = pa.array(numbers, mask=np.isnan(numbers))
        return pa.table(table).filter(pa.array(check.kept))

    def _parts(self, columns: dict[str, Any], check: RowCheck) -> npt.NDArray[np.int8]:
        """The split of each row when a column says it, else -1."""
        if self.split.method != "column":
            return np.full(len(check.refused), -1, np.int8)
        column = columns[self.split.column]
        places = pc.index_in(as_text(column), value_set=pa.array(SPLITS))
        parts = pc.fill_null(places, -1).to_numpy(zero_copy_only=False).astype(np.int8)
        check.refuse(parts < 0, "bad_split", column, self.split.column)
        return parts


def locate(
    batch: RawBatch, check: RowCheck, user: str, item: str, timestamp: str
) -> tuple[Any, Any, npt.NDArray[np.int64]]:
    """User, item and time of each row of interactions or comments; refuses what has none."""
    columns = batch.columns
    ids = []
    for kind, column in (("user", user), ("item", item)):
        values, empty, torn = as_identifier(columns[column])
        check.refuse(empty, f"empty_{kind}_id", columns[column], column)
        check.refuse(torn, "bad_id", columns[column], column)
        ids.append(values)
    times, wrong = as_timestamp(columns[timestamp])
    check.refuse(wrong, "bad_timestamp", columns[timestamp], timestamp)
    return ids[0], ids[1], times


def find_items(
    items: Any, catalogue: Any, check: RowCheck, rule: str = "unknown_item"
) -> npt.NDArray[np.int32]:
    """The catalogue's index of each id; refuses those that it lacks by `rule`."""
    unique = items.dictionary_encode()
    found = pc.fill_null(pc.index_in(unique.dictionary, value_set=catalogue), -1)
    places = found.to_numpy(zero_copy_only=False).astype(np.int32)[unique.indices.to_numpy()]
    check.refuse(places < 0, rule, items, "item")
    return np.asarray(places, np.int32)


def interaction_columns(
    source: InteractionsSource, context: dict[str, FeatureConfig], split: SplitConfig
) -> list[str]:
    """The columns of a source that a description needs, each once."""
    names: list[str | None] = [source.user, source.item, source.timestamp, source.event]
    names += [source.label.column if source.label else None, source.weight, source.dwell]
    names += [split.column if split.method == "column" else None, *source.rule_columns]
    for name, feature in context.items():
        names += feature.columns(name)
    return list(dict.fromkeys(name for name in names if name is not None))


def interaction_schema(config: InteractionsConfig) -> Any:
    """The Arrow schema of validated interactions."""
    fields = [
        (USER, pa.string()),
        (ITEM, pa.int32()),
        (TIME, pa.int64()),
        (EVENT, pa.string()),
        (LABEL, pa.float32()),
        (WEIGHT, pa.float32()),
        (DWELL, pa.float32()),
        (PART, pa.int8()),
        (ORIGIN, pa.int64()),
    ]
    for name, feature in config.context.items():
        fields.append((name, pa.string() if feature.modality == "categorical" else pa.float64()))
    return pa.schema(fields)


def times_path(output: Path) -> Path:
    """Where the sorted times of a range are, for the cut-off moments."""
    return output.with_suffix(".times.npy")


def origin_of(file: int, lines: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """File and line of each row in one number that sorts as the source does."""
    return (np.int64(file) << _LINE_BITS) | lines


def file_and_line(origin: int) -> tuple[int, int]:
    """What `origin_of` joined."""
    return origin >> _LINE_BITS, origin & ((1 << _LINE_BITS) - 1)


def _numbers(
    column: str | None, default: float, columns: dict[str, Any], check: RowCheck
) -> npt.NDArray[np.float64]:
    if column is None:
        return np.full(len(check.refused), default)
    numbers, wrong = as_number(columns[column])
    check.refuse(wrong, "bad_number", columns[column], column)
    return np.where(np.isnan(numbers), default, numbers)


def _labels(
    source: InteractionsSource, columns: dict[str, Any], check: RowCheck
) -> npt.NDArray[np.float32]:
    rule = source.label
    if rule is None:
        return np.full(len(check.refused), source.positive, np.float32)
    column = columns[rule.column]
    if isinstance(rule.value, float):
        numbers, wrong = as_number(column)
        compare = {
            ">=": operator.ge,
            "<=": operator.le,
            "==": operator.eq,
            "!=": operator.ne,
            ">": operator.gt,
            "<": operator.lt,
        }[rule.comparison]
        check.refuse(wrong | np.isnan(numbers), "bad_label", column, rule.column)
        return np.asarray(compare(numbers, rule.value), np.float32)
    unique = pc.fill_null(as_text(column), "").dictionary_encode()
    values = unique.dictionary.to_pylist()
    holds = np.array([bool(value) and rule.holds(value) for value in values], np.float32)
    empty = np.array([not value for value in values], bool)
    codes = unique.indices.to_numpy()
    check.refuse(empty[codes], "bad_label", column, rule.column)
    return np.asarray(holds[codes], np.float32)
