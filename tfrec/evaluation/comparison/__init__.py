"""Runs against each other on the same users: differences, their intervals, what could be seen."""

from tfrec.evaluation.comparison.compare import Comparison, compare
from tfrec.evaluation.comparison.drawing import bar_chart, page
from tfrec.evaluation.comparison.groups import RunGroup, group_runs

__all__ = ["Comparison", "RunGroup", "bar_chart", "compare", "group_runs", "page"]
