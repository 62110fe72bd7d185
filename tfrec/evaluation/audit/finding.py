"""What one rule found."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Finding", "fault", "ok", "skipped", "warning"]


class Finding(BaseModel):
    """One rule's answer.

    Attributes:
        rule: Its name.
        status: `ok`; `fault`, which fails the audit; `warning`, which a person should look at;
            `skipped`, with what is needed to check it.
        detail: One sentence with the numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    status: Literal["ok", "fault", "warning", "skipped"]
    detail: str


def ok(rule: str, detail: str) -> Finding:
    """The rule holds."""
    return Finding(rule=rule, status="ok", detail=detail)


def fault(rule: str, detail: str) -> Finding:
    """The rule is broken."""
    return Finding(rule=rule, status="fault", detail=detail)


def warning(rule: str, detail: str) -> Finding:
    """Not wrong in itself, but it may flatter the figures."""
    return Finding(rule=rule, status="warning", detail=detail)


def skipped(rule: str, detail: str) -> Finding:
    """The rule could not be checked."""
    return Finding(rule=rule, status="skipped", detail=detail)
