"""The REST table of TensorFlow Serving, over real HTTP, and the limits of the port."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.rest_json import answer_json
from serving.server import Server
from serving.status import StatusError
from tests.serving.toy_models import predict_request


def ask(
    server: Server, method: str, path: str, body: Any = None, headers: Any = None
) -> tuple[int, Any]:
    assert server.rest_port is not None
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    try:
        connection.request(method, path, data, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def predict(server: Server, body: Any, path: str = "/v1/models/toy:predict") -> tuple[int, Any]:
    return ask(server, "POST", path, body)


def test_rows_are_answered_by_rows(server: Server) -> None:
    body = {"instances": [{"x": 1.5, "k": 2}, {"x": 0.1, "k": 2}]}
    assert predict(server, body) == (
        200,
        {"predictions": [{"id": "v1", "y": 3.0}, {"id": "v1", "y": 0.2}]},
    )


def test_columns_are_answered_by_columns(server: Server) -> None:
    body = {"inputs": {"x": [1.5, 2.0], "k": [2, 3]}}
    assert predict(server, body) == (200, {"outputs": {"id": ["v1", "v1"], "y": [3.0, 6.0]}})
    assert predict(server, body, "/v1/models/toy/versions/1:predict")[0] == 200


def test_a_single_tensor_is_a_bare_list_and_bytes_are_base64(server: Server) -> None:
    raw = base64.b64encode(b"\xffab").decode()
    body = {"signature_name": "shout", "instances": ["ab", {"b64": raw}]}
    expected = [base64.b64encode(value).decode() for value in (b"AB", b"\xffAB")]
    assert predict(server, body) == (200, {"predictions": [{"b64": text} for text in expected]})
    body = {"signature_name": "shout", "inputs": ["ab"]}
    assert predict(server, body) == (200, {"outputs": [{"b64": expected[0]}]})


def test_a_recommendation_by_rest(server: Server) -> None:
    body = {"instances": [{"user_id": "u", "history": ["a"], "exclude": ["b"], "k": 2}]}
    status, answer = predict(server, body, "/v1/models/songs:predict")
    assert (status, answer) == (
        200,
        {"predictions": [{"item_ids": ["c", "d"], "scores": [-2.0, -3.0]}]},
    )


def test_classify_and_regress(server: Server) -> None:
    body: Any = {"signature_name": "classify", "examples": [{"a": 0.25}, {"a": [1.0]}]}
    assert predict(server, body, "/v1/models/examples:classify") == (
        200,
        {"results": [[["low", 0.75], ["high", 0.25]], [["low", 0.0], ["high", 1.0]]]},
    )
    body = {"context": {"a": 0.1}, "examples": [{}]}
    assert predict(server, body, "/v1/models/examples:regress") == (200, {"results": [0.2]})


def test_status_and_metadata(server: Server) -> None:
    state = {
        "version": "1",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    for path in ("/v1/models/toy", "/v1/models/toy/versions/1", "/v1/models/toy?x=1"):
        assert ask(server, "GET", path) == (200, {"model_version_status": [state]})
    status, answer = ask(server, "GET", "/v1/models/toy/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "toy", "signature_name": "", "version": "1"}
    inputs = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
    assert inputs["x"]["dtype"] == "DT_FLOAT"
    assert inputs["x"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}],
        "unknown_rank": False,
    }


X = {"x": [1.0], "k": [1]}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/v1/nothing", None, 400, "Malformed request: GET /v1/nothing"),
        ("POST", "/v1/models/toy", {}, 400, "Malformed request: POST /v1/models/toy"),
        ("PUT", "/v1/models/toy:predict", {}, 400, "Malformed request: PUT /v1/models/toy:predict"),
        ("GET", "/v1/models", None, 400, "Missing model name in request."),
        ("GET", "/v1/models/nope", None, 404, "Could not find any versions of model nope"),
        ("GET", "/v1/models/toy/versions/9", None, 404, "Could not find version 9 of model toy"),
        (
            "GET",
            "/v1/models/nope/metadata",
            None,
            404,
            "Servable not found for request: Latest(nope)",
        ),
        (
            "POST",
            "/v1/models/nope:predict",
            {"inputs": X},
            404,
            "Servable not found for request: Latest(nope)",
        ),
        (
            "POST",
            "/v1/models/toy/versions/9:predict",
            {"inputs": X},
            404,
            "Servable not found for request: Specific(toy, 9)",
        ),
        (
            "POST",
            "/v1/models/toy/versions/99999999999999999999:predict",
            {"inputs": X},
            400,
            "Failed to convert version: 99999999999999999999 to numeric.",
        ),
        (
            "POST",
            "/v1/models/toy/labels/zz:predict",
            {"inputs": X},
            400,
            "Unrecognized servable version label: zz",
        ),
        (
            "POST",
            "/v1/models/toy:predict",
            {"signature_name": "zz", "inputs": X},
            400,
            'Serving signature name: "zz" not found in signature def',
        ),
        ("POST", "/v1/models/toy:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        (
            "POST",
            "/v1/models/toy:predict",
            {"inputs": {"x": [1.0]}},
            400,
            "Missing named input: k in 'inputs' object.",
        ),
        (
            "POST",
            "/v1/models/toy:predict",
            {"inputs": [1.0]},
            400,
            "inputs is a plain value/list, but expecting an object as multiple input tensors "
            "required as per tensorinfo_map",
        ),
        (
            "POST",
            "/v1/models/toy:predict",
            {"instances": [1.0]},
            400,
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map",
        ),
        (
            "POST",
            "/v1/models/toy:predict",
            {"instances": [{"x": "a", "k": 1}]},
            400,
            "Failed to process element: 0 key: x of 'instances' list. Error: INVALID_ARGUMENT: "
            'JSON Value: "a" Type: String is not of expected type: float',
        ),
        (
            "POST",
            "/v1/models/toy:predict",
            {"inputs": {"x": [1.0], "k": [1.5]}},
            400,
            "JSON Value: 1.5 Type: Number is not of expected type: int32",
        ),
        (
            "POST",
            "/v1/models/toy:predict",
            {"inputs": {"x": [1.0], "k": [2**31]}},
            400,
            "JSON Value: 2147483648 Type: Number is not of expected type: int32",
        ),
        (
            "POST",
            "/v1/models/toy:predict",
            {"inputs": {"x": [[1.0, 2.0], [3.0]], "k": [1]}},
            400,
            "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        (
            "POST",
            "/v1/models/toy:predict",
            {"signature_name": "shout", "inputs": [{"b64": "!"}]},
            400,
            "Unable to base64 decode",
        ),
        ("POST", "/v1/models/toy:predict", b"", 400, "JSON Parse error: The document is empty"),
    ],
)
def test_rest_refuses(
    server: Server, method: str, path: str, body: Any, status: int, text: str
) -> None:
    assert ask(server, method, path, body) == (status, {"error": text})


@pytest.mark.parametrize(
    ("body", "end"),
    [
        (b"{", "at offset: 1"),
        (b'{"inputs": \xff}', "at offset: 11"),
        (b'{"inputs": ' + b"[" * 100_000, "at offset: 0"),
        (b'{"inputs": ' + b"[" * 900 + b"]" * 900 + b"}", None),
        (b'{"inputs": {"x": ' + b"9" * 5000 + b"}}", "at offset: 0"),
    ],
)
def test_json_that_cannot_be_read_is_400(server: Server, body: bytes, end: str | None) -> None:
    status, answer = ask(server, "POST", "/v1/models/toy:predict", body)
    assert status == 400
    if end is not None:
        assert answer["error"].startswith("JSON Parse error: ")
        assert answer["error"].endswith(end)


def test_what_an_op_refuses_is_400(server: Server) -> None:
    status, answer = predict(server, {"inputs": {"x": [1.0, 2.0], "k": [1, 2, 3]}})
    assert status == 400
    assert answer["error"].startswith("Incompatible shapes: [3] vs. [2]")


def test_rows_need_outputs_of_one_length() -> None:
    request = predict_request(x=[1.0, 2.0], k=[1.0])
    with pytest.raises(StatusError, match="inconsistent batch size: 2 expecting: 1"):
        answer_json(request.inputs, rows=True)


def test_a_body_over_the_limit_is_refused_unread(server: Server) -> None:
    headers = {"Content-Length": str(server.options.max_message_bytes + 1)}
    assert server.rest_port is not None
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) as connection:
        lines = ["POST /v1/models/toy:predict HTTP/1.1", "Host: x"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /v1/models/toy:predict HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST /v1/models/toy:predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"GET " + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        (b"NONSENSE\r\n\r\n", b"400"),
    ],
)
def test_broken_http_is_answered(server: Server, head: bytes, status: bytes) -> None:
    assert server.rest_port is not None
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) as connection:
        connection.sendall(head)
        assert status in connection.recv(65536)
    assert predict(server, {"inputs": X})[0] == 200


def test_a_connection_is_kept(server: Server) -> None:
    assert server.rest_port is not None
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
    for _ in range(3):
        connection.request("GET", "/v1/models/toy")
        response = connection.getresponse()
        assert response.status == 200
        response.read()
        first = connection.sock
    assert connection.sock is first
    connection.close()


def test_prometheus_reads_the_metrics_under_their_stock_names(server: Server) -> None:
    assert predict(server, {"inputs": X})[0] == 200
    assert predict(server, {})[0] == 400
    assert server.rest_port is not None
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
    connection.request("GET", "/monitoring/prometheus/metrics")
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert response.getheader("Content-Type") == "text/plain"
    families = {family.name: family for family in text_string_to_metric_families(text)}
    counts = {
        (s.labels["model_name"], s.labels["status"]): s.value
        for s in families[":tensorflow:serving:request_count"].samples
    }
    assert counts["toy", "OK"] >= 1
    assert counts["toy", "INVALID_ARGUMENT"] >= 1
    latency = families[":tensorflow:serving:request_latency"]
    assert {"model_name", "API", "entrypoint"} <= set(latency.samples[0].labels)
    wanted = {"model_name": "toy", "API": "predict", "entrypoint": "REST"}
    rest = [s for s in latency.samples if wanted.items() <= s.labels.items()]
    buckets = [s.value for s in rest if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets) and buckets[-1] >= 1
    assert ":tensorflow:serving:runtime_latency" in families
