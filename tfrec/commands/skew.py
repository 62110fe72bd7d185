"""`tfrec skew`: whether a server answers, and is asked, as the model was trained."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tfrec.errors import DescriptionError

SUMMARY = "Hold a server's answers, and the features in its request log, against a trained run."
EXAMPLES = [
    "tfrec skew run --server 127.0.0.1:8500 --model songs",
    "tfrec skew run --server 127.0.0.1:8500 --least-overlap 0.95   # an approximate index",
    "tfrec skew run --logs requests --threshold 0.1",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("run", metavar="RUN", type=Path, help="what `tfrec train` wrote, and the server serves")
    add("--server", metavar="HOST:PORT", help="gRPC port: ask it for users, and compare the ranks")
    add("--model", metavar="NAME", help="the model's name (asked from an embedded server)")
    add("--users", type=int, default=100, metavar="N", help="how many to ask for (%(default)s)")
    add("--k", type=int, default=20, help="length of their lists (%(default)s)")
    add(
        "--least-overlap",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of the model's list that the server's must hold on average; below 1 for an"
        " approximate index (%(default)s: equal ranks)",
    )
    add("--timeout", type=float, default=30.0, metavar="SECONDS", help="of a call (%(default)s)")
    add(
        "--logs",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="what `tfrec serve --request-log` wrote, a file or a folder; may be repeated",
    )
    add(
        "--threshold",
        type=float,
        default=0.1,
        help="distance of a feature above which it is an alert, 0 to 1 (%(default)s)",
    )
    add("--data", type=Path, metavar="DIR", help="the prepared data, if it was moved")
    add("--json", action="store_true", help="print one JSON object instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Compares; status 1 with an alert."""
    if arguments.server is None and not arguments.logs:
        raise DescriptionError(
            "--server or --logs", "there must be something to compare", received="neither",
            remedy="Name a server, a request log, or both",
        )  # fmt: skip
    if arguments.users < 1 or arguments.k < 1:
        raise DescriptionError(
            "--users and --k", "both are at least 1", received=f"{arguments.users}, {arguments.k}"
        )
    from tfrec.training import load_run

    trained = load_run(arguments.run, data=arguments.data)
    content: dict[str, Any] = {}
    lines: list[str] = []
    alert = False
    if arguments.server is not None:
        ranks, version = _ranks(trained, arguments)
        bad = ranks.alert(arguments.least_overlap)
        alert |= bad
        content["ranks"] = {**ranks.model_dump(), "alert": bad, "version": version}
        first = f"; first of {ranks.first}" if ranks.first else ""
        lines.append(
            f"{'ALERT' if bad else 'ok':<8}ranks: version {version} gives {ranks.equal:,} of"
            f" {ranks.users:,} users the model's list of {ranks.k}{first}; overlap"
            f" {ranks.overlap:.3f}, largest difference of scores {ranks.largest_difference:.1e}"
        )
    if arguments.logs:
        served, features = _features(trained, arguments)
        alert |= any(one.alert for one in features)
        content["features"] = [one.model_dump() for one in features]
        content["requests"] = served.requests
        content["passed_over"] = {"other calls": served.other, "broken": served.broken}
        passed = f"; passed over: {served.other:,} other calls, {served.broken:,} broken records"
        lines.append(
            f"{served.requests:,} requests{passed if served.other or served.broken else ''}"
        )
        lines += [_line(one) for one in features]
        if not features:
            lines.append("no history, profile or context in them: nothing to compare")
    print(json.dumps({"alert": alert, **content}, indent=1) if arguments.json else "\n".join(lines))
    return 1 if alert else 0


def _line(one: Any) -> str:
    at = f", most at {one.at!r}" if one.at else ""
    distance = "nothing to compare" if one.distance is None else f"{one.kind} {one.distance:.3f}"
    return (
        f"{'ALERT' if one.alert else 'ok':<8}{one.feature:<24}{distance}{at}; missing in"
        f" {one.served_missing:.1%}, in training {one.trained_missing:.1%}"
    )


def _ranks(trained: Any, arguments: argparse.Namespace) -> tuple[Any, int]:
    import numpy as np

    from serving.client import CallOptions, Client
    from tfrec.evaluation import seen_items, top_k
    from tfrec.input import Timelines
    from tfrec.online.skew import compare_ranks
    from tfrec.schema import SPLITS

    # A server's stored histories are everything that the data holds.
    everything = Timelines.concatenate(*(Timelines.load(trained.data, split) for split in SPLITS))
    spread = np.linspace(0, len(everything) - 1, min(arguments.users, len(everything)))
    users = everything.select(everything.user_index[spread.astype(int)])
    queries, vectors, seen = trained.query_vectors(users), trained.item_vectors(), seen_items(users)
    expected = top_k(queries, vectors, min(arguments.k, len(vectors)), seen=seen)
    scores = queries @ vectors.T
    scores[seen.row_of, seen.indices] = -np.inf
    answers, version = [], 0
    call = CallOptions(timeout=arguments.timeout)
    with Client(arguments.server, model=arguments.model, call=call) as client:
        for user in users.user_ids:
            answer = client.recommend(str(user), arguments.k)
            answers.append((answer.item_ids, answer.scores))
            version = answer.model_version
    names = [str(user) for user in users.user_ids]
    return compare_ranks(names, expected, scores, trained.items.ids, answers), version


def _features(trained: Any, arguments: argparse.Namespace) -> tuple[Any, Any]:
    from tfrec.input.records import read_lines
    from tfrec.inspection import profile_data
    from tfrec.online.skew import compare_features, read_served, training_distributions
    from tfrec.schema import DataLayout

    manifest, root = trained.manifest, DataLayout(trained.data).root
    groups = {"users": manifest.user_features, "context": manifest.context_features}
    vocabularies = {
        f"{group}/{spec.name}": read_lines(root / spec.vocabulary)
        for group, specs in groups.items()
        for spec in specs
        if spec.vocabulary
    }
    served = read_served(arguments.logs, manifest, trained.items.ids, vocabularies)
    profile = profile_data(trained.data)
    known = training_distributions(
        {**profile.entities, **profile.events["train"]},
        trained.train,
        trained.items.ids,
        trained.history_length,
    )
    features = compare_features(served, known, trained.history_length, arguments.threshold)
    return served, features
