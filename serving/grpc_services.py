"""PredictionService and ModelService over gRPC."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import grpc
from google.protobuf.message import DecodeError
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
)

from serving.calls import MODELS_METADATA
from serving.handlers import Handlers, answer
from serving.status import truncated

__all__ = ["Draining", "ModelService", "PredictionService", "WholeMessages", "add_services"]

# Without a new request for so long nothing that arrived waits in gRPC any more.
_QUIET_SECONDS = 0.1
_STOPPING = "The server is stopping"


class Draining(grpc.ServerInterceptor):
    """Turns new requests away once the server stops, so that clients ask another one.

    A gRPC server that is stopped answers `CANCELLED` whatever arrived without having been fetched,
    which under load is nearly every client's request (grpcio 1.85), and which nobody asks again.
    `UNAVAILABLE` is asked again.
    """

    def __init__(self) -> None:
        self._stopping = False
        self._arrived = threading.Event()
        self._last = 0.0

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        """The service's handler, or one that turns away."""
        self._last = time.monotonic()
        self._arrived.set()
        if self._stopping:
            return grpc.unary_unary_rpc_method_handler(_turn_away)
        return continuation(details)

    def drain(self, longest: float) -> None:
        """Turns away what comes from now on, until nothing comes any more.

        Args:
            longest: Seconds to wait for that, where clients don't cease.
        """
        self._stopping = True
        self._last = time.monotonic()
        end = self._last + longest
        while (quiet := min(self._last + _QUIET_SECONDS, end) - time.monotonic()) > 0:
            self._arrived.clear()
            self._arrived.wait(quiet)


def _turn_away(data: bytes, context: grpc.ServicerContext) -> Any:
    context.abort(grpc.StatusCode.UNAVAILABLE, _STOPPING)


class WholeMessages(grpc.ServerInterceptor):
    """Parses requests itself: bytes that are no message are answered as gRPC answers them.

    Where gRPC's own deserialising fails, its Python server never frees the call (grpcio 1.85), so
    that anybody could fill the memory, and logs a traceback for each.
    """

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        """The service's handler, given bytes."""
        handler = continuation(details)
        if handler is None or handler.unary_unary is None or handler.request_deserializer is None:
            return handler

        def parsed(data: bytes, context: grpc.ServicerContext) -> Any:
            try:
                request = handler.request_deserializer(data)
            except DecodeError:
                context.abort(grpc.StatusCode.INTERNAL, "Exception deserializing request!")
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(
            parsed, response_serializer=handler.response_serializer
        )


def _respond(
    handlers: Handlers,
    api: str,
    model: str,
    call: Callable[[], None],
    context: grpc.ServicerContext,
) -> None:
    error = answer(handlers, api, "GRPC", lambda: model, call)
    if error is None:
        return
    if error.code is grpc.StatusCode.NOT_FOUND:
        # Beside the stock answer, so that a client can tell a person which names there are.
        names = ",".join(map(quote, handlers.repository.models()))
        context.set_trailing_metadata(((MODELS_METADATA, names),))
    context.abort(error.code, truncated(error.message))


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predictions and metadata. SessionService is not registered, as in the stock server.

    Args:
        handlers: What answers.
    """

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Answers with the outputs of a signature."""
        response = predict_pb2.PredictResponse()
        call = self._handlers.predict
        name = request.model_spec.name
        _respond(self._handlers, "Predict", name, lambda: call(request, response), context)
        return response

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Answers with classes and scores of examples."""
        response = classification_pb2.ClassificationResponse()
        call = self._handlers.classify
        name = request.model_spec.name
        _respond(self._handlers, "Classify", name, lambda: call(request, response), context)
        return response

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Answers with a number for each example."""
        response = regression_pb2.RegressionResponse()
        call = self._handlers.regress
        name = request.model_spec.name
        _respond(self._handlers, "Regress", name, lambda: call(request, response), context)
        return response

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Answers several heads from the same examples."""
        response = inference_pb2.MultiInferenceResponse()
        call = self._handlers.multi_inference
        name = request.tasks[0].model_spec.name if request.tasks else ""
        _respond(self._handlers, "MultiInference", name, lambda: call(request, response), context)
        return response

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Answers with the signatures of a version."""
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        call = self._handlers.get_model_metadata
        name = request.model_spec.name
        _respond(self._handlers, "GetModelMetadata", name, lambda: call(request, response), context)
        return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Status of models, and which models there are.

    Args:
        handlers: What answers.
    """

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Answers with the state of each version, newest first."""
        response = get_model_status_pb2.GetModelStatusResponse()
        call = self._handlers.get_model_status
        name = request.model_spec.name
        _respond(self._handlers, "GetModelStatus", name, lambda: call(request, response), context)
        return response

    def HandleReloadConfigRequest(  # noqa: N802
        self, request: Any, context: grpc.ServicerContext
    ) -> Any:
        """Replaces the list of models."""
        response = model_management_pb2.ReloadConfigResponse()
        call = self._handlers.reload_config
        _respond(
            self._handlers,
            "HandleReloadConfigRequest",
            "",
            lambda: call(request, response),
            context,
        )
        return response


def add_services(handlers: Handlers, server: grpc.Server) -> None:
    """Registers both services."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(handlers), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(handlers), server)
