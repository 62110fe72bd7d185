"""How vectors of media are brought to fewer dimensions."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["ReductionConfig"]


class ReductionConfig(BaseModel):
    """A linear map of vectors, fitted on the items with an event in the train part.

    Attributes:
        method: `pca` keeps the directions of largest variance (Pearson, 1901); `whiten` also
            scales each to variance 1; `lda` keeps those that separate the classes of `label` best
            (Fisher, 1936; Rao, 1948).
        dimension: Directions that are kept; for `lda` fewer than there are classes.
        label: Item feature with the class, for `lda`: categorical, or tags, whose first value
            counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["pca", "whiten", "lda"] = "pca"
    dimension: int = Field(ge=1, le=4096)
    label: str | None = None

    @model_validator(mode="after")
    def _fits_method(self) -> ReductionConfig:
        if (self.method == "lda") != (self.label is not None):
            raise ValueError("`label` names the feature with the classes, for `lda` alone")
        return self
