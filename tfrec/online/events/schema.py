"""The event log: what an application writes, a line an event, to be evaluated online.

Three types of event, as JSON Lines or as rows of Parquet with the same names; other fields are let
be. A request's `request_id` is made by whoever asks the model, and goes with each answer's
feedback: it is all that joins them.

    impression  request_id, user_id, timestamp, items
                propensities?      probability of each slot's item, given the slots above
                expected_rewards?  a model's prediction for each slot's item
                targets?           {policy: {propensities, expected_rewards?}}: how probable the
                                   same items are under a policy to be evaluated, and the mean
                                   prediction over what it would choose for the slot
                teams?             whose pick each item is, of an interleaved list
                latency_ms?        how long the answer took
    feedback    request_id, timestamp, event, item?, value?
                event: click, conversion, dwell (value: seconds), satisfaction (value: -1 to 1, such
                as the sentiment of a comment); a click names its item
    exposure    user_id, timestamp, experiment, variant

One request worked through:

    {"type": "impression", "request_id": "r1", "user_id": "u7", "timestamp": 1767225600.0,
     "items": ["song-3", "song-9"], "propensities": [0.5, 0.25]}
    {"type": "feedback", "request_id": "r1", "timestamp": 1767225604.5, "event": "click",
     "item": "song-9"}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

__all__ = ["COLUMNS", "EVENTS", "InvalidEventError", "parse_event"]

EVENTS = ("click", "conversion", "dwell", "satisfaction")
_PLACE = ("file", "line")
# Columns of the frame of each type.
COLUMNS = {
    "impression": (
        "request_id",
        "user_id",
        "timestamp",
        "items",
        "propensities",
        "expected_rewards",
        "targets",
        "teams",
        "latency_ms",
        *_PLACE,
    ),
    "feedback": ("request_id", "timestamp", "event", "item", "value", *_PLACE),
    "exposure": ("user_id", "timestamp", "experiment", "variant", *_PLACE),
}
# Later than the year 5000: surely milliseconds.
_LATEST = 1e11


class InvalidEventError(Exception):
    """A line of a log breaks a rule; the message is the rule and what was received."""


def _wrong(field: str, rule: str, received: object) -> InvalidEventError:
    shown = repr(received)
    return InvalidEventError(f"`{field}` {rule}, not {shown if len(shown) < 60 else shown[:57]}")


def _identifier(event: Mapping[str, Any], field: str) -> str:
    value = event.get(field)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise _wrong(field, "is text that isn't empty", value)
    return value


def _number(value: object, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise _wrong(field, "is a finite number", value)
    return float(value)


def _moment(event: Mapping[str, Any]) -> float:
    value = _number(event.get("timestamp"), "timestamp")
    if not 0 < value < _LATEST:
        raise _wrong("timestamp", "is in Unix seconds (not milliseconds)", value)
    return value


def _numbers(value: object, field: str, count: int) -> list[float] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != count:
        raise _wrong(field, f"has a number for each of the {count} items", value)
    # A sum is finite only if every number is; a log's lists are many, so they are checked at once.
    if set(map(type, value)) <= {int, float} and isfinite(sum(value)):
        return [float(one) for one in value]
    return [_number(one, field) for one in value]


def _impression(event: Mapping[str, Any]) -> dict[str, Any]:
    items = event.get("items")
    if not isinstance(items, list) or not all(isinstance(item, str) and item for item in items):
        raise _wrong("items", "is a list of item ids", items)
    if len(set(items)) < len(items):
        raise _wrong("items", "names an item once", items)
    count = len(items)
    targets = event.get("targets") or {}
    if not isinstance(targets, dict):
        raise _wrong("targets", "maps names of policies to their propensities", targets)
    policies = {}
    for name, policy in targets.items():
        # A Parquet struct has every policy's field in every row.
        if policy is None or (isinstance(policy, dict) and policy.get("propensities") is None):
            continue
        if not isinstance(policy, dict):
            raise _wrong(f"targets.{name}", "has `propensities`", policy)
        policies[name] = (
            _numbers(policy["propensities"], f"targets.{name}.propensities", count),
            _numbers(policy.get("expected_rewards"), f"targets.{name}.expected_rewards", count),
        )
    teams = event.get("teams")
    if teams is not None and (
        not isinstance(teams, list)
        or len(teams) != count
        or not all(isinstance(team, str) for team in teams)
    ):
        raise _wrong("teams", f"has a name for each of the {count} items", teams)
    latency = event.get("latency_ms")
    return {
        "request_id": _identifier(event, "request_id"),
        "user_id": _identifier(event, "user_id"),
        "timestamp": _moment(event),
        "items": items,
        "propensities": _numbers(event.get("propensities"), "propensities", count),
        "expected_rewards": _numbers(event.get("expected_rewards"), "expected_rewards", count),
        "targets": policies,
        "teams": teams,
        "latency_ms": float("nan") if latency is None else _number(latency, "latency_ms"),
    }


def _feedback(event: Mapping[str, Any]) -> dict[str, Any]:
    kind = event.get("event")
    if kind not in EVENTS:
        raise _wrong("event", f"is one of {', '.join(EVENTS)}", kind)
    item = event.get("item")
    if kind == "click" or item is not None:
        item = _identifier(event, "item")
    value = 1.0
    if kind in ("dwell", "satisfaction"):
        value = _number(event.get("value"), "value")
        if kind == "dwell" and value < 0:
            raise _wrong("value", "of a dwell is seconds, not negative", value)
        if kind == "satisfaction" and abs(value) > 1:
            raise _wrong("value", "of a satisfaction lies within -1 and 1", value)
    return {
        "request_id": _identifier(event, "request_id"),
        "timestamp": _moment(event),
        "event": kind,
        "item": item or "",
        "value": value,
    }


def _exposure(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "user_id": _identifier(event, "user_id"),
        "timestamp": _moment(event),
        "experiment": _identifier(event, "experiment"),
        "variant": _identifier(event, "variant"),
    }


_TYPES: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "impression": _impression,
    "feedback": _feedback,
    "exposure": _exposure,
}


def parse_event(event: object) -> tuple[str, dict[str, Any]]:
    """Checks an event and brings it into the form of its frame.

    Args:
        event: A decoded line.

    Returns:
        Its type and its row, without `file` and `line`.

    Raises:
        InvalidEventError: It breaks a rule.

    Example:
        >>> kind, row = parse_event({"type": "feedback", "request_id": "r1", "event": "click",
        ...                          "timestamp": 5, "item": "x"})
        >>> kind, row["value"]
        ('feedback', 1.0)
    """
    if not isinstance(event, dict):
        raise InvalidEventError("an event is an object with a `type`")
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise _wrong("type", f"is one of {', '.join(_TYPES)}", kind)
    return kind, _TYPES[kind](event)
