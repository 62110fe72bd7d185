"""Counters and histograms under the names that TensorFlow Serving gives them."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator

__all__ = ["Metrics"]

# Thirty-three limits from 10 µs, each 1.8 times the last: up to about 25 minutes.
LATENCY_LIMITS = tuple(10 * 1.8**i for i in range(33))
EXAMPLE_LIMITS = tuple(float(2**i) for i in range(15))

COUNTERS = {
    "/tensorflow/serving/request_count": ("model_name", "status"),
    "/tensorflow/serving/request_example_count_total": ("model",),
    "/tensorflow/serving/request_log_count": ("model_name", "status_code"),
    "/tensorflow/serving/model_warmup_records_read": ("model_path", "status"),
    "/tensorflow/cc/saved_model/load_attempt_count": ("model_path", "status"),
}
HISTOGRAMS = {
    "/tensorflow/serving/request_latency": (("model_name", "API", "entrypoint"), LATENCY_LIMITS),
    "/tensorflow/serving/runtime_latency": (("model_name", "API", "runtime"), LATENCY_LIMITS),
    "/tensorflow/serving/request_example_counts": (("model",), EXAMPLE_LIMITS),
    "/tensorflow/serving/model_warmup_latency": (("model_path", "status"), LATENCY_LIMITS),
}


class Metrics:
    """Thread-safe counters and histograms, and their page for Prometheus.

    Times are in microseconds. Series of models that don't exist would let any client fill the
    memory, so a metric keeps at most `MAX_SERIES` of them and counts the rest under `""`.

    Example:
        >>> metrics = Metrics()
        >>> metrics.count("/tensorflow/serving/request_count", "songs", "OK")
        >>> print(metrics.page().splitlines()[1])
        :tensorflow:serving:request_count{model_name="songs",status="OK"} 1
    """

    MAX_SERIES = 1000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, dict[tuple[str, ...], int]] = {name: {} for name in COUNTERS}
        self._histograms: dict[str, dict[tuple[str, ...], list[float]]] = {
            name: {} for name in HISTOGRAMS
        }

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Adds to a counter."""
        with self._lock:
            series = self._counts[name]
            labels = (
                labels if labels in series or len(series) < self.MAX_SERIES else ("",) * len(labels)
            )
            series[labels] = series.get(labels, 0) + by

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Adds a value to a histogram."""
        limits = HISTOGRAMS[name][1]
        # The last two cells hold the overflow bucket and the sum.
        index = bisect_left(limits, value)
        with self._lock:
            series = self._histograms[name]
            if labels not in series:
                if len(series) >= self.MAX_SERIES:
                    labels = ("",) * len(labels)
                series.setdefault(labels, [0] * (len(limits) + 2))
            cells = series[labels]
            cells[index] += 1
            cells[-1] += value

    def value(self, name: str) -> int:
        """The first series of a counter, as `HandleReloadConfigRequest` reports it; 0 if none."""
        with self._lock:
            return next(iter(self._counts.get(name, {}).values()), 0)

    def page(self) -> str:
        """All metrics in Prometheus' text format."""
        with self._lock:
            return "\n".join([*self._counter_lines(), *self._histogram_lines()]) + "\n"

    def _counter_lines(self) -> Iterator[str]:
        for name, series in sorted(self._counts.items()):
            if series:
                yield f"# TYPE {_name(name)} counter"
            for labels, value in series.items():
                yield f"{_name(name)}{{{_labels(COUNTERS[name], labels)}}} {value}"

    def _histogram_lines(self) -> Iterator[str]:
        for name, series in sorted(self._histograms.items()):
            if series:
                yield f"# TYPE {_name(name)} histogram"
            names, limits = HISTOGRAMS[name]
            for labels, cells in series.items():
                shown = _labels(names, labels)
                total = 0
                for limit, cell in zip([*limits, None], cells[:-1], strict=True):
                    total += int(cell)
                    edge = "+Inf" if limit is None else f"{limit:g}"
                    yield f'{_name(name)}_bucket{{{shown},le="{edge}"}} {total}'
                yield f"{_name(name)}_sum{{{shown}}} {cells[-1]:g}"
                yield f"{_name(name)}_count{{{shown}}} {total}"


def _name(name: str) -> str:
    return name.replace("/", ":")


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    escaped = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for value in values
    )
    return ",".join(f'{name}="{value}"' for name, value in zip(names, escaped, strict=True))
