"""The request log: sampled, replayable, and without a raw user id in it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import classification_pb2, predict_pb2, prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving.client import Client
from serving.metrics import Metrics
from serving.options import ServerOptions
from serving.request_log import RequestLog, pseudonym
from serving.server import Server
from tests.serving.test_grpc_errors import examples
from tests.serving.toy_models import predict_request
from tfrec.errors import DescriptionError

KEY = b"0123456789abcdef"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(KEY + b"\n")
    return path


def records(folder: Path) -> list[Any]:
    return [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for file in sorted(folder.iterdir())
        for record in tf.data.TFRecordDataset(str(file))
    ]


def test_a_served_request_is_logged_without_the_user(
    models: Path, tmp_path: Path, key_file: Path
) -> None:
    folder = tmp_path / "log"
    options = ServerOptions(
        model_name="songs",
        model_base_path=models / "songs",
        port=0,
        file_system_poll_wait_seconds=0,
        request_log_dir=folder,
        request_log_rate=1.0,
        request_log_key_file=key_file,
    )
    with (
        Server(options) as server,
        Client(f"127.0.0.1:{server.port}", model="songs") as client,
    ):
        for user in ("alice@example.org", "bob", "alice@example.org"):
            client.recommend(user, 2, history=["a"])
    (file,) = folder.iterdir()
    assert b"alice" not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    logged = [record.predict_log for record in records(folder)]
    users = [log.request.inputs["user_id"].string_val[0] for log in logged]
    assert users[0] == users[2] == pseudonym(b"alice@example.org", KEY) != users[1]
    assert list(logged[0].request.inputs["history"].string_val) == [b"a"]
    assert list(logged[0].response.outputs["item_ids"].string_val) == [b"b", b"c"]


@pytest.mark.parametrize(
    "users",
    [
        tf.make_tensor_proto(["carol", "dave"]),
        type(tf.make_tensor_proto(0))(
            dtype=7,
            tensor_shape={"dim": [{"size": 2}]},
            tensor_content=b"\x05\x04caroldave",
        ),
        tf.make_tensor_proto([4711, 4712]),
    ],
    ids=["typed", "packed", "numbers"],
)
def test_a_user_is_hidden_however_it_is_sent(tmp_path: Path, key_file: Path, users: Any) -> None:
    log = RequestLog(tmp_path / "log", key_file, 1.0, Metrics())
    request = predict_request("m", user_id=users)
    log.log("predict_log", "m", request, predict_pb2.PredictResponse())
    log.close()
    (file,) = (tmp_path / "log").iterdir()
    for text in (b"carol", b"dave", b"4711"):
        assert text not in file.read_bytes()
    (record,) = records(tmp_path / "log")
    assert len(set(record.predict_log.request.inputs["user_id"].string_val)) == 2
    assert request.inputs["user_id"] == users  # what is answered stays as it was


def test_a_user_inside_an_example_is_hidden(tmp_path: Path, key_file: Path) -> None:
    log = RequestLog(tmp_path / "log", key_file, 1.0, Metrics())
    request = classification_pb2.ClassificationRequest(input=examples(0.5))
    example = request.input.example_list.examples[0]
    example.features.feature["user_id"].bytes_list.value.append(b"erin")
    log.log("classify_log", "m", request, classification_pb2.ClassificationResponse())
    log.close()
    (file,) = (tmp_path / "log").iterdir()
    assert b"erin" not in file.read_bytes()
    assert pseudonym(b"erin", KEY) in file.read_bytes()


def test_the_sampling_of_a_model_comes_from_its_configuration(
    tmp_path: Path, key_file: Path
) -> None:
    draws = iter([0.1, 0.3, 0.1, 0.3])
    metrics = Metrics()
    log = RequestLog(tmp_path / "log", key_file, 0.0, metrics, draw=lambda: next(draws))
    log.configure(
        text_format.Parse(
            'config { name: "m" logging_config { sampling_config { sampling_rate: 0.2 } } } '
            'config { name: "quiet" }',
            model_server_config_pb2.ModelConfigList(),
        )
    )
    for _ in range(4):
        log.log("predict_log", "m", predict_request("m"), predict_pb2.PredictResponse())
        log.log("predict_log", "quiet", predict_request(), predict_pb2.PredictResponse())
    log.close()
    (first, second) = records(tmp_path / "log")
    assert first.log_metadata.model_spec.name == second.log_metadata.model_spec.name == "m"
    assert first.log_metadata.sampling_config.sampling_rate == 0.2
    assert 'request_log_count{model_name="m",status_code="OK"} 2' in metrics.page()


def test_a_log_that_cannot_be_written_fails_no_request(tmp_path: Path, key_file: Path) -> None:
    metrics = Metrics()
    log = RequestLog(tmp_path / "log", key_file, 1.0, metrics)
    (tmp_path / "log").rmdir()
    log.log("predict_log", "m", predict_request("m"), predict_pb2.PredictResponse())
    assert 'request_log_count{model_name="m",status_code="UNKNOWN"} 1' in metrics.page()


def test_a_model_name_makes_no_path(tmp_path: Path, key_file: Path) -> None:
    log = RequestLog(tmp_path / "log", key_file, 1.0, Metrics())
    log.log("predict_log", "../../x", predict_request("m"), predict_pb2.PredictResponse())
    log.close()
    (file,) = (tmp_path / "log").iterdir()
    assert file.name.startswith(".._.._x-")


def test_a_weak_or_missing_key_is_refused(tmp_path: Path, key_file: Path) -> None:
    key_file.write_text("short")
    with pytest.raises(DescriptionError, match="at least 16 bytes"):
        RequestLog(tmp_path / "log", key_file, 1.0, Metrics())
    with pytest.raises(DescriptionError, match="can be read"):
        RequestLog(tmp_path / "log", tmp_path / "none", 1.0, Metrics())
