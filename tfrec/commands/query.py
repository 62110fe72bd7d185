"""`tfrec query`: asks a server and prints a ranked table."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from tfrec.errors import DescriptionError

SUMMARY = "Ask a server, embedded or stock, for recommendations over gRPC."
EXAMPLES = [
    "tfrec query 127.0.0.1:8500 --user 42 --k 10",
    "tfrec query 127.0.0.1:8500 --history song-3,song-9 --exclude song-1 --model songs",
    "tfrec query 127.0.0.1:8500 --user 42 --json",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("target", metavar="HOST:PORT", help="the server's gRPC port")
    parser.add_argument("--user", help="the user's id")
    parser.add_argument("--k", type=int, default=10, help="how many items (%(default)s)")
    parser.add_argument(
        "--history", type=_ids, default=[], metavar="ID,ID", help="items in time order"
    )
    parser.add_argument(
        "--exclude", type=_ids, default=[], metavar="ID,ID", help="items never to return"
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
    if arguments.user is None and not arguments.history:
        raise DescriptionError(
            "--user",
            "a user or a history must be given",
            received="neither",
            remedy="Add --user ID or --history ID,ID",
        )
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
    from serving.client import CallOptions, Client, Tls

    secure = arguments.tls_ca or arguments.tls_cert or arguments.tls_key
    tls = Tls(arguments.tls_ca, arguments.tls_cert, arguments.tls_key) if secure else None
    call = CallOptions(timeout=arguments.timeout)
    with Client(
        arguments.target, model=arguments.model, call=call, label=arguments.label, tls=tls
    ) as client:
        name = client.model
        started = time.perf_counter()
        answer = client.recommend(
            arguments.user or "",
            arguments.k,
            history=arguments.history,
            exclude=arguments.exclude,
        )
        milliseconds = (time.perf_counter() - started) * 1000
    if arguments.json:
        content = {
            "model": name,
            "version": answer.model_version,
            "item_ids": answer.item_ids,
            "scores": answer.scores,
        }
        print(json.dumps(content, ensure_ascii=False))
        return 0
    width = max(map(len, (*answer.item_ids, "item")))
    print(f"{'rank':>4}  {'item':<{width}}  {'score':>9}")
    for rank, (item, score) in enumerate(zip(answer.item_ids, answer.scores, strict=True), 1):
        print(f"{rank:>4}  {item:<{width}}  {score:>9.4f}")
    count = len(answer.item_ids)
    print(f"{count} items from {name} version {answer.model_version} in {milliseconds:.1f} ms")
    return 0


def _ids(text: str) -> list[str]:
    return [part for part in (part.strip() for part in text.split(",")) if part]
