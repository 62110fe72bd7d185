"""Real SavedModels that are damaged, hostile or fail their warm-up, in a TF1-style session."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

from serving.handlers import Handlers
from serving.loaded_model import LoadedModel
from serving.options import ServerOptions
from serving.server import Server
from serving.status import StatusError
from serving.version_files import list_versions
from tests.serving.toy_models import WARMUP, predict_request, write_toy, write_warmup
from tfrec.errors import DescriptionError, ServingError

GOOD = {"x": np.array([1.0], np.float32), "k": np.array([2], np.int32)}


@pytest.fixture
def base(models: Path, tmp_path: Path) -> Path:
    """A base path `toy` with a good version 1."""
    shutil.copytree(models / "toy", tmp_path / "toy")
    return tmp_path / "toy"


@pytest.fixture
def serving(base: Path) -> Iterator[Server]:
    """A server that looks at the disk when the test says so."""
    options = ServerOptions(
        model_name="toy", model_base_path=base, port=0, file_system_poll_wait_seconds=0
    )
    with Server(options) as server:
        yield server


def answered_by(server: Server) -> int:
    response = predict_pb2.PredictResponse()
    Handlers(server.repository, server.metrics).predict(predict_request(**GOOD), response)
    assert list(response.outputs["id"].string_val) == [
        f"v{response.model_spec.version.value}".encode()
    ]
    return response.model_spec.version.value


def newest(server: Server) -> tuple[int, str, str]:
    response = get_model_status_pb2.GetModelStatusResponse()
    request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "toy"})
    Handlers(server.repository, server.metrics).get_model_status(request, response)
    entry = response.model_version_status[0]
    code = next(c.name for c in grpc.StatusCode if c.value[0] == entry.status.error_code)
    return entry.version, code, entry.status.error_message


def test_a_good_new_version_takes_over(serving: Server, base: Path) -> None:
    write_toy(base, 2)
    serving.repository.poll()
    assert answered_by(serving) == 2


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


DAMAGES: dict[str, Any] = {
    "no saved_model.pb": lambda v: (v / "saved_model.pb").unlink(),
    "empty saved_model.pb": lambda v: (v / "saved_model.pb").write_bytes(b""),
    "truncated saved_model.pb": lambda v: truncate(v / "saved_model.pb"),
    "not a SavedModel": lambda v: (v / "saved_model.pb").write_text("<html>"),
    "no variables": lambda v: shutil.rmtree(v / "variables"),
    "truncated index": lambda v: truncate(v / "variables" / "variables.index"),
    "truncated values": lambda v: truncate(v / "variables" / "variables.data-00000-of-00001"),
    "changed byte in values": lambda v: flip(v / "variables" / "variables.data-00000-of-00001"),
    "warm-up is no TFRecord": lambda v: _write(v / WARMUP, b"not records at all, but longer"),
    "warm-up of another signature": lambda v: write_warmup(
        v, [predict_request(signature="gone", **GOOD)]
    ),
    "warm-up with a wrong shape": lambda v: write_warmup(
        v, [predict_request(x=np.ones(2, np.float32), k=np.ones(3, np.int32))]
    ),
    "too many warm-up records": lambda v: write_warmup(v, [predict_request(**GOOD)] * 1001),
    "link out of the folder": lambda v: (v / "assets" / "passwd").symlink_to("/etc/passwd"),
    "op that writes files": lambda v: _rename_op(v / "saved_model.pb", "StringUpper", "ReadFile"),
    "unknown op": lambda v: _rename_op(v / "saved_model.pb", "Fill", "NoSuchOp"),
    "asset outside": lambda v: _add_asset(v / "saved_model.pb", "../../../secret"),
}


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def _edit(path: Path) -> tuple[Any, Any]:
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    return message, message.meta_graphs[0]


def _rename_op(path: Path, old: str, new: str) -> None:
    message, graph = _edit(path)
    for function in graph.graph_def.library.function:
        for node in function.node_def:
            if node.op == old:
                node.op = new
    path.write_bytes(message.SerializeToString())


def _add_asset(path: Path, name: str) -> None:
    message, graph = _edit(path)
    graph.asset_file_def.add(filename=name)
    path.write_bytes(message.SerializeToString())


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_hostile_version_never_goes_live(
    serving: Server, base: Path, models: Path, damage: str
) -> None:
    """Whatever is wrong with version 2, version 1 answers, and the status says what is wrong."""
    shutil.copytree(models / "toy" / "1", base / "2")
    write_warmup(base / "2", [predict_request(**GOOD)])
    DAMAGES[damage](base / "2")
    serving.repository.poll()
    assert answered_by(serving) == 1
    version, code, message = newest(serving)
    assert (version, code != "OK", bool(message)) == (2, True, True)


def test_hostile_versions_are_named_as_such(base: Path, models: Path, tmp_path: Path) -> None:
    for damage, text in (
        ("link out of the folder", "leads out of the model folder"),
        ("op that writes files", "ops that touch the serving machine: ReadFile"),
        ("asset outside", "leads out of its folder"),
    ):
        version = tmp_path / damage / "2"
        shutil.copytree(models / "toy" / "1", version)
        DAMAGES[damage](version)
        with pytest.raises(StatusError, match=text):
            LoadedModel(version, version.parent)


def test_warm_up_runs_and_is_counted(base: Path) -> None:
    write_warmup(base / "1", [predict_request(**GOOD)] * 3)
    options = ServerOptions(
        model_name="toy", model_base_path=base, port=0, file_system_poll_wait_seconds=0
    )
    with Server(options) as server:
        assert "model_warmup_records_read{" in server.metrics.page()
        (line,) = (
            line
            for line in server.metrics.page().splitlines()
            if line.startswith(":tensorflow:serving:model_warmup_records_read{")
        )
        assert line.endswith(" 3")


def test_a_start_without_a_loadable_version_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    options = ServerOptions(model_name="toy", model_base_path=tmp_path / "toy", port=0)
    with pytest.raises(ServingError, match="No versions of servable toy found under base path"):
        Server(options).start()


@pytest.mark.parametrize("kind", ["gRPC", "REST"])
def test_a_taken_port_is_one_line_before_anything_is_loaded(
    serving: Server, tmp_path: Path, kind: str
) -> None:
    """A large model loads for a minute; without one there would be another error."""
    (tmp_path / "none").mkdir()
    ports = {"port": serving.port if kind == "gRPC" else 0}
    ports |= {"rest_api_port": serving.port} if kind == "REST" else {}
    options = ServerOptions(model_name="toy", model_base_path=tmp_path / "none", **ports)
    with pytest.raises(ServingError, match=f"the {kind} port must be free"):
        Server(options).start()


def test_memory_of_an_unloaded_version_is_freed(base: Path) -> None:
    import gc
    import weakref

    model = LoadedModel(base / "1", base)
    graph = weakref.ref(model._graph)
    signature = model.signatures["serving_default"]
    feeds = [signature.inputs[name].name for name in ("k", "x")]
    model.run(feeds, [signature.outputs["y"].name], [GOOD["k"], GOOD["x"]])
    del signature
    model.close()
    del model
    gc.collect()
    assert graph() is None


@pytest.mark.parametrize(("threads", "own"), [({}, True), ({"inter_op_threads": 0}, False)])
def test_ops_run_in_the_thread_that_asks_unless_told(
    tmp_path: Path, threads: dict[str, int], own: bool
) -> None:
    """Processor time tells where: an op without threads of its own costs its caller nearly all."""

    class Texts(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
        def search(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"text": tf.strings.regex_replace(text, "(a|b)+c", "d")}

    module = Texts()
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=module.search)
    model = LoadedModel(tmp_path / "1", tmp_path, **threads)
    signature = model.signatures["serving_default"]
    names = [signature.inputs["text"].name], [signature.outputs["text"].name]
    texts = np.array([b"ab" * 20_000] * 20, object)
    model.run(*names, [texts])
    whole, mine = time.process_time(), time.thread_time()
    model.run(*names, [texts])
    whole, mine = time.process_time() - whole, time.thread_time() - mine
    model.close()
    assert (mine > whole / 2) == own


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match=r"either a model's folder or a models\.config"):
        ServerOptions()
    with pytest.raises(ValueError, match="needs batching enabled"):
        ServerOptions(model_base_path=Path("/m"), batching_parameters_file=Path("/b"))


def test_a_models_config_with_an_error_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "models.config"
    path.write_text("model_config_list {\n  config { nam: 'x' }\n}")
    options = ServerOptions(model_config_file=path, port=0)
    with pytest.raises(DescriptionError, match=r"models.config: .*2:12 .*nam"):
        Server(options).start()


def test_version_names_parse_as_int64(tmp_path: Path) -> None:
    for name in ("1", "007", "-3", "9223372036854775807", "9223372036854775808", "1.0", "1a", ""):
        if name:
            (tmp_path / name).mkdir()
    assert sorted(list_versions(tmp_path)) == [-3, 1, 7, 2**63 - 1]
