"""The protocol as a file, for clients that have no generated code: `grpcurl -protoset FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["write_protoset"]


def write_protoset(path: Path) -> None:
    r"""Writes PredictionService and ModelService, with every message they use, to a file.

    Args:
        path: The file: a serialised `FileDescriptorSet`, as `protoc --descriptor_set_out` writes.

    Example::

        grpcurl -plaintext -protoset tfserving.protoset -d '{"model_spec": {"name": "songs"}}' \
            127.0.0.1:8500 tensorflow.serving.ModelService/GetModelStatus
    """
    from google.protobuf import descriptor_pb2
    from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

    found: dict[str, Any] = {}

    def visit(file: Any) -> None:
        if file.name in found:
            return
        for dependency in file.dependencies:
            visit(dependency)
        found[file.name] = file

    visit(prediction_service_pb2.DESCRIPTOR)
    visit(model_service_pb2.DESCRIPTOR)
    files = descriptor_pb2.FileDescriptorSet()
    for file in found.values():
        file.CopyToProto(files.file.add())
    path.write_bytes(files.SerializeToString())
