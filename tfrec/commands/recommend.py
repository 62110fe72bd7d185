"""`tfrec recommend`: ranked items for the users of a split, as a Parquet file."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from tfrec.errors import DataError, DescriptionError

SUMMARY = "Write ranked items for the users of a split to a Parquet file."
EXAMPLES = [
    "tfrec recommend run --split test --k 100 --exclude-seen --output lists.parquet",
    "tfrec recommend run --output new.parquet --candidates new_items.txt --k 20",
    "tfrec recommend run --output lists.parquet --json",
]
# Users whose lists are held at once.
_USERS = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("run", metavar="RUN", type=Path, help="what `tfrec train` wrote")
    add(
        "--split",
        choices=("train", "validation", "test"),
        default="test",
        help="whose users; their past is every part before it, or the train part itself for"
        " `train` (%(default)s)",
    )
    add("--k", type=int, default=100, help="items for each user (%(default)s)")
    add(
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="Parquet: user_id, rank (1 is best), item_id, score",
    )
    add(
        "--candidates",
        type=Path,
        metavar="FILE",
        help="text file, an item id a line: only these are recommended",
    )
    add("--exclude-seen", action="store_true", help="leave out what is in the user's past")
    add("--data", type=Path, metavar="DIR", help="the prepared data, if it was moved")
    add("--json", action="store_true", help="print one JSON object instead of a line")


def run(arguments: argparse.Namespace) -> int:
    """Ranks and writes."""
    if arguments.k < 1:
        raise DescriptionError("--k", "a list has at least one item", received=arguments.k)
    if not arguments.output.parent.is_dir():
        raise DescriptionError(
            f"--output {arguments.output}",
            "its folder must exist",
            received=str(arguments.output.parent),
            remedy="Make it, or name another",
        )
    from tfrec.evaluation import histories_before, read_candidates, seen_items, top_k
    from tfrec.input import Timelines
    from tfrec.training import load_run

    trained = load_run(arguments.run, data=arguments.data)
    ids = trained.items.ids
    candidates = None
    if arguments.candidates is not None:
        candidates = read_candidates(arguments.candidates, ids)
    targets = Timelines.load(trained.data, arguments.split)
    history = Timelines.load(trained.data, "train")
    if arguments.split == "test":
        history = Timelines.concatenate(history, Timelines.load(trained.data, "validation"))
    at = None
    if arguments.split != "train":
        at = targets.timestamp[targets.offsets[:-1]]
    vectors = trained.item_vectors()

    import numpy as np

    def blocks() -> Any:
        for start in range(0, len(targets), _USERS):
            some = targets.select(targets.user_index[start : start + _USERS])
            past = histories_before(history, some)
            asked = None if at is None else at[start : start + _USERS]
            found = top_k(
                trained.query_vectors(some, past, at=asked),
                vectors,
                min(arguments.k, len(ids)),
                seen=seen_items(past) if arguments.exclude_seen else None,
                candidates=candidates,
            )
            row, place = np.nonzero(found.items >= 0)
            yield {
                "user_id": some.user_ids[row],
                "rank": (place + 1).astype(np.int32),
                "item_id": ids[found.items[row, place]],
                "score": found.scores[row, place],
            }

    rows = _write(arguments.output, blocks())
    report = {
        "output": str(arguments.output),
        "split": arguments.split,
        "users": len(targets),
        "rows": rows,
        "candidates": len(ids) if candidates is None else len(candidates),
    }
    if arguments.json:
        print(json.dumps(report))
    else:
        print(
            f"{arguments.output}: {rows:,} rows for {len(targets):,} users of the {arguments.split}"
            f" part, from {report['candidates']:,} candidates"
        )
    return 0


def _write(path: Path, blocks: Any) -> int:
    """Writes beside the file and renames: a reader never meets half a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("user_id", pa.string()),
            ("rank", pa.int32()),
            ("item_id", pa.string()),
            ("score", pa.float32()),
        ]
    )
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    rows = 0
    try:
        with pq.ParquetWriter(scratch, schema) as writer:
            for block in blocks:
                batch = pa.table(block, schema=schema)
                writer.write_table(batch)
                rows += batch.num_rows
        scratch.replace(path)
    except OSError as error:
        raise DataError(
            str(path),
            "the file must be writable",
            received=error.strerror,
            remedy="Check space and permissions",
        ) from error
    finally:
        scratch.unlink(missing_ok=True)
    return rows
