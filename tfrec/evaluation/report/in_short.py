"""The report in a few plain sentences, for those who read no metric."""

from __future__ import annotations

from tfrec.evaluation.figures import Evaluation, Slice
from tfrec.evaluation.gate import MODEL

__all__ = ["in_short"]


def in_short(found: Evaluation, advice: str) -> list[str]:
    """Sentences without a metric's name, the most important first.

    Args:
        found: The figures.
        advice: What to try first.
    """
    k = found.primary.rpartition("@")[2]
    whole = found.slices[0]
    said = [_found_something(whole, k)]
    cold = found.slice("cold")
    if cold is not None:
        said.append(_new_items(found, cold, k))
    said += _spread(found)
    said.append(f"Try first: {advice}")
    return [line for line in said if line]


def _found_something(whole: Slice, k: str) -> str:
    metric = f"hit_rate@{k}"
    ours = whole.systems[MODEL].metrics[metric].value
    if ours is None:
        return ""
    line = f"Of 100 people, {ours * 100:.0f} find something they go on to like among {k}"
    others = []
    best = whole.compared.baseline if whole.compared is not None else None
    for name in dict.fromkeys(("popularity", best)):
        if name in whole.systems and name is not None:
            value = whole.systems[name].metrics[metric].value
            others.append(f"with {name} {(value or 0.0) * 100:.0f}")
    return f"{line}; {', '.join(others)}." if others else f"{line}."


def _new_items(found: Evaluation, cold: Slice, k: str) -> str:
    chance, ours = cold.systems.get("random"), cold.systems.get(MODEL)
    if ours is None:
        return ""
    value = ours.metrics[found.primary].value
    low = None if chance is None else chance.metrics[found.primary].value
    line = ""
    if value is not None and low:
        line = f"New items, ranked among themselves, are {value / low:.1f} times as good as chance"
    wanted = found.slice("cold in all")
    share = found.catalogue[MODEL].get("cold_share@10")
    if wanted is None or share is None:
        return f"{line}." if line else ""
    liked = wanted.relevant / found.slices[0].relevant
    told = (
        f"{share:.0%} of the places go to them, {liked:.0%} of what people went on to like was new"
    )
    return f"{line}; {told}." if line else f"New items: {told}."


def _spread(found: Evaluation) -> list[str]:
    coverage = found.catalogue[MODEL].get("coverage@10")
    lift = found.catalogue[MODEL].get("popularity_lift@10")
    if coverage is None:
        return []
    line = f"{coverage:.0%} of the catalogue is shown to someone in ten places"
    if lift is None:
        return [f"{line}."]
    return [f"{line}; what is shown is {1 + lift:.1f} times as popular as what people chose."]
