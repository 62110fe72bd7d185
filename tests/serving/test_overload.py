"""A server that gets no time to answer: requests wait as long as their clients do."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import pytest

from serving import server as server_module
from serving.options import ServerOptions
from serving.server import Server
from tests.serving.toy_models import predict_request

# Asks two servers until neither answers any more, then three times each, a second and a half before
# it tells on standard output that they may go on. Prints what became of these requests.
CLIENT = """
import json, sys, time
import grpc

request = bytes.fromhex(sys.argv[1])
calls = [
    grpc.insecure_channel(address).unary_unary("/tensorflow.serving.PredictionService/Predict")
    for address in sys.argv[2:]
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
time.sleep(1.5)
print("", flush=True)
print(json.dumps([[outcome(each) for each in of_one] for of_one in asked]), flush=True)
"""


def test_requests_that_no_thread_could_fetch_are_answered_late_rather_than_cancelled(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What gRPC itself would cancel after 30 s unfetched waits as long as its client does.

    Python's lock is held while the requests arrive. That the limit matters is seen on a second
    server, with a limit of a second.
    """
    options = ServerOptions(
        model_name="toy", model_base_path=models / "toy", port=0, file_system_poll_wait_seconds=0
    )
    with Server(options) as patient:
        monkeypatch.setattr(server_module, "UNFETCHED_SECONDS", 1)
        with Server(options) as hasty:
            request = predict_request(x=[1.0], k=[1]).SerializeToString()
            addresses = [f"127.0.0.1:{each.port}" for each in (patient, hasty)]
            command = [sys.executable, "-c", CLIENT, request.hex(), *addresses]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
                assert client.stdout is not None
                assert client.stdout.readline() == b"connected\n"
                # `PyDLL` keeps the lock, so no Python runs here until the client says so.
                ctypes.PyDLL(None).read(client.stdout.fileno(), ctypes.create_string_buffer(1), 1)
                outcomes = json.loads(client.stdout.readline())
    assert outcomes[0] == ["OK", "OK", "OK"]
    assert "CANCELLED" in outcomes[1]
    monkeypatch.undo()
    # The longest deadline that a client of ours is likely to set; gRPC's own limit is 30.
    assert server_module.UNFETCHED_SECONDS >= 3600
