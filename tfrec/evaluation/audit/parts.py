"""Rules on the parts themselves: apart, in order, and nobody twice."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from tfrec.evaluation.audit.audited import Audited
from tfrec.evaluation.audit.finding import Finding, fault, ok, skipped, warning
from tfrec.input import Timelines

__all__ = ["disjoint", "identical_users", "order", "records", "time_travel"]

_ALIKE_EVENTS = 5


def records(data: Audited) -> Finding:
    """Every file of records is what the manifest says that preprocessing wrote."""
    rule = "records"
    if not data.manifest.shards:
        return skipped(rule, "the manifest lists no checksums")
    for shard in data.manifest.shards:
        path = data.layout.root / shard.path
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return fault(rule, f"{shard.path} is missing")
        if found != shard.sha256:
            return fault(rule, f"{shard.path} was changed after preprocessing")
    return ok(rule, f"{len(data.manifest.shards)} files have the manifest's checksums")


def disjoint(data: Audited) -> Finding:
    """No event of the train part is also one to predict."""
    rule = "parts apart"
    keys = {split: _events(part) for split, part in data.parts.items()}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        both = np.intersect1d(keys[one], keys[other])  # type: ignore[index]
        if len(both):
            user = int(both[0]["user"])
            return fault(
                rule,
                f"{len(both):,} events stand in both the {one} and the {other} part, first one of"
                f" user index {user}",
            )
    counts = ", ".join(f"{part.events:,} {split}" for split, part in data.parts.items())
    return ok(rule, f"no event is in two parts ({counts})")


def _events(part: Timelines) -> NDArray[np.void]:
    kind = [("user", "i4"), ("item", "i4"), ("time", "i8"), ("event", "i4")]
    table = np.empty(part.events, kind)
    table["user"] = part.user_index[part.rows]
    table["item"], table["time"], table["event"] = part.item_index, part.timestamp, part.event
    return np.unique(table)


def order(data: Audited) -> Finding:
    """The parts follow each other in time, as the description's split says."""
    rule = "parts in order"
    method = data.manifest.dataset.split.method
    if method == "column":
        return skipped(rule, "a ready-made column decides; see time travel")
    train, validation, test = (data.parts[s] for s in ("train", "validation", "test"))
    if method == "global_time":
        ends = [(part.timestamp.min(initial=2**62), part.timestamp.max(initial=-(2**62)))
                for part in (train, validation, test)]  # fmt: skip
        cuts = data.manifest.split_times
        for (_, last), (first, _), name in (
            (ends[0], ends[1], "validation"),
            (ends[0], ends[2], "test"),
            (ends[1], ends[2], "test"),
        ):
            if last >= first:
                return fault(rule, f"an event before the {name} part is as late as its first")
            if name in cuts and last >= cuts[name]:
                return fault(rule, f"an event before the {name} part lies after its first moment")
        return ok(rule, "all events of a part lie before the next part's first moment")
    for early, late, name in (
        (train, validation, "validation"),
        (train, test, "test"),
        (validation, test, "test"),
    ):
        late_first = _first(late)
        last = _last(early.select(late.user_index))
        wrong = int((last > late_first).sum())
        if wrong:
            return fault(rule, f"{wrong:,} users have an event after their {name} part began")
    return ok(rule, "each user's parts follow each other in time")


def time_travel(data: Audited) -> Finding:
    """What a user is asked with lies before what the user is asked for."""
    rule = "time travel"
    found = []
    for split, earlier in (("validation", ("train",)), ("test", ("train", "validation"))):
        targets = data.parts[split]  # type: ignore[index]
        if not len(targets):
            continue
        past = Timelines.concatenate(*(data.parts[name] for name in earlier))  # type: ignore[index]
        last = _last(past.select(targets.user_index))
        wrong = int((last > _first(targets)).sum())
        if wrong:
            found.append(f"{wrong:,} of {len(targets):,} users of the {split} part")
    if not found:
        return ok(rule, "every history ends before its first target")
    detail = f"{' and '.join(found)} have history after their first target"
    if data.manifest.dataset.split.method == "column":
        return warning(rule, detail + "; the ready-made column asks so, figures are optimistic")
    return fault(rule, detail)


def _first(part: Timelines) -> NDArray[np.int64]:
    return part.timestamp[np.minimum(part.offsets[:-1], max(part.events - 1, 0))]


def _last(part: Timelines) -> NDArray[np.int64]:
    """Each user's last moment, the lowest number without one."""
    last = np.full(len(part), np.iinfo(np.int64).min)
    np.maximum.at(last, part.rows, part.timestamp)
    return last


def identical_users(data: Audited) -> Finding:
    """No two users have the same events: one would teach what the other is asked."""
    rule = "identical users"
    everyone = Timelines.concatenate(*data.parts.values())
    seen: dict[bytes, str] = {}
    alike: list[tuple[str, str]] = []
    for row in range(len(everyone)):
        span = slice(everyone.offsets[row], everyone.offsets[row + 1])
        items = everyone.item_index[span]
        if len(items) < _ALIKE_EVENTS:
            continue
        key = hashlib.sha256(items.tobytes()).digest()
        name = str(everyone.user_ids[row])
        if key in seen:
            alike.append((seen[key], name))
        seen.setdefault(key, name)
    if alike:
        one, other = alike[0]
        return warning(
            rule,
            f"{len(alike):,} users repeat another's items in the same order, first {other!r}"
            f" those of {one!r}",
        )
    return ok(rule, f"{len(everyone):,} users, none with another's items in the same order")
