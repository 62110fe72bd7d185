"""The status that a request is answered with, when it isn't answered with a result."""

from __future__ import annotations

import grpc

__all__ = ["StatusError", "truncated"]

MESSAGE_LIMIT = 1024
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


class StatusError(Exception):
    """Ends a request with a status code and a text, as TensorFlow Serving words it.

    It is an answer to a client, not a failure of the server, and never leaves this package.

    Args:
        code: The gRPC status code; the REST port translates it.
        message: The text, of any length.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @classmethod
    def of_number(cls, number: int, message: str) -> StatusError:
        """A status from TensorFlow's error number; the two share their numbering."""
        return cls(_BY_NUMBER.get(number, grpc.StatusCode.UNKNOWN), message)


def invalid(message: str) -> StatusError:
    """`INVALID_ARGUMENT` with this text."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)


def truncated(message: str) -> str:
    """Cuts a text at 1,024 bytes, as TensorFlow Serving does.

    Example:
        >>> truncated("short")
        'short'
        >>> truncated("x" * 2000)[1020:]
        'xxxx...TRUNCATED'
    """
    data = message.encode("utf-8", errors="replace")
    if len(data) <= MESSAGE_LIMIT:
        return message
    return data[:MESSAGE_LIMIT].decode("utf-8", errors="ignore") + "...TRUNCATED"
