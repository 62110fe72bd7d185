"""Rules that turn a row of behaviour into a label."""

from __future__ import annotations

import operator
import re
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["LabelRule"]

_COMPARISONS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


class LabelRule(BaseModel):
    """A rule that turns a row of `interactions` into a label of 1 or 0.

    Written `COLUMN OPERATOR VALUE` (`rating >= 4`, `event != skip`), or `COLUMN in a, b` (`event in
    like, share`). A column that holds a number is compared as a number, any other as text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    comparison: Literal[">=", "<=", "==", "!=", ">", "<", "in"]
    value: float | str | tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> LabelRule:
        """Reads a rule as a person writes it.

        Example:
            >>> LabelRule.parse("rating >= 4")
            LabelRule(column='rating', comparison='>=', value=4.0)
        """
        found = re.fullmatch(r"\s*(\S+)\s*(>=|<=|==|!=|>|<|\bin\b)\s*(.+?)\s*", text)
        if not found:
            raise ValueError("a label rule is `COLUMN OPERATOR VALUE`, for example `rating >= 4`")
        column, comparison, value = found.groups()
        if comparison == "in":
            choices = tuple(part.strip() for part in value.split(",") if part.strip())
            return cls(column=column, comparison="in", value=choices)
        try:
            return cls(column=column, comparison=comparison, value=float(value))
        except ValueError:
            if comparison not in ("==", "!="):
                raise ValueError(f"`{comparison}` compares numbers") from None
            return cls(column=column, comparison=comparison, value=value.strip("'\""))

    def holds(self, cell: float | str) -> bool:
        """Tells whether a cell of the column satisfies the rule.

        Example:
            >>> LabelRule.parse("event in like, share").holds("like")
            True
        """
        if self.comparison == "in":
            return str(cell) in self.value  # type: ignore[operator]
        if isinstance(self.value, float):
            cell = float(cell)
        return bool(_COMPARISONS[self.comparison](cell, self.value))
