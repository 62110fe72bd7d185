"""A server that gets no time to answer, or stops: what becomes of requests that wait."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving import server as server_module
from serving.options import ServerOptions
from serving.server import Server
from tests.serving.toy_models import predict_request

# Asks servers until none answers any more, then three times each, and tells on standard output,
# after a while, that they may go on. Prints what became of these requests.
CLIENT = """
import json, sys, time
import grpc

request = bytes.fromhex(sys.argv[1])
calls = [
    grpc.insecure_channel(address).unary_unary("/tensorflow.serving.PredictionService/Predict")
    for address in sys.argv[3:]
]

def outcome(asked):
    try:
        asked.result()
    except grpc.RpcError as error:
        return error.code().name
    return "OK"

for call in calls:
    assert outcome(call.future(request, timeout=20)) == "OK"
print("connected", flush=True)
for call in calls:
    while outcome(call.future(request, timeout=0.3)) == "OK":
        pass
asked = [[call.future(request, timeout=20) for _ in range(3)] for call in calls]
time.sleep(float(sys.argv[2]))
print("", flush=True)
print(json.dumps([[outcome(each) for each in of_one] for of_one in asked]), flush=True)
"""


def outcomes(
    servers: list[Server], seconds: float, afterwards: Callable[[], None] = lambda: None
) -> Any:
    """What becomes of requests that arrive while no Python runs here.

    Args:
        servers: Who is asked, three times each.
        seconds: How long the requests wait in gRPC.
        afterwards: What is done the moment that Python runs again.
    """
    request = predict_request(x=[1.0], k=[1]).SerializeToString()
    addresses = [f"127.0.0.1:{each.port}" for each in servers]
    command = [sys.executable, "-c", CLIENT, request.hex(), str(seconds), *addresses]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"connected\n"
        # `PyDLL` keeps Python's lock, so that nobody else has it until the client says so.
        ctypes.PyDLL(None).read(client.stdout.fileno(), ctypes.create_string_buffer(1), 1)
        afterwards()
        return json.loads(client.stdout.readline())


@pytest.fixture
def options(models: Path) -> ServerOptions:
    """The toy, on a port of its own."""
    return ServerOptions(
        model_name="toy",
        model_base_path=models / "toy",
        port=0,
        file_system_poll_wait_seconds=0,
    )


def test_requests_that_no_thread_could_fetch_are_answered_late_rather_than_cancelled(
    options: ServerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What gRPC itself would cancel after 30 s unfetched waits as long as its client does.

    That the limit matters is seen on a second server, with a limit of a second.
    """
    with Server(options) as patient:
        monkeypatch.setattr(server_module, "UNFETCHED_SECONDS", 1)
        with Server(options) as hasty:
            found = outcomes([patient, hasty], seconds=1.5)
    assert found[0] == ["OK", "OK", "OK"]
    assert "CANCELLED" in found[1]
    monkeypatch.undo()
    # The longest deadline that a client of ours is likely to set; gRPC's own limit is 30.
    assert server_module.UNFETCHED_SECONDS >= 3600


def test_a_server_that_stops_cancels_nothing_that_arrived(options: ServerOptions) -> None:
    """A stopping server turns away with the code that clients try again elsewhere."""
    with Server(options) as server:
        (found,) = outcomes([server], seconds=0, afterwards=server.stop)
    assert set(found) <= {"OK", "UNAVAILABLE"}, found
