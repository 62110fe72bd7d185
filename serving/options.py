"""What a server is started with; names follow the flags of TensorFlow Serving."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["ServerOptions"]


class ServerOptions(BaseModel):
    """Options of the embedded server.

    Attributes:
        model_name, model_base_path: One model, its latest version served.
        model_config_file: A models.config for several; replaces the two above.
        require_signature: A key file; only versions whose manifest is signed with it are loaded.
        model_root: Folder that reloads over the network must stay inside.
        host: Address to listen on.
        port: gRPC port; 0 takes a free one.
        rest_api_port: REST port; 0 takes a free one, `None` serves no REST.
        rest_api_timeout_in_ms: How long a REST client may take to send its request.
        file_system_poll_wait_seconds: Pause between two looks at the disk; 0 looks once.
        allow_version_labels_for_unavailable_models: Whether labels may precede their versions.
        enable_batching, batching_parameters_file: Requests of several clients in one graph call.
        monitoring_config_file: Switches the Prometheus page off, or moves it.
        ssl_config_file: TLS for the gRPC port, mutual with `client_verify`.
        enable_grpc_healthcheck_service: The standard gRPC health service.
        enable_model_warmup: Whether warm-up records run, as they should.
        grpc_max_threads: Requests answered at the same time.
        max_message_bytes: Longest request that is read, on both ports.
        tensorflow_intra_op_parallelism: Threads within an op; 0 is automatic.
        tensorflow_inter_op_parallelism: Threads that run different ops of a request; 0 is
            automatic, as on the stock server. -1 runs a request's ops in the thread that answers
            it, so that no other thread has to be woken: for an index that takes a tenth of a
            millisecond that is a quarter of the time. Threads within an op are the same.
        request_log_dir: Folder for sampled requests, when a model's logging configuration or
            `request_log_rate` asks for them.
        request_log_rate: Share of requests that is logged for models without a configuration.
        request_log_key_file: Secret that pseudonymises user ids in the log.
        drain_seconds: How long requests under way may take when the server stops.
        ui: Whether the demonstration page is served at `/` of the REST port.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model_name: str = "default"
    model_base_path: Path | None = None
    model_config_file: Path | None = None
    model_root: Path | None = None
    require_signature: Path | None = None
    host: str = "127.0.0.1"
    port: int = Field(8500, ge=0, le=65535)
    rest_api_port: int | None = Field(None, ge=0, le=65535)
    rest_api_timeout_in_ms: int = Field(30000, gt=0)
    file_system_poll_wait_seconds: float = Field(1.0, ge=0)
    allow_version_labels_for_unavailable_models: bool = False
    enable_batching: bool = False
    batching_parameters_file: Path | None = None
    monitoring_config_file: Path | None = None
    ssl_config_file: Path | None = None
    enable_grpc_healthcheck_service: bool = False
    enable_model_warmup: bool = True
    grpc_max_threads: int = Field(32, ge=1)
    max_message_bytes: int = Field(64 * 1024 * 1024, ge=1024)
    tensorflow_intra_op_parallelism: int = Field(0, ge=0)
    tensorflow_inter_op_parallelism: int = Field(-1, ge=-1)
    request_log_dir: Path | None = None
    request_log_rate: float = Field(0.0, ge=0, le=1)
    request_log_key_file: Path | None = None
    drain_seconds: float = Field(10.0, ge=0)
    ui: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> ServerOptions:
        if (self.model_base_path is None) == (self.model_config_file is None):
            raise ValueError("give either a model's folder or a models.config file")
        if self.batching_parameters_file and not self.enable_batching:
            raise ValueError("a batching parameters file needs batching enabled")
        if self.ui and self.rest_api_port is None:
            raise ValueError("the page needs a REST port")
        if self.request_log_rate and self.request_log_dir is None:
            raise ValueError("a request log rate needs a folder to log to")
        if self.request_log_dir and self.request_log_key_file is None:
            raise ValueError("a request log needs a key file that pseudonymises its user ids")
        return self
