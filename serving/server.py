"""The embedded server: TensorFlow Serving's protocol for development, tests and small loads."""

from __future__ import annotations

import logging
import socket
import threading
import time
from concurrent import futures
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc

from serving import stock_files
from serving.batching import BatchedModel, BatchingOptions, BatchScheduler
from serving.grpc_services import Draining, WholeMessages, add_services
from serving.handlers import Handlers
from serving.loaded_model import LoadedModel
from serving.metrics import Metrics
from serving.options import ServerOptions
from serving.pages import demonstration_pages
from serving.repository import ModelRepository
from serving.request_log import RequestLog
from serving.rest_api import RestApi
from serving.rest_server import Page, RestServer
from serving.status import StatusError
from serving.warmup import run_warmup
from tfrec.errors import DescriptionError, ExportError, ServingError
from tfrec.published import check_manifest, read_key

__all__ = ["Server"]

_LOG = logging.getLogger("serving")
METRICS_PATH = "/monitoring/prometheus/metrics"
# A request that gRPC's Python thread hasn't fetched after 30 s is answered `CANCELLED`, though its
# client still waits: a machine that does something else for so long loses requests. How long an
# answer is worth waiting for is the client's to say, by its deadline; TensorFlow's own gRPC
# services wait an hour, too.
UNFETCHED_SECONDS = 3600
HEALTH_NAMES = ("", "PredictionService")


