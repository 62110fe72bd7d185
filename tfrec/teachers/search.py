"""Greedy coordinate search, bounded by trials and never by a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

__all__ = ["coordinate_search"]

# A step must pay this much, relatively: on 500 users a smaller gain is noise.
MIN_GAIN = 0.004


def coordinate_search(
    start: Mapping[str, float],
    grid: Mapping[str, Sequence[float]],
    evaluate: Callable[[Mapping[str, float]], float],
    *,
    max_trials: int,
    passes: int,
    min_gain: float = MIN_GAIN,
) -> tuple[dict[str, float], float, list[tuple[dict[str, float], float]]]:
    """Moves one coordinate at a time to the best of its options that gains enough.

    Bounded by a number of trials: the same seed must choose the same on a slower machine.

    Args:
        start: The point to begin at.
        grid: Options by coordinate, in the order in which they are tried.
        evaluate: Quality of a point, the greater the better.
        max_trials: Evaluations at most, the first included.
        passes: Rounds over the coordinates at most.
        min_gain: What a step must pay, relatively.

    Returns:
        The best point, its quality, and every trial.

    Example:
        >>> best, value, trials = coordinate_search(
        ...     {"x": 0.0}, {"x": (1.0, 2.0)}, lambda p: 1.0 - abs(p["x"] - 2) / 4,
        ...     max_trials=9, passes=2)
        >>> best, value, len(trials)
        ({'x': 2.0}, 1.0, 3)
    """
    best = dict(start)
    value = evaluate(best)
    trials = [(dict(best), value)]
    done = {tuple(sorted(best.items()))}
    for _ in range(passes):
        moved = False
        for key, options in grid.items():
            found: tuple[dict[str, float], float] | None = None
            for option in options:
                point = {**best, key: option}
                if tuple(sorted(point.items())) in done or len(trials) >= max_trials:
                    continue
                done.add(tuple(sorted(point.items())))
                quality = evaluate(point)
                trials.append((point, quality))
                if quality > max(value * (1 + min_gain), found[1] if found else 0.0):
                    found = point, quality
            if found:
                best, value = found
                moved = True
        if not moved:
            break
    return best, value, trials
