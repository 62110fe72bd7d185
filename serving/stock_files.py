"""The configuration files of TensorFlow Serving, read in their own text format."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from serving.descriptors import message_classes
from tfrec.errors import DescriptionError

__all__ = [
    "read_batching_parameters",
    "read_models",
    "read_monitoring",
    "read_tls",
    "single_model",
]

PLATFORM = "tensorflow"


@cache
def _classes() -> dict[str, Any]:
    return message_classes(
        "tfrec.serving.stock",
        {
            "BatchingParameters": [
                "Int64Value max_batch_size = 1",
                "Int64Value batch_timeout_micros = 2",
                "Int64Value max_enqueued_batches = 3",
                "Int64Value num_batch_threads = 4",
                "StringValue thread_pool_name = 5",
                "repeated int64 allowed_batch_sizes = 6",
                "bool pad_variable_length_inputs = 7",
                "BoolValue enable_large_batch_splitting = 8",
                "Int64Value max_execution_batch_size = 9",
            ],
            "SSLConfig": [
                "string server_key = 1",
                "string server_cert = 2",
                "string custom_ca = 3",
                "bool client_verify = 4",
            ],
            "PrometheusConfig": ["bool enable = 1", "string path = 2"],
            "MonitoringConfig": ["PrometheusConfig prometheus_config = 1"],
        },
    )


def read_models(path: Path) -> Any:
    """The `ModelConfigList` of a models.config file.

    Raises:
        DescriptionError: The file can't be read or isn't a list of models.
    """
    from tensorflow_serving.config import model_server_config_pb2

    config = _read(path, model_server_config_pb2.ModelServerConfig())
    if config.WhichOneof("config") != "model_config_list":
        raise DescriptionError(
            str(path),
            "a model configuration is a `model_config_list`",
            received=config.WhichOneof("config") or "an empty file",
            remedy='Write `model_config_list { config { name: "…" base_path: "/…" '
            'model_platform: "tensorflow" } }`',
        )
    return config.model_config_list


def single_model(name: str, base_path: Path) -> Any:
    """The `ModelConfigList` of one model with the latest version served."""
    from tensorflow_serving.config import model_server_config_pb2

    models = model_server_config_pb2.ModelConfigList()
    models.config.add(name=name, base_path=str(base_path), model_platform=PLATFORM)
    return models


def read_batching_parameters(path: Path) -> Any:
    """The `BatchingParameters` of a file.

    Raises:
        DescriptionError: The file can't be read, or its sizes contradict each other.
    """
    parameters = _read(path, _classes()["BatchingParameters"]())
    sizes = list(parameters.allowed_batch_sizes)
    greatest = parameters.max_batch_size.value if parameters.HasField("max_batch_size") else 1000
    if parameters.enable_large_batch_splitting.value and parameters.max_execution_batch_size.value:
        greatest = parameters.max_execution_batch_size.value
    if sizes and (sizes != sorted(set(sizes)) or sizes[-1] != greatest):
        raise DescriptionError(
            str(path),
            "`allowed_batch_sizes` must increase and end with the greatest batch size",
            received=f"{sizes} with a greatest size of {greatest}",
            remedy="Make the last one equal to `max_batch_size`",
        )
    return parameters


def read_tls(path: Path) -> Any:
    """The `SSLConfig` of a file.

    Raises:
        DescriptionError: The file can't be read, or lacks a key or certificate.
    """
    config = _read(path, _classes()["SSLConfig"]())
    if not config.server_key or not config.server_cert:
        raise DescriptionError(
            str(path),
            "TLS needs `server_key` and `server_cert`, as PEM texts",
            received="one of them is empty",
            remedy="Paste both, with \\n at the line ends",
        )
    if config.client_verify and not config.custom_ca:
        raise DescriptionError(
            str(path),
            "`client_verify` needs `custom_ca`, the authority that signs client certificates",
            received="none",
            remedy="Paste its PEM text",
        )
    return config


def read_monitoring(path: Path) -> Any:
    """The `MonitoringConfig` of a file.

    Raises:
        DescriptionError: The file can't be read.
    """
    return _read(path, _classes()["MonitoringConfig"]())


def _read(path: Path, message: Any) -> Any:
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), message)
    except (OSError, UnicodeDecodeError) as error:
        raise DescriptionError(
            str(path),
            "a configuration file must be readable text",
            received=error.strerror or "an error" if isinstance(error, OSError) else "not UTF-8",
            remedy="Give the path of a text file",
        ) from error
    except text_format.ParseError as error:
        raise DescriptionError(
            str(path),
            f"the file must hold a `{message.DESCRIPTOR.name}` in protobuf text format",
            received=str(error),
            remedy="Correct the line, as TensorFlow Serving would refuse it too",
        ) from error
