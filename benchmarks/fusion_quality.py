"""Each fusion on MovieLens with posters and plots, known and new films from one training.

Joins the two ready splits into one: films of the cold split's test part are new, all other rows
keep their place in the warm split. So one training answers for both, and a table of every fusion
with three seeds takes less than an hour on two cores. The learned view alone, with in-batch
negatives, few epochs and one batch size: what differs is the fusion.

    TFREC_PRESETS=PRESETS python benchmarks/fusion_quality.py RAW OUT [--seeds 3] [--fusions …]

RAW has the raw files with `splits/warm` and `splits/cold`; `splits/both` is written beside them.
OUT gets the prepared data and `fusions`, where `tfrec compare` leaves report.html and table.md; it
goes on when repeated. The data isn't part of this repository. The last line is one JSON object:
seconds of the whole, of preparing, and how many trainings.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "datasets" / "movielens-ready-split.yaml"
FUSIONS = (
    "concatenation,weighted,matrix,gated,bilinear,low_rank,mlb,mfb,film,mixture,multi_gate,deep,"
    "product_of_experts,self_attention,cross_attention,bottleneck,aligned,disentangled"
)
# Cheap enough for every fusion and seed, and the same for all.
SETTINGS = (
    "closed_form.enabled=false",
    "ids.enabled=false",
    "loss.type=in_batch",
    "loss.negatives=512",
    "training.batch_size=512",
    "training.epochs=6",
)


def rows(root: Path, split: str) -> list[dict[str, str]]:
    """The interactions of a ready split."""
    with (root / "splits" / split / "interactions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_both(root: Path) -> Path:
    """The joined split, in a file beside the ready ones."""
    warm = rows(root, "warm")
    new = {row["item_id"] for row in rows(root, "cold") if row["split"] == "test"}
    path = root / "splits" / "both" / "interactions.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(warm[0]))
        writer.writeheader()
        for row in warm:
            writer.writerow({**row, "split": "test" if row["item_id"] in new else row["split"]})
    return path


def tfrec(*words: str | Path) -> None:
    """Runs a command of tfrec; what it prints is shown."""
    subprocess.run([sys.executable, "-m", "tfrec", *map(str, words)], check=True)


def main() -> None:
    """Prepares, compares and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="the raw files")
    parser.add_argument("out", type=Path, help="prepared data, runs and tables")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    parser.add_argument("--fusions", default=FUSIONS, help="separated by commas")
    arguments = parser.parse_args()
    started = time.perf_counter()
    path = write_both(arguments.raw).relative_to(arguments.raw)
    data = arguments.out / "data"
    if not data.exists():
        described = (CONFIG, data, "--data-root", arguments.raw, "--cache", arguments.out / "cache")
        tfrec("preprocess", *described, "--set", f"interactions.path={path}")
    prepared = time.perf_counter()
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    vary = f"item.fusion.type={arguments.fusions}"
    jobs = ("--seeds", str(arguments.seeds), "--jobs", str(arguments.jobs))
    runs = (*jobs, "--out", arguments.out / "fusions")
    tfrec("compare", data, "multimodal", "--vary", vary, *settings, *runs)
    ended = time.perf_counter()
    seconds = {"seconds": round(ended - started), "preparing": round(prepared - started)}
    trainings = arguments.seeds * len(arguments.fusions.split(","))
    print(json.dumps({**seconds, "trainings": trainings}))


if __name__ == "__main__":
    main()
