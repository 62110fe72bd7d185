"""How a client calls: deadlines, retries, connection options, and what failures mean."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import grpc

from tfrec.errors import DescriptionError, ServingError

__all__ = ["CallOptions", "Tls", "channel_options", "explain", "pauses"]

MODELS_METADATA = "tfrec-models"
_NODE = re.compile(r"(\s*\[\[\{\{.*?\}\}\]\])+$")


@dataclass(frozen=True)
class Tls:
    """Files of a secure connection, in PEM form.

    Attributes:
        authority: The certificate authority that signed the server's certificate; `None` uses
            those of the system.
        certificate, key: The client's own, for mutual TLS.
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Credentials for a channel.

        Raises:
            DescriptionError: A file can't be read, or only one of certificate and key is given.
        """
        if (self.certificate is None) != (self.key is None):
            raise DescriptionError(
                "tls",
                "mutual TLS needs a certificate and its key",
                received="one of them",
                remedy="Give both or neither",
            )
        return grpc.ssl_channel_credentials(
            _read(self.authority), _read(self.key), _read(self.certificate)
        )


@dataclass(frozen=True)
class CallOptions:
    """How long a call may take, and how often it is tried.

    Attributes:
        timeout: Seconds for the whole call, retries included.
        attempts: Tries in all. Only `UNAVAILABLE` is tried again: the request wasn't answered, and
            asking again changes nothing on the server.
        first_pause, longest_pause: Bounds of the pause before the next try, in seconds; each pause
            is drawn uniformly below a bound that doubles, so that clients don't return together.
    """

    timeout: float = 5.0
    attempts: int = 3
    first_pause: float = 0.05
    longest_pause: float = 1.0

    def __post_init__(self) -> None:
        if self.timeout <= 0 or self.attempts < 1:
            raise DescriptionError(
                "`timeout`, `attempts`",
                "a call needs a positive time and at least one attempt",
                received=f"{self.timeout} s, {self.attempts}",
            )


def pauses(options: CallOptions, draw: Callable[[], float] = random.random) -> list[float]:
    """Pauses before the second, third, … attempt.

    Example:
        >>> pauses(CallOptions(attempts=4, first_pause=0.1, longest_pause=0.3), draw=lambda: 1.0)
        [0.1, 0.2, 0.3]
    """
    bounds = (options.first_pause * 2**attempt for attempt in range(options.attempts - 1))
    return [min(bound, options.longest_pause) * draw() for bound in bounds]


def channel_options(max_message_bytes: int) -> list[tuple[str, Any]]:
    """Options of a connection that is kept and reused.

    A ping after a minute without traffic finds a connection that a load balancer dropped, and is
    rare enough for the server's default limits. A name of several addresses, as a headless service
    has, gets a connection to each, and requests take turns.
    """
    return [
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        # Retries are ours: counted, jittered, and within the caller's deadline.
        ("grpc.enable_retries", 0),
    ]


def explain(error: Any, target: str, model: str, timeout: float) -> ServingError:
    """Turns a failed call into one line that says what to do.

    Args:
        error: The `grpc.RpcError`.
        target: Where the call went.
        model: The model that was asked.
        timeout: The deadline, in seconds.
    """
    code = error.code()
    # TensorFlow appends the node that failed, which tells nothing to who asked.
    text = _NODE.sub("", " ".join((error.details() or "").split())).rstrip(".")
    if code is grpc.StatusCode.UNAVAILABLE:
        refused = "connection refused" in text.lower()
        return ServingError(
            target,
            "a server must answer at this address",
            received="connection refused" if refused else text or "no answer",
            remedy="Start one with `tfrec serve MODELS/NAME`, or correct host and port",
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ServingError(
            target,
            "the answer must come before the deadline",
            received=f"none within {timeout:g} s",
            remedy="Ask for fewer items, raise the timeout, or look at the server's load",
        )
    if code is grpc.StatusCode.NOT_FOUND:
        known = served_models(error)
        return ServingError(
            target,
            f"the server must serve model `{model}`",
            received=f"models {', '.join(known)}" if known else text,
            remedy="Name the model that it serves (`--model NAME`): "
            "the name of the folder that holds the numbered versions",
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ServingError(
            target,
            "the server must speak TensorFlow Serving's PredictionService",
            received="another gRPC server",
            remedy="Correct host and port; gRPC is on 8500, REST on 8501",
        )
    unsigned = text.startswith("Serving signature key")
    return ServingError(
        target,
        f"model `{model}` refused the request",
        received=f"{code.name}: {text}",
        remedy="It was exported without this; docs/serving.md tells what each signature needs"
        if unsigned
        else None,
    )


def served_models(error: Any) -> list[str]:
    """Models that the embedded server names when it is asked for one that it hasn't."""
    for key, value in error.trailing_metadata() or ():
        if key == MODELS_METADATA and value:
            return [unquote(name) for name in str(value).split(",")]
    return []


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise DescriptionError(
            str(path),
            "a TLS file must be readable",
            received=error.strerror or "an error",
            remedy="Correct the path",
        ) from error
