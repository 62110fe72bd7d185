"""`tfrec ablate`: what a trained run is worth without each of its modalities."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfrec.errors import DescriptionError

SUMMARY = (
    "Take each modality from every item of a trained run and rank the catalogue again: what the"
    " model leans on. Nothing is trained."
)
EXAMPLES = [
    "tfrec ablate run",
    "tfrec ablate run --split validation --max-users 2000 --json | jq .dropped",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("run", metavar="RUN", type=Path, help="what `tfrec train` wrote")
    add(
        "--split",
        choices=("validation", "test"),
        default="test",
        help="held-out part (%(default)s)",
    )
    add("--data", type=Path, metavar="DIR", help="the prepared data, if it was moved")
    add("--max-users", type=int, metavar="N", help="evaluate a sample of the users")
    add("--json", action="store_true", help="print one JSON object instead of the table")


def run(arguments: argparse.Namespace) -> int:
    """Measures and prints."""
    if arguments.max_users is not None and arguments.max_users < 1:
        raise DescriptionError(
            "--max-users", "a sample has at least one user", received=arguments.max_users
        )
    from tfrec.evaluation import HeldOut
    from tfrec.experiments import ablate
    from tfrec.training import load_run

    trained = load_run(arguments.run, data=arguments.data)
    held_out = HeldOut.load(trained.data, arguments.split, max_users=arguments.max_users)
    found = ablate(trained, held_out)
    if arguments.json:
        print(found.model_dump_json(indent=1))
        return 0
    print(f"{found.metric} on the {found.split} part, without minus whole [95 % interval]")
    width = max(len("without"), *map(len, found.dropped))
    for name, parts in found.dropped.items():
        cells = [
            f"{part} {change.whole:.4f} → {change.without:.4f} ({change.difference:+.4f}"
            f" [{change.low:+.4f}, {change.high:+.4f}])"
            for part, change in parts.items()
        ]
        print(f"  {name:<{width}}  {'   '.join(cells)}")
    return 0
