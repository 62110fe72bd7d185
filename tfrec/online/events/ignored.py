"""What a log held that could not be used: how often, and where first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

__all__ = ["REASONS", "Ignored"]

# By name: the rule, and the remedy.
REASONS = {
    "malformed": ("lines that aren't an event of the schema", "see docs/online.md for the fields"),
    "duplicate_impression": (
        "impressions whose request id was there already; the earliest counts",
        "log an answer once, under a request id of its own",
    ),
    "duplicate_feedback": (
        "feedback that repeats an earlier one",
        "harmless, if the sender retries",
    ),
    "unknown_request": (
        "feedback whose request id has no impression",
        "give the impressions of the same time too",
    ),
    "not_shown": ("feedback on an item that its request didn't show", "check the request id"),
    "before_impression": (
        "feedback from before its impression (clock skew)",
        "stamp both by one clock, or allow for it by --clock-skew SECONDS",
    ),
    "no_propensities": (
        "impressions without propensities, left out of off-policy estimates",
        "log the probability of each choice",
    ),
    "impossible_propensity": (
        "impressions with a propensity of 0 or beyond 1, left out of off-policy estimates",
        "what was shown had a chance above 0: log it at the time of the choice",
    ),
    "no_target": (
        "impressions without propensities under another policy, left out of off-policy estimates",
        "log `targets` for every impression",
    ),
    "mixed_variants": (
        "users exposed to several variants of an experiment, left out of it",
        "assign by a stable id",
    ),
    "unknown_variant": (
        "exposures to a variant that the experiment file doesn't name",
        "correct `variants`",
    ),
}


@dataclass
class Ignored:
    """Counts by reason, each with its first place.

    Attributes:
        counts: How often.
        first: File, line and detail of the first one, in the order of files and lines.
    """

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, tuple[str, int, str]] = field(default_factory=dict)

    def add(self, reason: str, count: int, place: tuple[str, int, str]) -> None:
        """Counts some more.

        Args:
            reason: Of `REASONS`.
            count: How many; 0 adds nothing.
            place: File, line and detail of the first of them.
        """
        assert reason in REASONS
        if count:
            self.counts[reason] = self.counts.get(reason, 0) + count
            self.first[reason] = min(self.first.get(reason, place), place)

    def add_rows(self, reason: str, rows: pd.DataFrame, detail: str = "") -> None:
        """Counts the rows of a frame of events.

        Args:
            reason: Of `REASONS`.
            rows: With `file` and `line`; none adds nothing.
            detail: The column that tells what was received.
        """
        if len(rows):
            first = rows.sort_values(["file", "line"], kind="stable").iloc[0]
            shown = str(first[detail])[:60] if detail else ""
            self.add(reason, len(rows), (str(first["file"]), int(first["line"]), shown))

    def merge(self, others: Iterable[Ignored]) -> Ignored:
        """The counts of all together."""
        total = Ignored()
        for one in (self, *others):
            for reason, count in one.counts.items():
                total.add(reason, count, one.first[reason])
        return total

    def lines(self) -> list[str]:
        """One line a reason: how many, what, where first, the remedy.

        Example:
            >>> found = Ignored()
            >>> found.add("unknown_request", 3, ("a.jsonl", 7, "r9"))
            >>> print(*found.lines())
            a.jsonl:7: 3 times feedback whose request id has no impression. Received: r9. Give the
            impressions of the same time too.
        """
        return [
            _line(reason, self.counts, self.first[reason])
            for reason in REASONS
            if reason in self.counts
        ]


def _line(reason: str, counts: Mapping[str, int], place: tuple[str, int, str]) -> str:
    rule, remedy = REASONS[reason]
    file, line, detail = place
    shown = f" Received: {detail}." if detail else ""
    times = f"{counts[reason]:,} times " if counts[reason] > 1 else "once "
    return f"{file}:{line}: {times}{rule}.{shown} {remedy[0].upper()}{remedy[1:]}."
