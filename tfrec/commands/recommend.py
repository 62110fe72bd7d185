"""`tfrec recommend`: ranked items for the users of a split, as a Parquet file."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from tfrec.errors import DataError, DescriptionError

SUMMARY = "Rank items for every user of a split, each from the events before the split."
EXAMPLES = [
    "tfrec recommend run --split test --k 100 --exclude-seen --output lists.parquet",
    "tfrec recommend run --split test --k 20 --candidates new.txt --output new.parquet",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("run", metavar="RUN", type=Path, help="what `tfrec train` wrote")
    add("--split", choices=("validation", "test"), default="test", help="whose users (%(default)s)")
    add("--k", type=int, default=100, help="items a user (%(default)s)")
    add("--output", required=True, type=Path, metavar="FILE.parquet", help="where to write")
    add("--candidates", type=Path, metavar="FILE", help="the only items to rank, an id a line")
    add("--exclude-seen", action="store_true", help="leave out what a user did anything with")
    add("--data", type=Path, help="the prepared data, if it was moved since training")
    add("--json", action="store_true", help="print one JSON object instead of a line")


def run(arguments: argparse.Namespace) -> int:
    """Ranks and writes the file whole, or not at all."""
    if arguments.k < 1:
        raise DescriptionError("--k", "a list has at least one item", received=arguments.k)
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tfrec.evaluation.held_out import histories_before, seen_items
    from tfrec.evaluation.top_k import top_k_blocks
    from tfrec.input import Timelines
    from tfrec.training import load_run

    trained = load_run(arguments.run, data=arguments.data)
    targets = Timelines.load(trained.data, arguments.split)
    history = trained.train
    if arguments.split == "test":
        history = Timelines.concatenate(history, Timelines.load(trained.data, "validation"))
    past = histories_before(history, targets)
    if not len(past):
        raise DataError(
            str(trained.data),
            f"the {arguments.split} part must have users",
            received="none",
            remedy="Check `split` in the dataset description",
        )
    ids = trained.items.ids
    queries = trained.query_vectors(past, at=targets.timestamp[targets.offsets[:-1]])
    blocks = top_k_blocks(
        queries,
        trained.item_vectors(),
        arguments.k,
        seen=seen_items(past) if arguments.exclude_seen else None,
        candidates=_candidates(arguments.candidates, ids),
    )
    schema = pa.schema(
        [
            ("user_id", pa.string()),
            ("rank", pa.int32()),
            ("item_id", pa.string()),
            ("score", pa.float32()),
        ]
    )
    partial = arguments.output.with_name(f".{arguments.output.name}.{os.getpid()}")
    rows = 0
    try:
        with pq.ParquetWriter(partial, schema) as writer:
            for users, lists in blocks:
                kept = lists.items >= 0
                counts = kept.sum(1)
                rank = np.broadcast_to(np.arange(1, kept.shape[1] + 1, dtype=np.int32), kept.shape)
                columns = [
                    pa.array(np.repeat(past.user_ids[users], counts), pa.string()),
                    pa.array(rank[kept]),
                    pa.array(ids[lists.items[kept]], pa.string()),
                    pa.array(lists.scores[kept]),
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                rows += int(counts.sum())
        partial.replace(arguments.output)
    except OSError as error:
        raise DataError(
            str(arguments.output), "the output must be writable", received=str(error)
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    told: dict[str, Any] = {"output": str(arguments.output), "users": len(past), "rows": rows}
    if arguments.json:
        print(json.dumps(told))
    else:
        print(f"{arguments.output}: {rows:,} rows for {len(past):,} users")
    return 0


def _candidates(path: Path | None, ids: Any) -> Any:
    if path is None:
        return None
    import numpy as np

    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DescriptionError(
            str(path), "the candidates must be a readable UTF-8 file", received=str(error)
        ) from error
    place = {name: index for index, name in enumerate(ids)}
    wanted = list(dict.fromkeys(name for name in names if name))
    unknown = [name for name in wanted if name not in place]
    if unknown or not wanted:
        raise DataError(
            str(path),
            "each candidate must be an item of the catalogue, and there must be one",
            received=f"{len(unknown):,} unknown of {len(wanted):,}"
            + (f", first {unknown[0]!r}" if unknown else ""),
            remedy="Write one item id a line",
        )
    return np.array(sorted(place[name] for name in wanted))
