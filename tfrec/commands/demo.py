"""`tfrec demo`: from simulated raw files to an answer over gRPC, stage by stage."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

from tfrec.demo import Stage, StageRunner, Tour, Workdir
from tfrec.schema import DataLayout
from tfrec.simulate import SimulationConfig, new_song

SUMMARY = "Walk the whole path: simulate, preprocess, train, evaluate, export, serve, query."
EXAMPLES = [
    "tfrec demo",
    "tfrec demo my-demo --user u00042",
    "tfrec demo small --items 300 --users 400 --seed 7",
]
_NAME = "music"
# A new song is picked from so many, one that the listener could like.
_NEW_SONGS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    default = SimulationConfig()
    add = parser.add_argument
    add(
        "workdir",
        nargs="?",
        type=Path,
        default=Path("tfrec-demo"),
        metavar="WORKDIR",
        help="new or empty, or of a demo that goes on (%(default)s)",
    )
    add("--items", type=int, default=default.items, help="songs (%(default)s)")
    add("--users", type=int, default=default.users, help="listeners (%(default)s)")
    add("--seed", type=int, default=default.seed, help="of the simulation (%(default)s)")
    add("--user", help="whom to recommend to (a listener with a rich taste)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="passed to `tfrec train`, for example training.epochs=3",
    )


def run(arguments: argparse.Namespace) -> int:
    """Walks the path."""
    from serving.client import CallOptions, Client
    from tfrec.config.loading import validate

    sizes = {name: getattr(arguments, name) for name in ("items", "users", "seed")}
    config = validate(sizes, SimulationConfig, where="tfrec demo")
    started = time.monotonic()
    workdir = Workdir(arguments.workdir, {**sizes, "set": arguments.set})
    runner = StageRunner(workdir, sys.stdout)
    service = runner.run(
        Stage(
            "simulate",
            lambda out: [out, *(f"--{name}={value}" for name, value in sizes.items())],
            _NAME,
            _describe_service,
        )
    )
    data = runner.run(
        Stage(
            "preprocess",
            lambda out: [service / "dataset.yaml", out],
            "data",
            _describe_data,
        )
    )
    overrides = [word for text in arguments.set for word in ("--set", text)]
    trained = runner.run(
        Stage("train", lambda out: [data, out, *overrides], "run", _describe_training)
    )
    runner.run(Stage("evaluate", lambda out: [trained], trained / "metrics.json", _describe_report))
    exported = runner.run(
        Stage("export", lambda out: [trained, out / _NAME], "models", _describe_export)
    )
    with (
        runner.serve(exported / _NAME) as address,
        Client(address, model=_NAME, call=CallOptions(timeout=60)) as client,
    ):
        asked = time.monotonic()
        tour = Tour(service, data, client, arguments.user)
        recommended = tour.recommendations()
        song = tour.a_song_to_their_taste([new_song(config, n) for n in range(_NEW_SONGS)])
        arrived = tour.new_song(song)
        runner.tell("query", f"{tour.user} and a new song", time.monotonic() - asked)
    print("", *recommended, "", *arrived, "", sep="\n")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    print(f"whole demo {time.monotonic() - started:.0f} s, largest process {peak:.1f} GB")
    for name, path in (
        ("report", trained / "report.html"),
        ("training plot", trained / "training.png"),
        ("export", exported / _NAME),
    ):
        print(f"  {name:<14} {path}")
    print(f"  serve it again tfrec serve {exported / _NAME}")
    return 0


def _describe_service(service: Path) -> str:
    counts = [
        sum(1 for _ in (service / name).open(encoding="utf-8")) - 1
        for name in ("items.csv", "users.csv", "interactions.csv", "comments.csv")
    ]
    songs, users, events, comments = (f"{count:,}" for count in counts)
    return f"{songs} songs, {users} listeners, {events} events, {comments} comments"


def _describe_data(data: Path) -> str:
    manifest = DataLayout(data).read_manifest()
    events = ", ".join(f"{count:,} {split}" for split, count in manifest.events.items())
    refused = sum(manifest.rejected.values())
    return (
        f"{manifest.items:,} items ({manifest.items - manifest.warm_items:,} new),"
        f" events {events}; {refused:,} refused"
    )


def _describe_training(run: Path) -> str:
    epochs = len(json.loads((run / "history.json").read_text(encoding="utf-8")))
    return f"{epochs} epochs, the best one kept"


def _describe_report(metrics: Path) -> str:
    run = metrics.parent
    blessed = run / "BLESSED"
    if blessed.exists():
        return "blessed: better than the popularity baseline"
    reason = (run / "NOT_BLESSED").read_text(encoding="utf-8").strip()
    return f"not blessed: {reason}"


def _describe_export(models: Path) -> str:
    versions = sorted(path for path in (models / _NAME).iterdir() if path.is_dir())
    size = sum(file.stat().st_size for file in versions[-1].rglob("*") if file.is_file())
    return f"version {versions[-1].name} of {_NAME}, {size / 1e6:.1f} MB, as TF Serving loads it"
