"""`tfrec query`: asks a server and prints a ranked table."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrec.errors import DescriptionError

if TYPE_CHECKING:
    from serving.explained import Condition, Explained

SUMMARY = "Ask a server, embedded or stock, for recommendations over gRPC."
EXAMPLES = [
    "tfrec query 127.0.0.1:8500 --user 42 --k 10",
    "tfrec query 127.0.0.1:8500 --history song-3,song-9 --exclude song-1 --model songs",
    "tfrec query 127.0.0.1:8500 --user 42 --explain",
    "tfrec query 127.0.0.1:8500 --user 42 --where genres=rock,jazz --where year=1990..",
    "tfrec query 127.0.0.1:8500 --search 'a boy wizard goes to school' --k 5",
    "tfrec query 127.0.0.1:8500 --user 42 --json",
]

# Every signature but one takes an id; this is nobody's, so that a history stands for itself.
_NOBODY = "somebody new"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("target", metavar="HOST:PORT", help="the server's gRPC port")
    parser.add_argument("--user", help="the user's id; without one, --history says what was liked")
    parser.add_argument("--search", metavar="TEXT", help="items by title, or by what they're about")
    parser.add_argument("--k", type=int, default=10, help="how many items (%(default)s)")
    parser.add_argument(
        "--history", type=_ids, default=[], metavar="ID,ID", help="items in time order"
    )
    parser.add_argument(
        "--exclude", type=_ids, default=[], metavar="ID,ID", help="items never to return"
    )
    parser.add_argument(
        "--where",
        action="append",
        type=_condition,
        default=[],
        metavar="FEATURE=VALUE,… or FEATURE=LEAST..MOST",
        help="only items that have one of the values, or a number in the range; may be repeated",
    )
    parser.add_argument(
        "--explain", action="store_true", help="tell why, and what each score is made of"
    )
    parser.add_argument("--model", help="the model's name (asked from an embedded server)")
    parser.add_argument("--label", default="", help="a version label instead of the latest version")
    parser.add_argument(
        "--timeout", type=float, default=5.0, metavar="SECONDS", help="deadline (%(default)s)"
    )
    parser.add_argument("--tls-ca", type=Path, metavar="FILE", help="authority of the server, PEM")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="own certificate, PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, PEM")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Asks once."""
    _check_who(arguments)
    if arguments.k < 1:
        raise DescriptionError("--k", "at least one item must be asked for", received=arguments.k)
    host, _, port = arguments.target.rpartition(":")
    if not host or not port.isdigit():
        raise DescriptionError(
            "HOST:PORT",
            "a server's address is a host, a colon and a port",
            received=arguments.target,
            remedy="For example 127.0.0.1:8500",
        )
    where: dict[str, Condition] = {}
    for feature, condition in arguments.where:
        if feature in where:
            raise DescriptionError(
                "--where",
                "a feature has one condition",
                received=f"{feature} twice",
                remedy="List values with commas: genres=rock,jazz",
            )
        where[feature] = condition
    from serving.client import CallOptions, Client, Tls

    secure = arguments.tls_ca or arguments.tls_cert or arguments.tls_key
    tls = Tls(arguments.tls_ca, arguments.tls_cert, arguments.tls_key) if secure else None
    call = CallOptions(timeout=arguments.timeout)
    with Client(
        arguments.target, model=arguments.model, call=call, label=arguments.label, tls=tls
    ) as client:
        name = client.model
        started = time.perf_counter()
        if arguments.search is not None:
            answer = client.search(arguments.search, arguments.k, exclude=arguments.exclude)
        else:
            answer = client.recommend(
                arguments.user or _NOBODY,
                arguments.k,
                history=arguments.history,
                exclude=arguments.exclude,
                where=where,
            )
        milliseconds = (time.perf_counter() - started) * 1000
        reasons = []
        if arguments.explain and answer.item_ids:
            reasons = client.explain(
                arguments.user or _NOBODY,
                arguments.k,
                history=arguments.history,
                item_ids=answer.item_ids,
            )
    if arguments.json:
        content: dict[str, Any] = {
            "model": name,
            "version": answer.model_version,
            "item_ids": answer.item_ids,
            "scores": answer.scores,
        }
        if arguments.explain:
            content["explanations"] = [dataclasses.asdict(reason) for reason in reasons]
        print(json.dumps(content, ensure_ascii=False))
        return 0
    width = max(map(len, (*answer.item_ids, "item")))
    print(f"{'rank':>4}  {'item':<{width}}  {'score':>9}")
    for rank, (item, score) in enumerate(zip(answer.item_ids, answer.scores, strict=True), 1):
        print(f"{rank:>4}  {item:<{width}}  {score:>9.4f}")
        if reasons:
            _print_reason(reasons[rank - 1])
    count = len(answer.item_ids)
    items = "1 item" if count == 1 else f"{count} items"
    print(f"{items} from {name} version {answer.model_version} in {milliseconds:.1f} ms")
    return 0


def _check_who(arguments: argparse.Namespace) -> None:
    if arguments.search is not None:
        others = [
            name for name in ("user", "history", "where", "explain") if _given(arguments, name)
        ]
        if others:
            raise DescriptionError(
                "--search",
                "a text finds the same items for everybody",
                received=f"--{others[0]} too",
                remedy="Leave it out; --k and --exclude work",
            )
        if not arguments.search.strip():
            raise DescriptionError("--search", "a text must be given", received="a blank one")
    elif arguments.user is None and not arguments.history:
        raise DescriptionError(
            "--user",
            "a user, a history or a text to search must be given",
            received="none",
            remedy="Add --user ID, --history ID,ID or --search TEXT",
        )


def _given(arguments: argparse.Namespace, name: str) -> bool:
    return getattr(arguments, name) not in (None, False, [])


def _print_reason(found: Explained) -> None:
    print(f"      {found.reason}")
    for title, shares in (("item", found.modalities), ("user", found.query)):
        parts = sorted(shares.items(), key=lambda part: -abs(part[1]))
        shown = ", ".join(f"{name} {share:+.4f}" for name, share in parts if abs(share) >= 5e-5)
        print(f"      {title}: {shown}")
    if found.history:
        causes = ", ".join(f"{item} {share:+.4f}" for item, share in found.history)
        print(f"      history: {causes}")


def _condition(text: str) -> tuple[str, Condition]:
    """`genres=rock,jazz`, or `year=1990..2000`, either bound left out.

    Example:
        >>> _condition("genres=rock,jazz"), _condition("year=1990..")
        (('genres', ['rock', 'jazz']), ('year', (1990.0, None)))
    """
    name, found, value = text.partition("=")
    least, ranged, most = value.partition("..")
    if not found or not name or not value:
        raise argparse.ArgumentTypeError(f"FEATURE=VALUE or FEATURE=LEAST..MOST, not {text}")
    if not ranged:
        return name, _ids(value)
    try:
        low, high = float(least) if least else None, float(most) if most else None
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"a range is of numbers, as 1990..2000, not {value}"
        ) from None
    if low is not None and high is not None and low > high:
        raise argparse.ArgumentTypeError(f"a range goes from the least to the most, not {value}")
    return name, (low, high)


def _ids(text: str) -> list[str]:
    return [part for part in (part.strip() for part in text.split(",")) if part]
