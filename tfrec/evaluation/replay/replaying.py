"""Retrains by time and asks for the next period: cross-validation that respects time's order.

Random folds let a system learn from after what it is asked; one split by time shows a single
moment. A replay (after Bergmeir & Benítez 2012, rolling-origin evaluation) repeats the split at
several moments, so that it shows whether a ranking of systems holds, and how quality changes.
Every system learns the train part alone, choices are made on the period before the asked one, and
both are the users' past.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tfrec.baselines import EASE, Baseline, ItemKNN, Popularity
from tfrec.errors import DataError
from tfrec.evaluation.evaluate import primary_metric
from tfrec.evaluation.figures import Figure
from tfrec.evaluation.held_out import HeldOut
from tfrec.evaluation.metrics import RankedLists
from tfrec.evaluation.rankings import Rankings, rank_baselines
from tfrec.evaluation.replay.figures import PeriodFigures, Replay
from tfrec.evaluation.replay.periods import Cut, cut_at
from tfrec.evaluation.uncertainty import bootstrap_intervals
from tfrec.input import ItemTable, Timelines

__all__ = ["CHEAP", "Trained", "replay"]

CHEAP: tuple[type[Baseline], ...] = (Popularity, ItemKNN, EASE)
Trained = Callable[[int, Cut, HeldOut], Rankings]
_K = 20


def replay(
    items: ItemTable,
    everything: Timelines,
    edges: NDArray[np.int64],
    *,
    data: str,
    fingerprint: str,
    baselines: Sequence[type[Baseline]] = CHEAP,
    trained: Trained | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Replay:
    """Replays.

    Args:
        items: The catalogue.
        everything: All events.
        edges: Of `period_edges`.
        data: Name of the data set.
        fingerprint: Of the data.
        baselines: Fitted anew in each period.
        trained: Trains a model on a period's cut and ranks its question; given its number, too.
        say: Told each period before it is replayed.

    Raises:
        DataError: No period has anything to find.
    """
    metric = primary_metric((_K,))
    found = []
    for period in range(len(edges) - 2):
        cut = cut_at(items, everything, edges, period)
        say(f"period {period + 1} of {len(edges) - 2}: {_day(cut.start)} to {_day(cut.end - 1)}")
        found.append(_period(period, cut, baselines, trained, metric))
    asked = [one for one in found if one.users]
    if not asked:
        raise DataError(
            data, "a replay needs a period with something new to find", received="none",
            remedy="Ask for fewer --periods",
        )  # fmt: skip
    names = list(dict.fromkeys(name for one in asked for name in one.systems))
    values = {
        name: np.array([_value(one, name) for one in asked if name in one.systems])
        for name in names
    }
    best_in = dict.fromkeys(names, 0)
    for one in asked:
        best_in[max(one.systems, key=lambda name, here=one: _value(here, name))] += 1  # type: ignore[misc]
    mean = {name: float(values[name].mean()) for name in names}
    return Replay(
        data=data,
        fingerprint=fingerprint,
        metric=metric,
        periods=tuple(found),
        mean=mean,
        deviation={
            name: float(values[name].std(ddof=1)) if len(values[name]) > 1 else None
            for name in names
        },
        best_in=best_in,
        verdict=_verdict(asked, mean, best_in, metric),
    )


def _period(
    number: int,
    cut: Cut,
    baselines: Sequence[type[Baseline]],
    trained: Trained | None,
    metric: str,
) -> PeriodFigures:
    held_out = _question(cut)
    if held_out is None:
        return PeriodFigures(
            start=cut.start,
            end=cut.end,
            train_events=cut.parts["train"].events,
            users=0,
            new_items=0.0,
            systems={},
        )
    rankings = rank_baselines(baselines, held_out, lambda: _question(cut, "validation"))
    if trained is not None:
        rankings.append(trained(number, cut, held_out))
    systems = {}
    for ranked in rankings:
        lists = RankedLists(ranked.lists["all"], held_out.relevant, items=len(held_out.items))
        interval = bootstrap_intervals(lists.ndcg(_K)[:, None])[0]
        systems[ranked.name] = Figure(value=interval.value, low=interval.low, high=interval.high)
    return PeriodFigures(
        start=cut.start,
        end=cut.end,
        train_events=cut.parts["train"].events,
        users=len(held_out),
        new_items=float((~held_out.warm[held_out.relevant.indices]).mean()),
        systems=systems,
    )


def _question(cut: Cut, split: str = "test") -> HeldOut | None:
    """`None` when nobody has anything to find."""
    train = cut.parts["train"]
    try:
        if split == "validation":
            return HeldOut.build(
                "validation", cut.items, train, train, cut.parts["validation"], max_users=2000
            )
        past = Timelines.concatenate(train, cut.parts["validation"])
        return HeldOut.build("test", cut.items, train, past, cut.parts["test"])
    except DataError:
        return None


def _verdict(
    asked: Sequence[PeriodFigures], mean: dict[str, float], best_in: dict[str, int], metric: str
) -> str:
    best = max(mean, key=lambda name: mean[name])
    line = (
        f"{best} is best on average, {metric} {mean[best]:.4f}, and in {best_in[best]} of"
        f" {len(asked)} periods"
    )
    if len(asked) < 2:
        return line
    first, last = asked[0].systems[best], asked[-1].systems[best]
    if first.low is None or first.high is None or last.low is None or last.high is None:
        return line
    surely = first.high < last.low or last.high < first.low
    word = "not surely changed" if not surely else "risen" if last.low > first.high else "fallen"
    return f"{line}; from the first period to the last it has {word}"


def _value(one: PeriodFigures, name: str) -> float:
    return one.systems[name].value or 0.0


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()
