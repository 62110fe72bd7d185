"""Bring the past of prepared data into a run that adds to it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from preprocessing.catalogue import Catalogue
from preprocessing.interactions import ITEM, ORIGIN, USER, times_path
from preprocessing.ledger import Ledger
from preprocessing.past import link, table_path
from preprocessing.planning import Plan
from preprocessing.rejecting import Refusals
from preprocessing.spilling import PartitionedWriter, partition_of, read_table, save_array
from preprocessing.stages import Stages, replace_file
from tfrec import schema
from tfrec.errors import DataError
from tfrec.schema import DataLayout

__all__ = ["CarryTable", "carry_past", "keep_past"]

# Rules on other events, which are applied anew; rows that broke a rule of their own stay refused.
_APPLIED_ANEW = frozenset(
    {"below_core", "bot_user", "duplicate_event", "summed_event", "superseded_event"}
)
_ORPHANS = frozenset({"orphan_event", "unknown_item"})


def carry_past(
    plan: Plan, out: Path, catalogue: Catalogue, work: Path, stages: Stages, ledger: Ledger
) -> dict[str, list[Path]]:
    """Brings the validated rows of earlier runs into this one.

    Args:
        plan: What is added.
        out: The data that is added to.
        catalogue: As it is now.
        work: Folder of the run.
        stages: Runs the tasks.
        ledger: Gets what was read and refused before.

    Returns:
        Spilled tables of interactions and of comments.

    Raises:
        DataError: A full run would differ: an item has left, or has come after its events.
    """
    tables: dict[str, list[Path]] = {"interactions": [], "comments": []}
    if plan.past is None:
        return tables
    ids = read_table(catalogue.ids).column("id").combine_chunks()
    layout = DataLayout(out)
    if hashlib.sha256(layout.manifest_path.read_bytes()).hexdigest() != plan.mark:
        raise DataError(
            str(out),
            "what is added to stays as it is meanwhile",
            received="another manifest than a moment ago",
            remedy="Run again",
        )
    old = layout.vocabulary(schema.ITEM_ID)
    places = _moved(old, ids, work)
    counts = layout.read_manifest().sources
    tasks = []
    for source, number in plan.past.tables.items():
        if source in counts:
            ledger.count_read(source, counts[source].read)
        refusals = _refused_before(layout, source)
        _check_orphans(refusals, ids)
        ledger.refuse(refusals)
        for place in range(number):
            key = f"{source}-past-{place:06d}"
            tables[source].append(work / source / f"{key}.arrow")
            tasks.append(
                CarryTable(
                    key=key,
                    table=table_path(out, source, place),
                    partitions=plan.partitions,
                    before=plan.past.partitions,
                    places=places,
                    ids=old,
                    output=tables[source][-1],
                )
            )
    list(stages.run("carry", "bring what was read before", tasks))
    return tables


def keep_past(plan: Plan, root: Path, interactions: list[Path], comments: list[Path]) -> None:
    """Keeps the validated rows in prepared data.

    Args:
        plan: What was read.
        root: The data directory.
        interactions: Spilled tables, in order; they are linked, not copied.
        comments: Likewise.
    """
    tables = {"interactions": interactions, "comments": comments}
    for source, paths in tables.items():
        for place, path in enumerate(paths):
            kept = table_path(root, source, place)
            link(path, kept)
            if times_path(path).is_file():
                link(times_path(path), times_path(kept))
    past = plan.remember({source: len(paths) for source, paths in tables.items()})
    replace_file(root / "past" / "past.json", past.model_dump_json(indent=1).encode() + b"\n")


def _moved(old: Path, ids: Any, work: Path) -> Path | None:
    """Where each item of the old catalogue is in the new one; `None` if nothing has moved."""
    before = pa.array(old.read_text(encoding="utf-8").split("\n")[:-1], pa.string())
    places = pc.fill_null(pc.index_in(before, value_set=ids), -1)
    found = places.to_numpy(zero_copy_only=False).astype(np.int32)
    if np.array_equal(found, np.arange(len(found))):
        return None
    path = work / "moved.npy"
    save_array(path, found)
    return path


@dataclass(frozen=True)
class CarryTable:
    """Brings one table of the past into a run: a task.

    Attributes:
        key: Unique among the tables.
        table: In the data that is added to.
        partitions: Of users, now.
        before: Of users, when it was written.
        places: `.npy` int32, the new place of each item in the catalogue, -1 for one that is gone;
            `None` when the catalogue is as it was.
        ids: The old catalogue, one id a line.
        output: The table in the run.
    """

    key: str
    table: Path
    partitions: int
    before: int
    places: Path | None
    ids: Path
    output: Path

    def run(self) -> None:
        """Links the table, or writes it anew when partitions or the catalogue have changed.

        Raises:
            DataError: An item with events or comments has left the catalogue.
        """
        times = times_path(self.table)
        if times.is_file():
            link(times, times_path(self.output))
        if self.places is None and self.partitions == self.before:
            link(self.table, self.output)
            return
        rows = read_table(self.table)
        # As the source has them: what is added up, is added up in the order of a full run.
        rows = rows.take(pc.sort_indices(rows.column(ORIGIN))).combine_chunks()
        if self.places is not None:
            found = np.load(self.places)[rows.column(ITEM).to_numpy()]
            if (found < 0).any():
                lost = rows.column(ITEM)[int(np.argmax(found < 0))].as_py()
                name = self.ids.read_text(encoding="utf-8").split("\n")[lost]
                raise DataError(
                    "items",
                    "items with events stay in the catalogue",
                    received=f"no item {name} any more",
                    remedy="Keep it, or run `tfrec preprocess` over everything",
                )
            place = rows.schema.get_field_index(ITEM)
            rows = rows.set_column(place, rows.schema.field(ITEM), pa.array(found))
        writer = PartitionedWriter(self.output, rows.schema, self.partitions)
        writer.add(rows, partition_of(rows.column(USER).combine_chunks(), self.partitions))
        writer.close()


def _refused_before(layout: DataLayout, source: str) -> Refusals:
    """The rows of a source that stay refused.

    Args:
        layout: The data that is added to.
        source: `interactions` or `comments`.
    """
    refusals = Refusals(source)
    path = layout.rejected / f"{source}.jsonl"
    if path.is_file():
        # Not `splitlines`: a cell may hold a line separator of Unicode.
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            rule = json.loads(line)["rule"]
            if rule not in _APPLIED_ANEW:
                refusals.lines.append(line)
                refusals.rules[rule] += 1
    return refusals


def _check_orphans(refusals: Refusals, catalogue: Any) -> None:
    """Refuses an item that comes after its events: a full run would take them.

    Args:
        refusals: Of earlier runs.
        catalogue: Its ids, an Arrow array.

    Raises:
        DataError: A row was refused for an item that the catalogue has by now.
    """
    if not any(refusals.rules[rule] for rule in _ORPHANS):
        return
    known = set(catalogue.to_pylist())
    for line in refusals.lines:
        row = json.loads(line)
        if row["rule"] in _ORPHANS and row["received"] in known:
            raise DataError(
                f"{row['file']}:{row['line']}",
                "events of an item come after it is in the catalogue",
                received=f"a row that was refused because {row['received']} was unknown",
                remedy="Run `tfrec preprocess` over everything once",
            )
