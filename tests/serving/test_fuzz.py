"""Malformed requests of every kind: a right status each, no crash, no growth, still answering."""

from __future__ import annotations

import gc
import http.client
import json
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import predict_pb2

from serving.server import Server
from tests.serving.toy_models import predict_request

SETTINGS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# A client's mistake is told as one; the server's own failures are none of these.
CLIENT_FAULTS = {
    "FAILED_PRECONDITION",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
}
GOOD = predict_request(x=np.ones(1, np.float32), k=np.ones(1, np.int32)).SerializeToString()

SHAPES = st.lists(st.integers(-2, 3) | st.sampled_from([2**31, 2**62]), max_size=4)
TENSORS = st.builds(
    lambda dtype, shape, floats, ints, strings, content: predict_pb2.PredictRequest(
        inputs={
            "x": {
                "dtype": dtype,
                "tensor_shape": {"dim": [{"size": size} for size in shape]},
                "float_val": floats,
                "int_val": ints,
                "string_val": strings,
                "tensor_content": content,
            }
        }
    ).inputs["x"],
    st.integers(-1, 130),
    SHAPES,
    st.lists(st.floats(width=32), max_size=3),
    st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3),
    st.lists(st.binary(max_size=4), max_size=3),
    st.binary(max_size=9),
)
NAMES = st.sampled_from(["toy", "songs", "examples", "", "nope", "ü" * 300])


def send(channel: grpc.Channel, data: bytes) -> str:
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    try:
        call(data, timeout=20)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


@SETTINGS
@given(
    name=NAMES,
    signature=st.sampled_from(
        ["", "recommend", "shout", "classify", "zz", "__saved_model_init_op"]
    ),
    inputs=st.dictionaries(st.sampled_from(["x", "k", "title", "user_id", "inputs"]), TENSORS),
    outputs=st.lists(st.sampled_from(["y", "id", "zz"]), max_size=3),
    version=st.none() | st.integers(-(2**63), 2**63 - 1),
)
def test_any_request_gets_a_client_status(
    channel: grpc.Channel,
    name: str,
    signature: str,
    inputs: dict[str, Any],
    outputs: list[str],
    version: int | None,
) -> None:
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for key, tensor in inputs.items():
        request.inputs[key].CopyFrom(tensor)
    assert send(channel, request.SerializeToString()) in CLIENT_FAULTS | {"OK"}
    assert send(channel, GOOD) == "OK"


@SETTINGS
@given(data=st.binary(max_size=200), position=st.integers(0, len(GOOD) - 1))
def test_any_bytes_get_a_status(channel: grpc.Channel, data: bytes, position: int) -> None:
    """Bytes that are no message are INTERNAL, as gRPC itself answers in every language."""
    damaged = GOOD[:position] + data + GOOD[position + 1 :]
    for content in (data, damaged):
        assert send(channel, content) in CLIENT_FAULTS | {"OK", "INTERNAL"}
    assert send(channel, GOOD) == "OK"


def test_an_oversized_message_is_refused_unread(server: Server) -> None:
    big = predict_request(x=np.ones(server.options.max_message_bytes // 4 + 8, np.float32))
    with grpc.insecure_channel(
        f"127.0.0.1:{server.port}", [("grpc.max_send_message_length", -1)]
    ) as channel:
        assert send(channel, big.SerializeToString()) == "RESOURCE_EXHAUSTED"
        assert send(channel, GOOD) == "OK"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just({"b64": "AA=="}),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["x", "k", "b64", "title", "a", "examples"]), children, max_size=3
        )
    ),
    max_leaves=12,
)
KEYS = ["instances", "inputs", "signature_name", "examples", "context"]


