"""The embedded server and the publisher: signatures, labels, killed publishers, damaged files."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from serving.client import Client
from serving.options import ServerOptions
from serving.server import Server
from tests.serving.test_loading import answered_by, flip, newest
from tests.serving.toy_models import predict_request, write_toy, write_warmup
from tfrec.errors import DescriptionError, ServingError
from tfrec.export import publish
from tfrec.published import check_manifest, write_labels

KEY = b"0123456789abcdef"


def release(model: Path, made: Path, key: bytes | None = None) -> int:
    """Publishes a toy whose answers carry its number."""
    with publish.publishing(model, key=key) as (number, folder):
        shutil.rmtree(made / str(number), ignore_errors=True)
        write_toy(made, number, factor=float(number))
        shutil.copytree(made / str(number), folder, dirs_exist_ok=True)
        write_warmup(folder, [predict_request(x=[1.0], k=[1])])
    return number


@pytest.fixture
def model(tmp_path: Path) -> Path:
    release(tmp_path / "toy", tmp_path / "made")
    return tmp_path / "toy"


def server_of(model: Path, **options: object) -> Server:
    return Server(
        ServerOptions.model_validate(
            {
                "model_name": "toy",
                "model_base_path": model,
                "port": 0,
                "file_system_poll_wait_seconds": 0,
                **options,
            }
        )
    )


def test_labels_beside_the_versions_are_served(model: Path, tmp_path: Path) -> None:
    """`stable` stays loaded while the canary is newer; a rollback brings all back."""
    with server_of(model) as server:

        def ask(label: str) -> int:
            address = f"127.0.0.1:{server.port}"
            with Client(address, model="toy", label=label) as client:
                answer = client.predict({"x": [1.0], "k": [1]})
            return round(float(answer["y"][0]))

        release(model, tmp_path / "made")
        server.repository.poll()
        assert [ask(label) for label in ("stable", "canary", "latest", "")] == [1, 2, 2, 2]
        # A label moves only to a version that answers.
        release(model, tmp_path / "made")
        flip(model / "3" / "saved_model.pb")
        server.repository.poll()
        assert [ask(label) for label in ("stable", "canary", "latest", "")] == [1, 2, 2, 2]
        (model / "labels.json").write_text("[")
        server.repository.poll()
        assert [ask(label) for label in ("stable", "canary")] == [1, 2]
        write_labels(model, {"stable": 2})
        publish.roll_back(model, 2)
        server.repository.poll()
        assert [ask(label) for label in ("stable", "")] == [2, 2]
        with pytest.raises(ServingError, match="Unrecognized servable version label: canary"):
            ask("canary")
        publish.roll_back(model, 1)
        server.repository.poll()
        assert [ask(label) for label in ("stable", "latest", "")] == [1, 1, 1]


def test_only_signed_versions_are_loaded_where_a_key_is_required(
    model: Path, tmp_path: Path
) -> None:
    """Unsigned, changed, or signed by somebody else: the last good one answers on."""
    key = tmp_path / "key"
    key.write_bytes(KEY + b"\n")
    with pytest.raises(ServingError, match=r"a version has a manifest|is signed"):
        server_of(model, require_signature=key).start()
    release(model, tmp_path / "made", KEY)
    with server_of(model, require_signature=key) as server:
        assert answered_by(server) == 2
        for other in (None, b"another key of 16"):
            number = release(model, tmp_path / "made", other)
            server.repository.poll()
            assert answered_by(server) == 2
            assert newest(server)[:2] == (number, "PERMISSION_DENIED")
        number = release(model, tmp_path / "made", KEY)
        server.repository.poll()
        assert answered_by(server) == number
    with pytest.raises(DescriptionError, match="can be read"):
        server_of(model, require_signature=tmp_path / "absent")


def test_a_changed_byte_is_found_where_tensorflow_would_not_look(
    model: Path, tmp_path: Path
) -> None:
    """A weight in `saved_model.pb`, a warm-up record, a card: none is what was published."""
    with server_of(model) as server:
        for name in ("saved_model.pb", "assets.extra/tf_serving_warmup_requests"):
            number = release(model, tmp_path / "made")
            path = model / str(number) / name
            path.write_bytes(path.read_bytes() + b"\0")
            server.repository.poll()
            assert answered_by(server) == 1
            version, code, message = newest(server)
            assert (version, code) == (number, "DATA_LOSS") and name in message


# Forks a publisher for each line of its input; TensorFlow is imported once, and not used.
PUBLISHER = """
import os, shutil, sys
from pathlib import Path
from tfrec.export import publish
model, made = Path(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        while True:
            with publish.publishing(model) as (number, folder):
                shutil.copytree(made, folder, dirs_exist_ok=True)
            publish.prune(model, 3)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


@pytest.mark.slow
def test_a_publisher_killed_at_twenty_random_moments_never_hurts(
    model: Path, tmp_path: Path
) -> None:
    """The server answers after each, from a version that is whole; so does a restarted one."""
    made = tmp_path / "made" / "1"
    # Large enough that most kills meet a copy, a digest or a flush.
    (made / "assets").mkdir(exist_ok=True)
    (made / "assets" / "ballast").write_bytes(random.Random(0).randbytes(4_000_000))
    moments = random.Random(4)
    words = [sys.executable, "-c", PUBLISHER, str(model), str(made)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (
        server_of(model) as server,
        subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        ) as publisher,
    ):
        assert publisher.stdin and publisher.stdout
        assert publisher.stdout.readline() == "ready\n"
        for _ in range(20):
            publisher.stdin.write("\n")
            publisher.stdin.flush()
            child = int(publisher.stdout.readline())
            threading.Event().wait(moments.uniform(0.0, 0.3))
            os.kill(child, signal.SIGKILL)
            assert publisher.stdout.readline() == "gone\n"
            server.repository.poll()
            with Client(f"127.0.0.1:{server.port}", model="toy") as client:
                answer = client.predict({"x": [1.0], "k": [1]})
            assert answer["id"].tolist() == [b"v1"]
            for number in publish.list_versions(model):
                folder = model / str(number)
                if (folder / "saved_model.pb").exists():
                    assert check_manifest(folder, number)
        publisher.stdin.close()
    assert publish.list_versions(model)[-1] > 5
    # Whoever publishes next tidies up; a restarted server takes the newest.
    with publish.publishing(model) as (last, folder):
        shutil.copytree(made, folder, dirs_exist_ok=True)
    assert [p.name for p in model.glob(".publishing-*")] == []
    with server_of(model) as server, Client(f"127.0.0.1:{server.port}", model="toy") as client:
        assert client.versions()[0].version == last
