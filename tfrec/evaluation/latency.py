"""How long one question takes, asked alone."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

__all__ = ["LATENCY_REQUESTS", "measure_latency"]

LATENCY_REQUESTS = 50
_WARM_UP = 3


def measure_latency(
    ask: Callable[[int], object],
    users: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Times single questions, after a few that only warm up.

    It bounds a model's cost where it was evaluated; the served graph is timed by `tfrec export`
    and by `benchmarks/serve.py`.

    Args:
        ask: Answers the user at a position.
        users: How many there are; asked in turn.
        clock: Seconds.

    Returns:
        `latency_ms` (median) and `latency_p95_ms`.
    """
    taken = []
    for number in range(_WARM_UP + LATENCY_REQUESTS):
        started = clock()
        ask(number % users)
        taken.append((clock() - started) * 1000)
    kept = np.array(taken[_WARM_UP:])
    return {
        "latency_ms": float(np.median(kept)),
        "latency_p95_ms": float(np.quantile(kept, 0.95)),
    }
