"""The error table of TensorFlow Serving, row by row over real gRPC on loopback."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import any_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
    session_service_pb2,
)

from tests.serving.toy_models import predict_request

X = np.array([1.0, 2.0], np.float32)
K = np.array([3, 4], np.int32)


def stub(channel: grpc.Channel) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def failure(call: Any, request: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=20)
    return caught.value.code().name, caught.value.details()


def test_predict_answers_in_typed_fields_with_the_version(channel: grpc.Channel) -> None:
    answer = stub(channel).Predict(predict_request(x=X, k=K), timeout=20)
    assert list(answer.outputs["y"].float_val) == [3.0, 8.0]
    assert list(answer.outputs["id"].string_val) == [b"v1", b"v1"]
    assert [dim.size for dim in answer.outputs["y"].tensor_shape.dim] == [2]
    assert not answer.outputs["y"].tensor_content
    assert answer.model_spec.name == "toy"
    assert answer.model_spec.version.value == 1
    assert answer.model_spec.signature_name == "serving_default"


def test_an_output_filter_chooses(channel: grpc.Channel) -> None:
    answer = stub(channel).Predict(predict_request(x=X, k=K, outputs=["y"]), timeout=20)
    assert list(answer.outputs) == ["y"]


BROKEN = tf.make_tensor_proto(X)
BROKEN.tensor_content = b"\x00" * 7
UNTYPED = tf.make_tensor_proto(X)
UNTYPED.dtype = 0
NEGATIVE = tf.make_tensor_proto(X)
NEGATIVE.tensor_shape.dim[0].size = -2
HUGE = tf.make_tensor_proto(X)
HUGE.tensor_content = b""
HUGE.tensor_shape.dim[0].size = 2**50


@pytest.mark.parametrize(
    ("request_message", "code", "text"),
    [
        pytest.param(
            predict_request("nope", x=X, k=K),
            "NOT_FOUND",
            "Servable not found for request: Latest(nope)",
            id="unknown model",
        ),
        pytest.param(
            predict_request(version=9, x=X, k=K),
            "NOT_FOUND",
            "Servable not found for request: Specific(toy, 9)",
            id="unknown version",
        ),
        pytest.param(
            predict_request(version=0, x=X, k=K),
            "NOT_FOUND",
            "Servable not found for request: Specific(toy, 0)",
            id="version 0 is not the latest",
        ),
        pytest.param(
            predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec", id="no spec"
        ),
        pytest.param(
            predict_request("", x=X, k=K),
            "INVALID_ARGUMENT",
            "ModelSpec has no name specified.",
            id="no name",
        ),
        pytest.param(
            predict_request(label="zz", x=X, k=K),
            "INVALID_ARGUMENT",
            "Unrecognized servable version label: zz",
            id="unknown label",
        ),
        pytest.param(
            predict_request(signature="zz", x=X, k=K),
            "FAILED_PRECONDITION",
            'Serving signature key "zz" not found.',
            id="unknown signature",
        ),
        pytest.param(
            predict_request(x=X),
            "INVALID_ARGUMENT",
            "input size does not match signature: 1!=2 len({x}) != len({k,x}). "
            "Sent extra: {}. Missing but required: {k}.",
            id="missing input",
        ),
        pytest.param(
            predict_request(x=X, k=K, z=X),
            "INVALID_ARGUMENT",
            "input size does not match signature: 3!=2 len({k,x,z}) != len({k,x}). "
            "Sent extra: {z}. Missing but required: {}.",
            id="extra input",
        ),
        pytest.param(
            predict_request(x=np.array([1, 2], np.int64), k=K),
            "INVALID_ARGUMENT",
            "Expects arg[1] to be float but int64 is provided",
            id="wrong dtype",
        ),
        pytest.param(
            predict_request(x=X, k=["a", "b"]),
            "INVALID_ARGUMENT",
            "Expects arg[0] to be int32 but string is provided",
            id="string for a number",
        ),
        pytest.param(
            predict_request(x=BROKEN, k=K),
            "INVALID_ARGUMENT",
            "tensor parsing error: x",
            id="corrupt tensor",
        ),
        pytest.param(
            predict_request(x=UNTYPED, k=K),
            "INVALID_ARGUMENT",
            "tensor parsing error: x",
            id="tensor without a type",
        ),
        pytest.param(
            predict_request(x=NEGATIVE, k=K),
            "INVALID_ARGUMENT",
            "tensor parsing error: x",
            id="negative dimension",
        ),
        pytest.param(
            predict_request(x=HUGE, k=K),
            "INVALID_ARGUMENT",
            "tensor parsing error: x",
            id="a few bytes that claim a petabyte",
        ),
        pytest.param(
            predict_request(x=X, k=K, outputs=["q"]),
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: q "
            "Outputs expected to be in the set {id,y}.",
            id="unknown output",
        ),
        pytest.param(
            predict_request(x=X, k=K, outputs=["y", "y"]),
            "INVALID_ARGUMENT",
            "duplicate output tensor alias: y",
            id="output twice",
        ),
    ],
)
def test_predict_refuses(channel: grpc.Channel, request_message: Any, code: str, text: str) -> None:
    assert failure(stub(channel).Predict, request_message) == (code, text)


def test_a_wrong_name_among_the_right_number_of_inputs_is_refused(channel: grpc.Channel) -> None:
    code, text = failure(stub(channel).Predict, predict_request(x=X, z=K))
    assert code == "INVALID_ARGUMENT"
    assert "input alias: k(feed name: serving_default_k:0) not found in request" in text


def test_a_wrong_shape_is_refused_by_the_op_not_by_the_server(channel: grpc.Channel) -> None:
    code, text = failure(
        stub(channel).Predict, predict_request(x=X, k=np.array([1, 2, 3], np.int32))
    )
    assert code == "INVALID_ARGUMENT"
    assert text.startswith("Incompatible shapes: [3] vs. [2]")
    # No signature shape is compared: a matrix is multiplied as it is.
    answer = stub(channel).Predict(predict_request(x=X[None], k=K[None]), timeout=20)
    assert list(answer.outputs["y"].float_val) == [3.0, 8.0]


def test_a_long_text_is_cut_at_1024_characters(channel: grpc.Channel) -> None:
    code, text = failure(stub(channel).Predict, predict_request("m" * 3000, x=X, k=K))
    start = "Servable not found for request: Latest("
    assert (code, text) == (
        "NOT_FOUND",
        start + "m" * (1024 - len(start)) + "...TRUNCATED",
    )


@pytest.mark.parametrize(
    ("model", "fields", "code", "text"),
    [
        (
            "toy",
            [],
            "INVALID_ARGUMENT",
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        ("toy", ["foo"], "INVALID_ARGUMENT", "Metadata field foo is not supported"),
        (
            "nope",
            ["signature_def"],
            "NOT_FOUND",
            "Servable not found for request: Latest(nope)",
        ),
        (None, ["signature_def"], "INVALID_ARGUMENT", "Missing ModelSpec"),
    ],
)
def test_metadata_refuses(
    channel: grpc.Channel, model: str | None, fields: list[str], code: str, text: str
) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    if model is not None:
        request.model_spec.name = model
    assert failure(stub(channel).GetModelMetadata, request) == (code, text)


def test_metadata_tells_the_signatures(channel: grpc.Channel) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "toy"
    answer = stub(channel).GetModelMetadata(request, timeout=20)
    table = get_model_metadata_pb2.SignatureDefMap()
    assert isinstance(answer.metadata["signature_def"], any_pb2.Any)
    assert answer.metadata["signature_def"].Unpack(table)
    assert sorted(table.signature_def["serving_default"].inputs) == ["k", "x"]
    assert answer.model_spec.version.value == 1


@pytest.mark.parametrize(
    ("spec", "code", "text"),
    [
        ({"name": "nope"}, "NOT_FOUND", "Could not find any versions of model nope"),
        (
            {"name": "toy", "version": {"value": 9}},
            "NOT_FOUND",
            "Could not find version 9 of model toy",
        ),
        (None, "INVALID_ARGUMENT", "Missing ModelSpec"),
    ],
)
def test_status_refuses(channel: grpc.Channel, spec: Any, code: str, text: str) -> None:
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
    assert failure(models.GetModelStatus, request) == (code, text)


def test_status_of_a_served_model(channel: grpc.Channel) -> None:
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "toy"})
    (entry,) = models.GetModelStatus(request, timeout=20).model_version_status
    assert (entry.version, entry.state) == (1, entry.AVAILABLE)
    assert entry.status.error_code == 0


def test_sessions_are_not_served(channel: grpc.Channel) -> None:
    call = channel.unary_unary(
        "/tensorflow.serving.SessionService/SessionRun",
        request_serializer=session_service_pb2.SessionRunRequest.SerializeToString,
        response_deserializer=session_service_pb2.SessionRunResponse.FromString,
    )
    assert failure(call, session_service_pb2.SessionRunRequest())[0] == "UNIMPLEMENTED"


def test_there_is_no_reflection(channel: grpc.Channel) -> None:
    call = channel.unary_unary("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    assert failure(call, b"")[0] == "UNIMPLEMENTED"


def test_health_is_told_for_two_names(channel: grpc.Channel) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", "PredictionService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=20)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert failure(health.Check, health_pb2.HealthCheckRequest(service="x"))[0] == "NOT_FOUND"


def examples(*values: float) -> dict[str, Any]:
    records = [
        tf.train.Example(
            features=tf.train.Features(
                feature={"a": tf.train.Feature(float_list=tf.train.FloatList(value=[value]))}
            )
        )
        for value in values
    ]
    return {"example_list": {"examples": records}}


def test_classify_answers(channel: grpc.Channel) -> None:
    request = classification_pb2.ClassificationRequest(
        model_spec={"name": "examples", "signature_name": "classify"}, input=examples(0.25, 1.0)
    )
    rows = stub(channel).Classify(request, timeout=20).result.classifications
    assert [[(c.label, c.score) for c in row.classes] for row in rows] == [
        [("low", 0.75), ("high", 0.25)],
        [("low", 0.0), ("high", 1.0)],
    ]


def test_regress_answers_and_takes_a_context(channel: grpc.Channel) -> None:
    request = regression_pb2.RegressionRequest(
        model_spec={"name": "examples"}, input=examples(0.25, 1.0)
    )
    answer = stub(channel).Regress(request, timeout=20)
    assert [entry.value for entry in answer.result.regressions] == [0.5, 2.0]
    shared = regression_pb2.RegressionRequest(model_spec={"name": "examples"})
    shared.input.example_list_with_context.context.CopyFrom(
        examples(0.5)["example_list"]["examples"][0]
    )
    shared.input.example_list_with_context.examples.add()
    answer = stub(channel).Regress(shared, timeout=20)
    assert [entry.value for entry in answer.result.regressions] == [1.0]


def test_multi_inference_answers_both_heads(channel: grpc.Channel) -> None:
    request = inference_pb2.MultiInferenceRequest(input=examples(0.25))
    request.tasks.add(
        model_spec={"name": "examples", "signature_name": "classify"},
        method_name="tensorflow/serving/classify",
    )
    request.tasks.add(model_spec={"name": "examples"}, method_name="tensorflow/serving/regress")
    first, second = stub(channel).MultiInference(request, timeout=20).results
    assert first.classification_result.classifications[0].classes[1].score == 0.25
    assert second.regression_result.regressions[0].value == 0.5


@pytest.mark.parametrize(
    ("call", "message", "text"),
    [
        (
            "Classify",
            classification_pb2.ClassificationRequest(
                model_spec={"name": "examples", "signature_name": "zz"}, input=examples(1.0)
            ),
            "No signature was found with the name: zz",
        ),
        (
            "Classify",
            classification_pb2.ClassificationRequest(
                model_spec={"name": "examples", "signature_name": "classify"}
            ),
            "Input is empty.",
        ),
        (
            "Classify",
            classification_pb2.ClassificationRequest(
                model_spec={"name": "toy"}, input=examples(1.0)
            ),
            "Expected one input Tensor.",
        ),
        (
            "Regress",
            regression_pb2.RegressionRequest(
                model_spec={"name": "examples", "signature_name": "classify"}, input=examples(1.0)
            ),
            "Expected one output Tensor.",
        ),
        ("Regress", regression_pb2.RegressionRequest(), "Missing ModelSpec"),
        (
            "MultiInference",
            inference_pb2.MultiInferenceRequest(),
            "ModelSpec has no name specified.",
        ),
    ],
)
def test_example_calls_refuse(channel: grpc.Channel, call: str, message: Any, text: str) -> None:
    assert failure(getattr(stub(channel), call), message) == ("INVALID_ARGUMENT", text)


def test_reload_takes_only_a_list_of_models(channel: grpc.Channel) -> None:
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    code, text = failure(
        models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest()
    )
    assert code == "INVALID_ARGUMENT"
    assert text.endswith("Only ModelConfigList is currently supported")
