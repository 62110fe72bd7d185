"""`tfrec index tune`: cells and probes of an approximate index, for a recall that is wanted."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tfrec.errors import DataError, DescriptionError

SUMMARY = "Find the fastest approximate index with the recall that is wanted, and show the curve."
EXAMPLES = [
    "tfrec index tune run --target-recall 0.98 --plot curve.png",
    "tfrec index tune vectors.npy --queries queries.npy --kind ivf-int8 --k 20",
    "tfrec index tune run --cells 500 1000 --output index.json --json",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("action", choices=("tune",), help="what to do")
    add("source", metavar="RUN|VECTORS.npy", type=Path, help="a run, or item vectors [items, D]")
    add("--queries", metavar="FILE.npy", type=Path, help="query vectors [queries, D] of VECTORS")
    add("--data", type=Path, help="the prepared data, if it was moved since training")
    add("--target-recall", type=float, default=0.98, help="of the k best items (%(default)s)")
    add("--kind", choices=("ivf", "ivf-int8", "ivf-pq"), default="ivf", help="(%(default)s)")
    add("--k", type=int, default=10, help="items a query asks for (%(default)s)")
    add("--cells", type=int, nargs="+", help="numbers of cells to try (2 and 4 √items)")
    add("--plot", metavar="FILE.png|.svg", type=Path, help="recall against latency, as a picture")
    add("--output", metavar="FILE.json", type=Path, help="writes what was measured and chosen")
    add("--json", action="store_true", help="print one JSON object instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Tunes, prints the curve and what was chosen."""
    from tfrec.index.plotting import plot_tuning
    from tfrec.index.tuning import tune

    out = sys.stderr if arguments.json else sys.stdout
    vectors, queries, excluded = _read(arguments)
    _, tuning = tune(
        vectors,
        queries,
        excluded,
        kind=arguments.kind,
        target=arguments.target_recall,
        k=arguments.k,
        cells=arguments.cells,
        say=lambda line: print(line, file=out, flush=True),
    )
    content = asdict(tuning)
    text = json.dumps(content)
    if arguments.output is not None:
        try:
            arguments.output.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise DescriptionError(
                f"--output {arguments.output}",
                "its folder must exist and be writable",
                received=error.strerror,
                remedy="Make it, or name another",
            ) from error
    if arguments.plot is not None:
        plot_tuning(tuning, arguments.plot)
    if arguments.json:
        print(text)
        return 0
    print(f"\n{'cells':>8} {'probes':>8} {'recall':>8} {'ms':>8}")
    for point in tuning.curve:
        print(f"{point.cells:8} {point.probes:8} {point.recall:8.4f} {point.milliseconds:8.2f}")
    chosen = tuning.chosen
    print(
        f"\n{tuning.kind}: {chosen.cells} cells, {chosen.probes} probes: recall@{tuning.k}"
        f" {chosen.recall:.4f} on held-out queries, {chosen.milliseconds:.2f} ms (exact"
        f" {tuning.exact_milliseconds:.2f} ms), memory {tuning.memory:.2f} of the vectors'"
    )
    return 0


def _read(arguments: argparse.Namespace) -> tuple[Any, Any, Any]:
    source = arguments.source
    if source.suffix == ".npy":
        vectors = _matrix(source)
        if arguments.queries is None:
            raise DescriptionError(
                "--queries",
                "vectors are tuned for queries like those that will be asked",
                received="none",
                remedy="Give --queries FILE.npy",
            )
        queries = _matrix(arguments.queries)
        if queries.shape[1] != vectors.shape[1]:
            raise DescriptionError(
                f"--queries {arguments.queries}",
                "queries are as wide as the vectors",
                received=f"{queries.shape[1]}, where {source} has {vectors.shape[1]}",
                remedy="Give queries of the same model",
            )
        return vectors, queries, None
    from tfrec.export.from_run import serving_source
    from tfrec.export.index_choice import sampled_queries
    from tfrec.training import load_run

    served = serving_source(load_run(source, data=arguments.data), source.name)
    return served.item_vectors, *sampled_queries(served)


def _matrix(path: Path) -> Any:
    import numpy as np

    try:
        matrix = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(
            str(path),
            "it must be a readable NumPy file",
            received=str(error),
            remedy="Write it by numpy.save",
        ) from error
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise DataError(
            str(path),
            "it holds a matrix of floats, a vector a row",
            received=f"{matrix.dtype} of shape {list(matrix.shape)}",
            remedy="Write it by numpy.save",
        )
    return matrix.astype(np.float32, copy=False)
