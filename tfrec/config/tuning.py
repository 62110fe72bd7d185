"""A search for a model's settings (`SPACE.yaml`): what may vary, and how it is searched.

config: multimodal
set: [training.epochs=10]
method: hyperband
trials: 40
space:
  loss.temperature: {low: 0.03, high: 0.3, log: true}
  dimension: {choices: [32, 64, 128]}
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tfrec.config.presets import DEFAULT_MODEL

__all__ = ["Range", "SearchConfig"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Range(_Frozen):
    """Values that a setting may take: `choices`, or every number from `low` to `high`.

    Attributes:
        low, high: Bounds, both included; whole numbers make it one of whole numbers.
        log: Whether the search is even by ratio and not by difference.
        choices: The values.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    choices: tuple[bool | int | float | str, ...] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Range:
        if self.choices is not None:
            if self.low is not None or self.high is not None or not self.choices:
                raise ValueError("`choices` must hold values, and stand without `low` and `high`")
        elif self.low is None or self.high is None or self.low >= self.high:
            raise ValueError("give `choices`, or a `low` that is less than `high`")
        elif self.log and self.low <= 0:
            raise ValueError("`low` must be positive with `log`")
        return self


class SearchConfig(_Frozen):
    """A whole search.

    Attributes:
        config: A shipped model configuration or a YAML file, which the search starts from.
        set: Overrides that all trials share.
        method: `tpe` (tree-structured Parzen estimator, Bergstra et al. 2011), `random`; `asha` and
            `hyperband` draw as `tpe` does and end trials early that fall behind after some epochs
            (Li et al. 2020, 2018).
        trials: How many are made.
        seed: Of the draws.
        space: By dotted name of a setting.
    """

    config: str = DEFAULT_MODEL
    set: tuple[str, ...] = ()
    method: Literal["random", "tpe", "asha", "hyperband"] = "tpe"
    trials: int = Field(20, ge=1)
    seed: int = Field(0, ge=0)
    space: dict[str, Range] = Field(min_length=1)
