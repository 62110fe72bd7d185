"""What each call does, apart from gRPC or HTTP: both ports answer through these."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import grpc
import numpy as np

from serving.classify import run_classify, run_multi_inference, run_regress
from serving.metrics import Metrics
from serving.predict import (
    Runner,
    check_metadata_fields,
    run_metadata,
    run_predict,
)
from serving.repository import ModelRepository
from serving.status import StatusError, invalid

__all__ = ["Handlers", "RequestLogger"]

_LOG = logging.getLogger("serving")


class RequestLogger(Protocol):
    """Keeps a sample of requests: see `serving.request_log.RequestLog`."""

    def log(self, kind: str, model: str, request: Any, response: Any) -> None:
        """Logs a call that was answered, or not, as the sampling decides."""

    def configure(self, config: Any) -> None:
        """Takes each model's logging configuration from a `ModelConfigList`."""


class _Timed:
    """Measures the graph's part of a request."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.signatures = runner.signatures
        self.microseconds = 0.0

    def run(
        self, feeds: Sequence[str], fetches: Sequence[str], arrays: Sequence[np.ndarray]
    ) -> list[Any]:
        started = time.perf_counter()
        try:
            return self._runner.run(feeds, fetches, arrays)
        finally:
            self.microseconds += (time.perf_counter() - started) * 1e6


class Handlers:
    """The calls of PredictionService and ModelService.

    Args:
        repository: The models.
        metrics: Counts requests and their times.
        request_logger: Keeps a sample, if any.
    """

    def __init__(
        self,
        repository: ModelRepository,
        metrics: Metrics,
        request_logger: RequestLogger | None = None,
    ) -> None:
        self.repository = repository
        self.metrics = metrics
        self._request_logger = request_logger

    def predict(self, request: Any, response: Any) -> None:
        """Answers `Predict`; raises `StatusError` as every call here."""
        self._infer("Predict", "predict_log", run_predict, request, response)

    def classify(self, request: Any, response: Any) -> None:
        """Answers `Classify`."""
        self._infer("Classify", "classify_log", run_classify, request, response)

    def regress(self, request: Any, response: Any) -> None:
        """Answers `Regress`."""
        self._infer("Regress", "regress_log", run_regress, request, response)

    def multi_inference(self, request: Any, response: Any) -> None:
        """Answers `MultiInference`, by the model of its first task."""
        from tensorflow_serving.apis import model_pb2

        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        with self.repository.acquire(spec) as servable:
            count = run_multi_inference(servable.runner, servable.version, request, response)
        self._count_examples(spec.name, count)
        self._log("multi_inference_log", spec.name, request, response)

    def get_model_metadata(self, request: Any, response: Any) -> None:
        """Answers `GetModelMetadata`."""
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        check_metadata_fields(request.metadata_field)
        with self.repository.acquire(request.model_spec) as servable:
            run_metadata(
                servable.runner,
                servable.name,
                servable.version,
                request.metadata_field,
                response,
            )

    def get_model_status(self, request: Any, response: Any) -> None:
        """Answers `GetModelStatus`."""
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        for version, state, error in self.repository.statuses(request.model_spec):
            entry = response.model_version_status.add(version=version, state=state)
            entry.status.error_code = error.code.value[0] if error else 0
            entry.status.error_message = error.message if error else ""

    def reload_config(self, request: Any, response: Any) -> None:
        """Answers `HandleReloadConfigRequest`."""
        before = {name: self.metrics.value(name) for name in request.metric_names}
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        self.repository.configure(request.config.model_config_list, trusted=False)
        if self._request_logger is not None:
            self._request_logger.configure(request.config.model_config_list)
        for name, value in before.items():
            response.metric.add(name=name, int64_value_increase=self.metrics.value(name) - value)

    def _infer(
        self,
        api: str,
        log_type: str,
        run: Callable[[Any, int | None, Any, Any], int | None],
        request: Any,
        response: Any,
    ) -> None:
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        name = request.model_spec.name
        with self.repository.acquire(request.model_spec) as servable:
            runner = _Timed(servable.runner)
            count = run(runner, servable.version, request, response)
        self.metrics.observe(
            "/tensorflow/serving/runtime_latency", runner.microseconds, name, api, "TF1"
        )
        if count is not None:
            self._count_examples(name, count)
        self._log(log_type, name, request, response)

    def _count_examples(self, model: str, count: int) -> None:
        self.metrics.observe("/tensorflow/serving/request_example_counts", count, model)
        self.metrics.count("/tensorflow/serving/request_example_count_total", model, by=count)

    def _log(self, kind: str, model: str, request: Any, response: Any) -> None:
        if self._request_logger is not None:
            self._request_logger.log(kind, model, request, response)


def answer(
    handlers: Handlers,
    api: str,
    entrypoint: str,
    model: Callable[[], str],
    call: Callable[[], None],
) -> StatusError | None:
    """Runs a call and counts it.

    Args:
        handlers: Whose metrics count it.
        api: The call's name in metrics.
        entrypoint: `GRPC` or `REST`.
        model: Gives the model's name, once the call is over.
        call: The work.

    Returns:
        The status that the call ended with, or `None` when it was answered. A failure of the
        server itself is logged with its traceback and told to the client as `INTERNAL`.
    """
    started = time.perf_counter()
    error: StatusError | None = None
    try:
        call()
    except StatusError as caught:
        error = caught
    except Exception as caught:
        _LOG.exception("%s failed", api)
        error = StatusError(
            grpc.StatusCode.INTERNAL, f"{type(caught).__name__} while answering {api}"
        )
    elapsed = (time.perf_counter() - started) * 1e6
    if error is None:
        handlers.metrics.observe(
            "/tensorflow/serving/request_latency", elapsed, model(), api, entrypoint
        )
    handlers.metrics.count(
        "/tensorflow/serving/request_count", model(), error.code.name if error else "OK"
    )
    return error