class Server:
    """A server that speaks PredictionService and ModelService.

    Args:
        options: What to serve, and where.

    Example::

        options = ServerOptions(model_name="songs", model_base_path="/models/songs", port=0)
        with Server(options) as server:
            client = Client(f"127.0.0.1:{server.port}")

    Attributes:
        port: The gRPC port, once started.
        rest_port: The REST port, once started; `None` without REST.
        repository: The models, for a caller that polls by itself.
        metrics: What Prometheus would see.
    """

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.metrics = Metrics()
        self.repository = ModelRepository(
            self._load,
            allow_labels_for_unavailable=options.allow_version_labels_for_unavailable_models,
            model_root=options.model_root,
        )
        required = options.require_signature
        self._key = read_key(required) if required is not None else None
        self.port = options.port
        self.rest_port: int | None = None
        self._grpc: grpc.Server | None = None
        self._draining = Draining()
        self._rest: RestServer | None = None
        self._scheduler: BatchScheduler | None = None
        self._request_log: RequestLog | None = None
        self._health: Any = None
        self._stopping = threading.Event()
        self._poller: threading.Thread | None = None

    def start(self) -> Server:
        """Loads the models and opens the ports.

        Returns:
            The server itself.

        Raises:
            ServingError: A model has no version that can be loaded, or a port is taken.
            DescriptionError: A configuration file is wrong.
        """
        options = self.options
        credentials = self._credentials()
        pages = self._monitoring_page()
        models = self._models()
        # Loading takes long, and a port that is taken then would be found out last.
        _check_free(options.host, options.port, "gRPC", "--port")
        _check_free(options.host, options.rest_api_port, "REST", "--rest-port")
        if options.request_log_dir is not None and options.request_log_key_file is not None:
            self._request_log = RequestLog(
                options.request_log_dir,
                options.request_log_key_file,
                options.request_log_rate,
                self.metrics,
            )
            self._request_log.configure(models)
        if options.enable_batching:
            self._scheduler = BatchScheduler(self._batching())
        try:
            self.repository.configure(models)
        except StatusError as error:
            self.stop()
            raise ServingError(
                str(options.model_config_file or options.model_base_path),
                "every model needs a version that can be loaded",
                received=error.message,
                remedy="Export one, or correct the path and the version; "
                "a base path holds folders named 1, 2, …",
            ) from error
        handlers = Handlers(self.repository, self.metrics, self._request_log)
        try:
            self._start_grpc(handlers, credentials)
            if options.rest_api_port is not None:
                self._start_rest(handlers, pages)
        except ServingError:
            self.stop()
            raise
        if options.file_system_poll_wait_seconds > 0:
            self._poller = threading.Thread(target=self._poll, name="version-watch", daemon=True)
            self._poller.start()
        return self

    def stop(self) -> None:
        """Refuses new requests, finishes those under way, and frees the models."""
        self._stopping.set()
        if self._health is not None:
            self._health.enter_graceful_shutdown()
        if self._grpc is not None:
            self._draining.drain(longest=min(1.0, self.options.drain_seconds))
            self._grpc.stop(self.options.drain_seconds).wait()
        if self._rest is not None:
            self._rest.stop()
        if self._poller is not None:
            self._poller.join()
        self.repository.close()
        if self._scheduler is not None:
            self._scheduler.close()
        if self._request_log is not None:
            self._request_log.close()

    def request_stop(self) -> None:
        """Ends `wait`; safe in a signal handler."""
        self._stopping.set()

    def wait(self) -> None:
        """Blocks until `request_stop` or `stop` is called elsewhere."""
        self._stopping.wait()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _models(self) -> Any:
        options = self.options
        if options.model_config_file is not None:
            return stock_files.read_models(options.model_config_file)
        assert options.model_base_path is not None
        return stock_files.single_model(options.model_name, options.model_base_path.absolute())

    def _batching(self) -> BatchingOptions:
        path = self.options.batching_parameters_file
        if path is None:
            return BatchingOptions()
        return BatchingOptions.of(stock_files.read_batching_parameters(path))

    def _monitoring_page(self) -> dict[str, Page]:
        path = METRICS_PATH
        if self.options.monitoring_config_file is not None:
            config = stock_files.read_monitoring(self.options.monitoring_config_file)
            if not config.prometheus_config.enable:
                return {}
            path = config.prometheus_config.path or path
        return {path: ("text/plain", lambda query: self.metrics.page().encode())}

    def _start_rest(self, handlers: Handlers, pages: dict[str, Page]) -> None:
        options = self.options
        assert options.rest_api_port is not None
        if options.ui:
            pages = pages | demonstration_pages(self.repository)
        self._rest = RestServer(
            options.host,
            options.rest_api_port,
            RestApi(handlers).respond,
            pages,
            max_bytes=options.max_message_bytes,
            timeout=options.rest_api_timeout_in_ms / 1000,
        )
        self.rest_port = self._rest.port
        self._rest.start()

    def _load(
        self, name: str, version: int, path: Path, base_path: Path
    ) -> LoadedModel | BatchedModel:
        options = self.options
        loaded: LoadedModel | None = None
        status = "success"
        try:
            self._check_files(path, version)
            loaded = LoadedModel(
                path,
                base_path,
                intra_op_threads=options.tensorflow_intra_op_parallelism,
                inter_op_threads=options.tensorflow_inter_op_parallelism,
            )
            if options.enable_model_warmup:
                self._warm_up(loaded, path)
        except Exception as error:
            if loaded is not None:
                loaded.close()
            status = "fail"
            if isinstance(error, StatusError):
                raise
            # A version may be damaged in ways that nobody foresaw; the ones that serve go on.
            _LOG.exception("loading %s version %d failed", name, version)
            raise StatusError(
                grpc.StatusCode.INTERNAL, f"{type(error).__name__} while loading {path}"
            ) from error
        finally:
            self.metrics.count("/tensorflow/cc/saved_model/load_attempt_count", str(path), status)
        return loaded if self._scheduler is None else BatchedModel(loaded, self._scheduler)

    def _check_files(self, path: Path, version: int) -> None:
        """A version that carries a manifest is whole; where a key is required, each carries one."""
        try:
            check_manifest(path, version, self._key)
        except ExportError as error:
            code = grpc.StatusCode.PERMISSION_DENIED if self._key else grpc.StatusCode.DATA_LOSS
            raise StatusError(code, str(error)) from error

    def _warm_up(self, loaded: LoadedModel, path: Path) -> None:
        started = time.perf_counter()
        records = run_warmup(loaded, path)
        if records:
            self.metrics.observe(
                "/tensorflow/serving/model_warmup_latency",
                (time.perf_counter() - started) * 1e6,
                str(path),
                "OK",
            )
            self.metrics.count(
                "/tensorflow/serving/model_warmup_records_read", str(path), "OK", by=records
            )

    def _credentials(self) -> grpc.ServerCredentials | None:
        if self.options.ssl_config_file is None:
            return None
        config = stock_files.read_tls(self.options.ssl_config_file)
        return grpc.ssl_server_credentials(
            [(config.server_key.encode(), config.server_cert.encode())],
            root_certificates=config.custom_ca.encode() or None,
            require_client_auth=config.client_verify,
        )

    def _start_grpc(self, handlers: Handlers, credentials: grpc.ServerCredentials | None) -> None:
        options = self.options
        server = grpc.server(
            futures.ThreadPoolExecutor(options.grpc_max_threads, thread_name_prefix="grpc"),
            interceptors=[self._draining, WholeMessages()],
            options=[
                ("grpc.max_receive_message_length", options.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                # Two servers on one port would share its connections at random.
                ("grpc.so_reuseport", 0),
                ("grpc.server_max_unrequested_time_in_server", UNFETCHED_SECONDS),
            ],
        )
        add_services(handlers, server)
        if options.enable_grpc_healthcheck_service:
            self._add_health(server)
        address = f"{options.host}:{options.port}"
        try:
            if credentials is None:
                self.port = server.add_insecure_port(address)
            else:
                self.port = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise ServingError(
                address,
                "the gRPC port must be free and the address one of this machine",
                received="it can't be bound",
                remedy="Choose another with --port, or stop what listens there",
            ) from error
        server.start()
        self._grpc = server

    def _add_health(self, server: grpc.Server) -> None:
        try:
            from grpc_health.v1 import health, health_pb2, health_pb2_grpc
        except ImportError as error:
            raise DescriptionError(
                "--enable-grpc-healthcheck-service",
                "the health service needs the package grpcio-health-checking",
                remedy="Install tfrec[serving]",
            ) from error
        self._health = health.HealthServicer()
        for name in HEALTH_NAMES:
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)

    def _poll(self) -> None:
        while not self._stopping.wait(self.options.file_system_poll_wait_seconds):
            try:
                self.repository.poll()
            except Exception:
                # The watch must outlive whatever a disk or a folder does; requests go on.
                _LOG.exception("looking for new versions failed")


def _check_free(host: str, port: int | None, kind: str, option: str) -> None:
    if not port:
        return
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server((str(address[0]), port), family=family).close()
    except OSError as error:
        raise ServingError(
            f"{host}:{port}",
            f"the {kind} port must be free and the address one of this machine",
            received=error.strerror or "it can't be bound",
            remedy=f"Choose another with {option}, or stop what listens there",
        ) from error
