"""The paths of the REST API: which call a method and path stand for, and its answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import grpc
from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    regression_pb2,
)

from serving import rest_examples, rest_json
from serving.handlers import Handlers, answer
from serving.predict import DEFAULT_SIGNATURE, SIGNATURE_DEF
from serving.status import invalid

__all__ = ["RestApi"]

_VERSION = r"(?:(?:/versions/([0-9]+))|(?:/labels/([^/:]+)))?"
_POST = re.compile(rf"/v1/models/([^/:]+){_VERSION}:(classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(rf"/v1/models(?:/([^/:]+))?{_VERSION}(?:/(metadata))?", re.IGNORECASE)

_HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


class RestApi:
    """Answers requests below `/v1/`.

    Args:
        handlers: What answers.
    """

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    def respond(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Answers one request.

        Args:
            method: The HTTP method.
            path: The path, without its query.
            body: The body.

        Returns:
            The HTTP status and the JSON body.
        """
        content: dict[str, Any] = {}
        match = (_POST if method == "POST" else _GET).fullmatch(path)
        name, version, label, call = match.groups() if match else (None, None, None, None)

        def work() -> None:
            if match is None or method not in ("GET", "POST"):
                raise invalid(f"Malformed request: {method} {path}")
            spec = _spec(unquote(name or ""), version, label)
            if method == "GET":
                content.update(self._get(spec, call))
            else:
                content.update(self._post(spec, call, method, path, body))

        error = answer(
            self._handlers,
            call or "",
            "REST",
            lambda: unquote(name or ""),
            work,
        )
        if error is not None:
            return _HTTP.get(error.code, 500), _json({"error": error.message})
        return 200, _json(content)

    def _get(self, spec: Mapping[str, Any], call: str | None) -> dict[str, Any]:
        if not spec["name"]:
            raise invalid("Missing model name in request.")
        if call is None:
            status = get_model_status_pb2.GetModelStatusResponse()
            self._handlers.get_model_status(
                get_model_status_pb2.GetModelStatusRequest(model_spec=spec), status
            )
            return dict(
                json_format.MessageToDict(status, always_print_fields_with_no_presence=True)
            )
        if call != "metadata":
            raise invalid(f"Malformed request: GET {call}")
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec, metadata_field=[SIGNATURE_DEF]
        )
        self._handlers.get_model_metadata(request, response)
        table = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[SIGNATURE_DEF].Unpack(table)
        return {
            "model_spec": _message(response.model_spec),
            "metadata": {SIGNATURE_DEF: _message(table)},
        }

    def _post(
        self, spec: Mapping[str, Any], call: str | None, method: str, path: str, body: bytes
    ) -> dict[str, Any]:
        if call == "predict":
            return self._predict(spec, body)
        if call == "classify":
            classification = classification_pb2.ClassificationRequest(model_spec=spec)
            rest_examples.fill_examples(rest_json.parse(body), classification)
            classes = classification_pb2.ClassificationResponse()
            self._handlers.classify(classification, classes)
            return rest_examples.classify_json(classes.result)
        if call == "regress":
            regression = regression_pb2.RegressionRequest(model_spec=spec)
            rest_examples.fill_examples(rest_json.parse(body), regression)
            values = regression_pb2.RegressionResponse()
            self._handlers.regress(regression, values)
            return rest_examples.regress_json(values.result)
        raise invalid(f"Malformed request: {method} {path}")

    def _predict(self, spec: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        request = predict_pb2.PredictRequest(model_spec=spec)

        def inputs_of() -> Mapping[str, Any]:
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            with self._handlers.repository.acquire(request.model_spec) as servable:
                signature = servable.runner.signatures.get(name)
            if signature is None:
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            inputs: Mapping[str, Any] = signature.inputs
            return inputs

        rows = rest_json.fill_predict(rest_json.parse(body), inputs_of, request)
        response = predict_pb2.PredictResponse()
        self._handlers.predict(request, response)
        return rest_json.answer_json(response.outputs, rows=rows)


def _spec(name: str, version: str | None, label: str | None) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": name}
    if version is not None:
        if int(version[:40]) >= 2**63:
            raise invalid(f"Failed to convert version: {version} to numeric.")
        spec["version"] = {"value": int(version)}
    if label is not None:
        spec["version_label"] = unquote(label)
    return spec


def _message(message: Any) -> dict[str, Any]:
    return dict(
        json_format.MessageToDict(
            message,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
    )


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", errors="replace")
