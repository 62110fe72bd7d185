"""The exceptions that tfrec raises on purpose, and the exit status of each.

::

    TfrecError                     exit 1
    ├── DescriptionError           exit 2   a description, configuration or option is wrong
    │   └── EncoderNotFoundError            an encoder handle that names nothing here
    ├── DataError                           the data itself is wrong
    │   ├── RejectedRowsError               more rows refused than `--max-rejected` allows
    │   └── CorruptDataError                a prepared file is damaged or unexpected
    ├── RunError                            a run directory is missing or of another model
    ├── ExportError                         an export can't be published
    └── ServingError                        a server can't start or can't answer

Each message is one line: where, the rule, what was received, the remedy. Everything else that
escapes a command is a fault of tfrec and keeps its traceback.
"""

from __future__ import annotations

import functools
from typing import Any

__all__ = [
    "CorruptDataError",
    "DataError",
    "DescriptionError",
    "EncoderNotFoundError",
    "ExportError",
    "RejectedRowsError",
    "RunError",
    "ServingError",
    "TfrecError",
]


class TfrecError(Exception):
    """A failure that tfrec foresaw: one line that a person can act on.

    Args:
        where: The file, field, option or argument that is wrong.
        rule: What has to hold, as a sentence without its full stop.
        received: What was found instead; shown by `repr` unless it is a string.
        remedy: What to do about it, as a sentence without its full stop.

    Example:
        >>> print(DataError("items.csv:3", "`year` must be a number", received="'MCMXC'",
        ...                 remedy="Correct the cell or leave it empty"))
        items.csv:3: `year` must be a number. Received: 'MCMXC'. Correct the cell or leave it empty.
    """

    exit_status = 1

    def __init__(
        self, where: str, rule: str, *, received: object = None, remedy: str | None = None
    ) -> None:
        self.where = where
        self.rule = rule
        self.received = received
        self.remedy = remedy
        parts = [f"{where}: {rule}."]
        if received is not None:
            shown = received if isinstance(received, str) else repr(received)
            parts.append(f"Received: {shown}.")
        if remedy is not None:
            parts.append(f"{remedy}.")
        super().__init__(" ".join(" ".join(parts).split()))

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets it come from another process; the default knows positional arguments alone."""
        again = functools.partial(type(self), received=self.received, remedy=self.remedy)
        return again, (self.where, self.rule)


class DescriptionError(TfrecError):
    """A dataset description, model configuration or command-line option is wrong."""

    exit_status = 2


class EncoderNotFoundError(DescriptionError):
    """An encoder handle names nothing that is installed or on the search path."""


class DataError(TfrecError):
    """The user's data breaks a rule that the description sets."""


class RejectedRowsError(DataError):
    """More rows or files were refused than the caller allows; nothing was published."""


class CorruptDataError(DataError):
    """A prepared file is missing, damaged or of another version than its manifest says."""


class RunError(TfrecError):
    """A run directory is missing, unfinished, or belongs to another model or data set."""


class ExportError(TfrecError):
    """A SavedModel can't be published: it fails a check that TensorFlow Serving would fail."""


class ServingError(TfrecError):
    """A server can't start, can't be reached, or refuses a request."""
