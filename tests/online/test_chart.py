"""The chart keeps every interval in view, wherever it lies."""

from __future__ import annotations

import re

import pytest

from tfrec.online.chart import Row, interval_chart


@pytest.mark.parametrize(("low", "high"), [(-40.0, -20.0), (0.61, 0.62), (-1e-4, 3e-4), (5e3, 9e5)])
def test_intervals_stay_between_label_and_value(low, high):
    """Ends, dots and ticks lie within the plot, and in the order of the numbers."""
    chart = interval_chart([Row("a", (low + high) / 2, low, high, "x")], "t", mark=low)
    line = re.search(r'class="model-line" x1="([\d.-]+)" x2="([\d.-]+)"', chart)
    dot = re.search(r'cx="([\d.-]+)"', chart)
    assert line is not None and dot is not None
    left, right = float(line.group(1)), float(line.group(2))
    assert 165 <= left < float(dot.group(1)) < right <= 500 - 72 + 0.1
    ticks = [float(t) for t in re.findall(r'class="grid" x1="([\d.-]+)"', chart)]
    assert 2 <= len(ticks) <= 9
    assert ticks == sorted(ticks)


def test_a_row_without_an_interval_is_left_out():
    """Nothing to draw is no error."""
    nan = float("nan")
    assert interval_chart([Row("a", 1.0, nan, nan, "x")], "t", mark=0.0) == ""
