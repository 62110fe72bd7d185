"""Cuts chunks of a log by request, and joined requests by user: the two shuffles of an evaluation.

    read ─ by request id ─▶ join ─ by user id ─▶ measure ─▶ add up
      └──────── exposures, by user id ──────────▲

The same functions run in one process (`local`) and as the stages of a Beam pipeline (`streaming`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfrec.fingerprint import fingerprint64
from tfrec.online.events.ignored import Ignored
from tfrec.online.events.joining import Joined, join
from tfrec.online.events.reading import Chunk, frame
from tfrec.online.experiments.metrics import SUMS
from tfrec.online.measuring import Piece
from tfrec.online.settings import Settings
from tfrec.online.terms import PolicyTerms, policy_terms

__all__ = ["RequestShard", "by_request", "join_shard", "pieces_of_chunk"]

# Frames of impressions and of feedback.
RequestShard = tuple[pd.DataFrame, pd.DataFrame]


def _shards(names: pd.Series, shards: int) -> npt.NDArray[np.int64]:
    """The shard of each name; equal names are hashed once."""
    codes, distinct = pd.factorize(names.to_numpy(object))
    hashed = np.array([fingerprint64("shard", name) % shards for name in distinct], np.int64)
    return hashed[codes] if len(distinct) else np.zeros(len(codes), np.int64)


def by_request(chunk: Chunk, shards: int) -> Iterator[tuple[int, RequestShard]]:
    """The impressions and feedback of a chunk, by shard of their request ids.

    Args:
        chunk: As read.
        shards: How many.
    """
    shown, feedback = chunk.frames["impression"], chunk.frames["feedback"]
    of_shown = _shards(shown["request_id"], shards)
    of_feedback = _shards(feedback["request_id"], shards)
    for shard in range(shards):
        pair = shown[of_shown == shard], feedback[of_feedback == shard]
        if len(pair[0]) or len(pair[1]):
            yield shard, pair


def pieces_of_chunk(chunk: Chunk, order: int, shards: int) -> Iterator[tuple[int, Piece]]:
    """What needs no join: exposures by shard of users, and what could not be read.

    Args:
        chunk: As read.
        order: The file's number.
        shards: How many.
    """
    yield 0, Piece((0, order), ignored=chunk.ignored)
    exposures = chunk.frames["exposure"]
    of_user = _shards(exposures["user_id"], shards)
    for shard in np.unique(of_user):
        yield int(shard), Piece((0, order), exposures=exposures[of_user == shard])


def join_shard(
    shard: int, parts: Iterable[RequestShard], settings: Settings
) -> Iterator[tuple[int, Piece]]:
    """Joins a shard of requests and cuts what comes of it by user.

    Args:
        shard: Its number.
        parts: From all chunks, in any order.
        settings: Reward, clip and skew.
    """
    pairs = list(parts)
    joined = join(
        _stack("impression", [pair[0] for pair in pairs]),
        _stack("feedback", [pair[1] for pair in pairs]),
        settings.reward,
        settings.clock_skew,
    )
    ignored = Ignored().merge([joined.ignored])
    terms = policy_terms(joined, settings.clip, ignored)
    yield 0, Piece((1, shard), ignored=ignored)
    shown = joined.impressions
    requests = joined.sums.assign(user_id=shown["user_id"], timestamp=shown["timestamp"])
    requests = requests[["user_id", "timestamp", *SUMS[1:]]]
    credits = _credits(joined)
    of_user = _shards(requests["user_id"], settings.shards)
    of_credit = _shards(credits["user_id"], settings.shards)
    of_terms = {
        name: _shards(pd.Series(policy.user_id, dtype=object), settings.shards)
        for name, policy in terms.items()
    }
    for user_shard in np.unique(of_user):
        yield (
            int(user_shard),
            Piece(
                (2, shard),
                requests=requests[of_user == user_shard],
                credits=credits[of_credit == user_shard],
                terms={
                    name: PolicyTerms(
                        policy.user_id[of_terms[name] == user_shard],
                        policy.values[of_terms[name] == user_shard],
                        policy.slots,
                    )
                    for name, policy in terms.items()
                },
            ),
        )


def _stack(kind: str, frames: list[pd.DataFrame]) -> pd.DataFrame:
    some = [one for one in frames if len(one)]
    return pd.concat(some, ignore_index=True) if some else frame(kind, [])


def _credits(joined: Joined) -> pd.DataFrame:
    """Credit of each interleaved list: user_id, first, second, credit for the first."""
    rows = []
    teams, users = joined.impressions["teams"], joined.impressions["user_id"]
    start = np.searchsorted(joined.request, np.arange(len(teams) + 1))
    for row in np.flatnonzero(teams.notna().to_numpy(bool)):
        names = sorted(set(teams.iloc[row]))
        if len(names) == 2:
            clicked = joined.clicked[start[row] : start[row + 1]]
            sides = np.array([1 if team == names[0] else -1 for team in teams.iloc[row]])
            rows.append((users.iloc[row], *names, int(sides[clicked].sum())))
    return pd.DataFrame(rows, columns=["user_id", "first", "second", "credit"])
