"""A running server on loopback, shared by the tests that don't change its models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from serving.options import ServerOptions
from serving.server import Server
from tests.serving import toy_models


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Base paths `toy` (version 1), `examples` and `songs`, not to be changed."""
    root = tmp_path_factory.mktemp("models")
    toy_models.write_toy(root / "toy")
    toy_models.write_examples_model(root / "examples")
    toy_models.write_recommender(root / "songs")
    return root


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[Server]:
    """The three models over gRPC and REST."""
    config = models / "models.config"
    entries = "".join(
        f'config {{ name: "{name}" base_path: "{models / name}" model_platform: "tensorflow" }}\n'
        for name in ("toy", "examples", "songs")
    )
    config.write_text(f"model_config_list {{\n{entries}}}\n")
    options = ServerOptions(
        model_config_file=config,
        port=0,
        rest_api_port=0,
        file_system_poll_wait_seconds=0,
        enable_grpc_healthcheck_service=True,
    )
    with Server(options) as running:
        yield running


@pytest.fixture(scope="session")
def channel(server: Server) -> Iterator[grpc.Channel]:
    """A connection to the shared server."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as connection:
        yield connection
