"""Quality rules of a source: what a row must satisfy to be kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = ["ColumnRules"]

Bounds = tuple[float | None, float | None]


def _ordered(ranges: dict[str, Bounds]) -> dict[str, Bounds]:
    for column, (low, high) in ranges.items():
        if low is not None and high is not None and low > high:
            raise ValueError(f"the range of `{column}` goes from the lower number to the higher")
    return ranges


def _filled(allowed: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for column, values in allowed.items():
        if not values:
            raise ValueError(f"`{column}` allows at least one value")
    return allowed


class ColumnRules(BaseModel):
    """Rules on the cells of a source's columns; an empty cell breaks none.

    Attributes:
        ranges: Column to `[lowest, highest]`, either of which may be null; a row outside is
            refused as `out_of_range`.
        allowed: Column to the values that it may hold; a row with another one is refused as
            `not_allowed`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ranges: Annotated[dict[str, Bounds], AfterValidator(_ordered)] = Field(default_factory=dict)
    allowed: Annotated[dict[str, tuple[str, ...]], AfterValidator(_filled)] = Field(
        default_factory=dict
    )

    @property
    def rule_columns(self) -> list[str]:
        """The columns that rules look at."""
        return [*self.ranges, *self.allowed]
