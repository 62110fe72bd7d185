"""Adds up logs in this process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tfrec.online.events.reading import read_log
from tfrec.online.measuring import Piece, Sums, add_up, measure
from tfrec.online.settings import Settings
from tfrec.online.sharding import RequestShard, by_request, join_shard, pieces_of_chunk

__all__ = ["sum_logs"]


def sum_logs(files: Sequence[Path], settings: Settings) -> Sums:
    """Reads, joins and measures; the log must fit into memory, else `streaming.sum_logs`.

    Args:
        files: From `events.find_logs`.
        settings: What to measure.
    """
    requests: dict[int, list[RequestShard]] = defaultdict(list)
    users: dict[int, list[Piece]] = defaultdict(list)
    for number, file in enumerate(files):
        for chunk in read_log(file):
            for shard, pair in by_request(chunk, settings.shards):
                requests[shard].append(pair)
            for shard, piece in pieces_of_chunk(chunk, number, settings.shards):
                users[shard].append(piece)
    for shard in sorted(requests):
        for user_shard, piece in join_shard(shard, requests.pop(shard), settings):
            users[user_shard].append(piece)
    return add_up([measure(users[shard], settings) for shard in sorted(users)])
