"""What each idea gives: an ablation on MovieLens with posters and plots, warm and cold.

Trains every row with several seeds by the commands that a person types, asks `tfrec recommend` for
lists of the test users, and lets an independent scorer judge them. The data isn't part of this
repository: the arguments say where it is.

    python benchmarks/quality.py --warm DATA --cold DATA --root RAW --scorer score.py [--seeds 3]

DATA is what `tfrec preprocess configs/datasets/movielens-ready-split.yaml` made of either split,
RAW the raw files with `splits/warm` and `splits/cold`. The rows:

    ids               a history of ids against ids, learned by gradients
    content           content alone, no item has an id
    learned           `multimodal` without its closed form and its view of ids alone
    closed form       `multimodal` without its learned views
    no ids view       `multimodal` without its view of ids alone
    no content        `multimodal` on ids alone, with its closed form
    no text, no image `multimodal` without that modality
    multimodal        the default of `tfrec train`

The last line is one JSON object: mean and deviation of NDCG@20 over the seeds, by row and track.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRACKS = ("warm", "cold")
ROWS: dict[str, tuple[str, ...]] = {
    "ids": ("--config", "ids"),
    "content": ("--config", "content"),
    "learned": ("--set", "closed_form.enabled=false", "--set", "ids.enabled=false"),
    "no ids view": ("--set", "ids.enabled=false"),
    "no content": ("--set", "item.features=[]"),
    "no text": ("--set", "item.features=[poster, genres, year]"),
    "no image": ("--set", "item.features=[text, genres, year]"),
    "multimodal": (),
}
# Nothing but ids can be said of an item nobody has met.
WARM_ONLY = ("ids", "no content")
CLOSED_FORM = "closed form"


def command(*words: str | Path) -> tuple[str, float]:
    """Runs a command; returns what it printed, and its seconds."""
    started = time.perf_counter()
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return done.stdout, time.perf_counter() - started


def tfrec(*words: str | Path) -> float:
    """Runs a command of tfrec; returns its seconds."""
    return command(sys.executable, "-m", "tfrec", *words)[1]


def without_learned(run: Path, copy: Path) -> Path:
    """The same run with the learned views' scores scaled by 0."""
    shutil.copytree(run, copy)
    path = copy / "checkpoints" / "joined.json"
    content = json.loads(path.read_text())
    content["scales"]["neural"] = 0.0
    if "ids" in content["scales"]:
        content["scales"]["ids"] = 0.0
    path.write_text(json.dumps(content))
    return copy


def ndcg(run: Path, root: Path, track: str, scorer: Path) -> float:
    """NDCG@20 of a run's lists by the outside scorer."""
    output, split = run.with_suffix(".parquet"), root / "splits" / track
    words: tuple[str | Path, ...] = ("--split", "test", "--k", "100", "--exclude-seen")
    if track == "cold":
        words = (*words, "--candidates", split / "candidates.txt")
    tfrec("recommend", run, *words, "--output", output)
    printed, _ = command(sys.executable, scorer, output, split)
    return float(json.loads(printed)["ndcg@20"])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--warm", type=Path, required=True, help="prepared data of the warm split")
    parser.add_argument("--cold", type=Path, required=True, help="of the cold split")
    parser.add_argument("--root", type=Path, required=True, help="the raw files")
    parser.add_argument("--scorer", type=Path, required=True, help="score.py")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    arguments = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}

    def record(row: str, track: str, value: float) -> None:
        found.setdefault(row, {}).setdefault(track, []).append(value)
        print(f"{row:<12} {track} {value:.4f}", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            for row in arguments.rows:
                for track in TRACKS:
                    if track == "cold" and row in WARM_ONLY:
                        continue
                    run = Path(scratch) / f"{row.replace(' ', '-')}-{track}-{seed}"
                    data = getattr(arguments, track)
                    seconds = tfrec("train", data, run, "--seed", str(seed), *ROWS[row])
                    record(row, track, ndcg(run, arguments.root, track, arguments.scorer))
                    found[row].setdefault("seconds", []).append(seconds)
                    if row == "multimodal":
                        bare = without_learned(run, run.with_name(f"bare-{track}-{seed}"))
                        value = ndcg(bare, arguments.root, track, arguments.scorer)
                        record(CLOSED_FORM, track, value)
    table = {
        row: {
            key: {
                "mean": round(statistics.mean(values), 4),
                "deviation": round(statistics.stdev(values), 4) if values[1:] else 0.0,
            }
            for key, values in columns.items()
        }
        for row, columns in found.items()
    }
    print(json.dumps({"seeds": arguments.seeds, "ndcg@20": table}))


if __name__ == "__main__":
    main()
