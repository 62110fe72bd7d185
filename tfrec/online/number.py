"""A number that JSON may not hold: written as null, read back as NaN."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

__all__ = ["Number"]


def _or_nan(value: object) -> object:
    return float("nan") if value is None else value


# NaN where there is too little to tell, such as the interval of a single user.
Number = Annotated[float, BeforeValidator(_or_nan)]