@SETTINGS
@given(
    body=st.dictionaries(st.sampled_from(KEYS), JSON).map(
        lambda content: json.dumps(content).encode()
    )
    | st.binary(max_size=60)
    | JSON.map(lambda content: json.dumps(content).encode()),
    call=st.sampled_from(["toy:predict", "examples:classify", "examples:regress", "toy:classify"]),
)
def test_any_body_gets_a_client_status(server: Server, body: bytes, call: str) -> None:
    assert server.rest_port is not None
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
    connection.request("POST", f"/v1/models/{call}", body)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    assert response.status in (200, 400, 404, 501), answer
    assert ("error" in answer) == (response.status != 200)


@pytest.mark.slow
def test_refusing_two_thousand_requests_holds_no_memory(channel: grpc.Channel) -> None:
    """Objects that live on after 2,000 refusals are fewer than one for ten requests."""
    bad = predict_request(x=tf.make_tensor_proto(["a"]), k=np.ones(1, np.int32))
    unknown = predict_request("m", x=np.ones(1, np.float32))

    def refuse(count: int) -> None:
        for number in range(count):
            unknown.model_spec.name = f"model-{number}"
            assert send(channel, bad.SerializeToString()) == "INVALID_ARGUMENT"
            assert send(channel, unknown.SerializeToString()) == "NOT_FOUND"

    refuse(600)
    gc.collect()
    before = len(gc.get_objects())
    refuse(1000)
    gc.collect()
    assert len(gc.get_objects()) - before < 200


REST_BODIES = (
    st.dictionaries(st.sampled_from(KEYS), JSON).map(lambda content: json.dumps(content).encode())
    | st.binary(max_size=60)
    | st.integers(1, 50_000).map(lambda depth: b'{"instances":' + b"[" * depth)
    | st.integers(1, 2_000).map(lambda depth: b"[" * depth + b"]" * depth)
)


@pytest.mark.slow
def test_two_thousand_malformed_requests_leave_no_trace(
    server: Server, channel: grpc.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    """1,000 protos and raw bytes over gRPC, 1,000 bodies over REST; then as many objects as before.

    The right code each: a client's mistake, never the server's; bytes that are no message are
    INTERNAL, as gRPC has it.
    """
    whole = settings(SETTINGS, max_examples=500, database=None)

    @whole
    @given(inputs=st.dictionaries(st.sampled_from(["x", "k", "inputs"]), TENSORS), name=NAMES)
    def protos(inputs: dict[str, Any], name: str) -> None:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        for key, tensor in inputs.items():
            request.inputs[key].CopyFrom(tensor)
        assert send(channel, request.SerializeToString()) in CLIENT_FAULTS | {"OK"}

    @whole
    @given(data=st.binary(max_size=200), position=st.integers(0, len(GOOD) - 1))
    def raw(data: bytes, position: int) -> None:
        damaged = GOOD[:position] + data + GOOD[position + 1 :]
        assert send(channel, damaged) in CLIENT_FAULTS | {"OK", "INTERNAL"}

    @settings(whole, max_examples=1000)
    @given(body=REST_BODIES)
    def rest(body: bytes) -> None:
        assert server.rest_port is not None
        connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
        connection.request("POST", "/v1/models/toy:predict", body)
        response = connection.getresponse()
        response.read()
        connection.close()
        assert response.status in (200, 400, 404)

    def count() -> int:
        # Hypothesis keeps what it tried; only what serves is counted.
        gc.collect()
        kinds = ("serving", "grpc", "tensorflow_serving", "tensorflow")
        return sum(str(type(each).__module__).split(".")[0] in kinds for each in gc.get_objects())

    refused = [protos, raw, rest]
    for each in refused:
        each()
    before = count()
    for each in refused:
        each()
    assert count() - before < 200
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert send(channel, GOOD) == "OK"


def test_a_string_without_a_shape_is_answered(channel: grpc.Channel) -> None:
    """Found by 2,000 malformed requests: TensorFlow gives such an output as bytes, not an array."""
    request = predict_request(signature="shout", title=tf.make_tensor_proto("a"))
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    answer = call(request.SerializeToString(), timeout=20)
    output = predict_pb2.PredictResponse.FromString(answer).outputs["title_bytes"]
    assert output.string_val == [b"A"] and not output.tensor_shape.dim
