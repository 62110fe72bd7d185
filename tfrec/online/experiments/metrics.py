"""The online metrics: each a sum over users over another sum, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COLUMNS", "METRICS", "OnlineMetric", "column"]

# What is added up for each user; `users` is 1.
SUMS = (
    "users",
    "requests",
    "items",
    "clicks",
    "converted",
    "dwell",
    "satisfaction",
    "ratings",
    "latency",
    "timed",
    "empty",
)
# The same of the time before the experiment, for CUPED.
COLUMNS = (*SUMS, *(f"before/{name}" for name in SUMS[1:]))


@dataclass(frozen=True)
class OnlineMetric:
    """A ratio of two columns of user sums.

    Attributes:
        name: As in experiment files and online.json.
        title: For people.
        numerator, denominator: Of `SUMS`.
        unit: What the value is in.
        higher_is_better: The direction.
        relative: Whether 0 means nothing, so that a change in percent says something.
    """

    name: str
    title: str
    numerator: str
    denominator: str
    unit: str
    higher_is_better: bool = True
    relative: bool = True

    @property
    def columns(self) -> tuple[int, int]:
        """Places of numerator and denominator in `COLUMNS`."""
        return column(self.numerator), column(self.denominator)

    @property
    def before(self) -> tuple[int, int]:
        """The same of the time before the experiment."""
        users = self.denominator == "users"
        below = self.denominator if users else f"before/{self.denominator}"
        return column(f"before/{self.numerator}"), column(below)


def column(name: str) -> int:
    """Place of a sum in `COLUMNS`."""
    return COLUMNS.index(name)


METRICS = {
    metric.name: metric
    for metric in (
        OnlineMetric("click_through", "click-through", "clicks", "items", "clicks an item shown"),
        OnlineMetric("conversion", "conversion", "converted", "requests", "share of requests"),
        OnlineMetric("dwell", "dwell", "dwell", "requests", "seconds a request"),
        OnlineMetric(
            "satisfaction", "satisfaction", "satisfaction", "ratings", "-1 to 1", relative=False
        ),
        OnlineMetric("requests", "requests a user", "requests", "users", "requests"),
        OnlineMetric(
            "latency", "latency", "latency", "timed", "milliseconds", higher_is_better=False
        ),
        OnlineMetric(
            "empty", "empty lists", "empty", "requests", "share of requests", higher_is_better=False
        ),
    )
}
