"""An export is whole and proved, or it is not there; and it answers alike wherever it runs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from serving.async_client import AsyncClient
from serving.client import CallOptions, Client
from serving.options import ServerOptions
from serving.server import Server
from tests.export.fake_model import fake_source
from tests.export.variable_reads import copied_variables
from tfrec import cli
from tfrec.errors import DescriptionError, ExportError
from tfrec.export import ServedModel, ServingGraph, ServingSource, write_saved_model
from tfrec.export.allowed_ops import check_ops
from tfrec.export.exporting import export_run
from tfrec.export.publish import list_versions, publishing
from tfrec.export.verify import verify_saved_model
from tfrec.export.warmup import WARMUP_FILE, sample_requests, write_warmup
from tfrec.index import ExactIndex
from tfrec.published import LABELS_FILE

ONNX = ("tf2onnx==1.17.0", "onnx==1.23.2", "onnxruntime==1.32.0")


@pytest.fixture(scope="module")
def source() -> ServingSource:
    return fake_source()


@pytest.fixture(scope="module")
def version(source: ServingSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published version of the fake model, with every modality."""
    model = tmp_path_factory.mktemp("models") / "fake"
    graph = ServingGraph(source, ExactIndex(source.item_vectors))
    with publishing(model) as (number, folder):
        write_saved_model(graph, folder, [source.query_tower, source.item_tower])
        write_warmup(folder, model.name, sample_requests(source, k=5))
    return model / str(number)


@pytest.mark.slow
def test_every_signature_answers_as_the_model_does(version: Path, source: ServingSource) -> None:
    """Batches of 1 and 32, known and unknown users, own and stored histories, missing media."""
    requests = sample_requests(source, k=5)
    assert {request.signature for request in requests} == {
        "recommend",
        "recommend_from_history",
        "embed_user",
        "embed_item",
        "similar_items",
        "score",
        "explain",
        "item_parts",
        "recommend_filtered",
        "similar_to_content",
        "search",
        "embed_text",
    }
    found = verify_saved_model(version, source, requests, exact=True)
    assert found.requests == len(requests)
    assert found.largest_difference < 1e-4


def test_no_request_copies_a_variable(version: Path) -> None:
    """One `score` would make every later `recommend` copy the vectors of the whole catalogue."""
    assert copied_variables(version) == set()


def test_each_weight_is_written_once(version: Path) -> None:
    """Keras' way to track a layer doubled the files, and what a server reads when it loads them."""
    data = (version / "saved_model.pb").read_bytes()
    nodes = saved_model_pb2.SavedModel.FromString(data).meta_graphs[0].graph_def.node
    handles = [node for node in nodes if node.op == "VarHandleOp"]
    written = tf.train.list_variables(str(version / "variables" / "variables"))
    assert len([name for name, _ in written if "VARIABLE_VALUE" in name]) == len(handles)


def test_a_model_that_answers_otherwise_is_refused(version: Path, source: ServingSource) -> None:
    """The proof compares numbers: other item vectors than the graph's are noticed."""
    other = replace(source, item_vectors=source.item_vectors[::-1].copy())
    with pytest.raises(ExportError, match="answers as its Keras model does"):
        verify_saved_model(version, other, sample_requests(source, k=5), exact=True)


def test_seen_and_excluded_items_never_come_back(version: Path, source: ServingSource) -> None:
    """Whoever asks for the whole catalogue gets it without what they saw, in one call."""
    none = np.empty((1, 0), object)
    with ServedModel(version) as served:
        answer = served.run(
            "recommend",
            {
                "user_id": np.array([b"u0"], object),
                "history": none,
                "exclude": np.array([[b"i7"]], object),
                "k": np.array([12], np.int32),
            },
        )
    items = [item.decode() for item in answer["item_ids"][0] if item]
    records = source.users
    seen = records.seen[records.seen_offsets[0] : records.seen_offsets[1]]
    assert sorted(items) == sorted({f"i{n}" for n in range(12)} - {f"i{n}" for n in seen} - {"i7"})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"k": np.array([0], np.int32)}, "`k` must be at least 1"),
        ({"k": np.array([13], np.int32)}, "must not exceed the number of items"),
        ({"user_id": np.array([b""], object)}, "`user_id` must not be"),
        ({"user_id": np.array([b"a", b"b"], object)}, "as many rows"),
        ({"k": np.array([[1]], np.int32)}, "not compatible with expected shape"),
    ],
)
def test_the_graph_refuses_what_no_server_checks(
    version: Path, change: dict[str, Any], says: str
) -> None:
    none = np.empty((1, 0), object)
    inputs = {
        "user_id": np.array([b"u0"], object),
        "history": none,
        "exclude": none,
        "k": np.array([3], np.int32),
    }
    with ServedModel(version) as served, pytest.raises(tf.errors.InvalidArgumentError) as error:
        served.run("recommend", inputs | change)
    assert says in error.value.message


@pytest.mark.slow
def test_onnxruntime_answers_as_the_session_does(
    version: Path, source: ServingSource, tmp_path: Path
) -> None:
    """An executor of others: every signature, from where its strings have become numbers."""
    uv = str(Path(sys.executable).with_name("uv"))
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    # Laid over this environment for one process, and gone with the test's folder.
    install += ["--target", str(tmp_path), *ONNX]
    done = subprocess.run(install, capture_output=True, text=True, timeout=280, check=False)
    if done.returncode:
        pytest.skip(f"no package index here: {done.stderr[-200:]}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.export.onnx_answers", str(version)],
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    asked = {request.signature for request in sample_requests(source, k=5)} | {"serving_default"}
    assert {line["signature"] for line in lines} == asked
    assert [line for line in lines if not line.get("difference", np.inf) < 1e-4] == []


@pytest.mark.slow
def test_the_embedded_server_answers_as_the_session_does(
    version: Path, source: ServingSource, capsys: pytest.CaptureFixture[str]
) -> None:
    """One export, two executors: ids equal, scores within 1e-4, for each warm-up request."""
    assert (version / WARMUP_FILE).is_file()
    options = ServerOptions(
        model_name=version.parent.name, model_base_path=version.parent, port=0, rest_api_port=None
    )
    with Server(options) as server, ServedModel(version) as served:
        client = Client(
            f"127.0.0.1:{server.port}", model=version.parent.name, call=CallOptions(timeout=60)
        )
        for request in sample_requests(source, k=5):
            expected = served.run(request.signature, request.inputs)
            answer = client.predict(request.inputs, signature=request.signature)
            assert set(answer) == set(expected)
            for name, value in expected.items():
                if value.dtype == object:
                    assert np.array_equal(np.asarray(answer[name]), value)
                else:
                    np.testing.assert_allclose(answer[name], value, atol=1e-4)
        for found in client.explain("u0", k=3):
            assert sum(found.modalities.values()) == pytest.approx(found.score, abs=1e-4)
            assert sum(found.query.values()) == pytest.approx(found.score, abs=1e-4)
            assert found.reason and {cause for cause, _ in found.history} <= {"i0", "i1", "i2"}
        late = client.recommend("u1", k=9, where={"year": (1999, None), "genres": ["rock", "folk"]})
        assert set(late.item_ids) == {"i9", "i11"}
        assert client.search("título 7", 3).item_ids[0] == "i7"
        words = ["--search", "título 7", "--k", "1", "--timeout", "60"]
        assert cli.main(["query", f"127.0.0.1:{server.port}", *words]) == 0
        assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["1", "i7"]
        asyncio.run(_the_async_client_agrees(server.port, client))
        client.close()


async def _the_async_client_agrees(port: int, client: Client) -> None:
    """Conditions and explanations, asked at once; only equal conditions share a request."""
    asked: list[tuple[str, dict[str, Any]]] = [
        ("u1", {"year": (1999, None)}),
        ("u2", {"year": (1999, None)}),
        ("u1", {"genres": "folk"}),
        ("u1", {}),
    ]
    rows = []
    call = CallOptions(timeout=60)
    target = f"127.0.0.1:{port}"
    async with AsyncClient(target, model=client.model, gather=8, call=call) as same:
        run = same._run

        async def counted(inputs: Any, *rest: Any) -> Any:
            rows.append(len(inputs.get("user_id", ())))
            return await run(inputs, *rest)

        same._run = counted  # type: ignore[method-assign]
        found = await asyncio.gather(*(same.recommend(u, 9, where=where) for u, where in asked))
        assert sorted(rows) == [1, 1, 2]
        named = await same.search("título 7", 3, exclude=["i7"])
        explained = await same.explain("u0", 2, exclude=["i7"], item_ids=["i3", "i4"])
    assert named == client.search("título 7", 3, exclude=["i7"]) and "i7" not in named.item_ids
    for (user, where), answer in zip(asked, found, strict=True):
        alone = client.recommend(user, 9, where=where)
        assert answer.item_ids == alone.item_ids and len(answer.item_ids) > 0
        assert answer.scores == pytest.approx(alone.scores, abs=1e-5)
    assert explained == client.explain("u0", 2, exclude=["i7"], item_ids=["i3", "i4"])
    assert [each.item_id for each in explained] == ["i3", "i4"]


def test_an_op_that_a_stock_server_lacks_is_found(tmp_path: Path) -> None:
    """Python in the graph loads here and dies there; the function library is searched too."""
    module = tf.Module()
    module.f = tf.function(
        lambda x: tf.numpy_function(lambda y: y, [x], tf.float32),
        input_signature=[tf.TensorSpec([None], tf.float32)],
    )
    tf.saved_model.save(module, str(tmp_path / "m"))
    with pytest.raises(ExportError, match="PyFunc"):
        check_ops(tmp_path / "m")


def test_a_failure_while_publishing_leaves_the_versions_alone(tmp_path: Path) -> None:
    model = tmp_path / "m"
    with publishing(model) as (number, folder):
        (folder / "saved_model.pb").write_bytes(b"one")
    assert number == 1
    with pytest.raises(RuntimeError), publishing(model) as (number, folder):
        (folder / "saved_model.pb").write_bytes(b"two")
        raise RuntimeError
    with pytest.raises(ExportError, match=r"saved_model\.pb"), publishing(model):
        pass
    assert list_versions(model) == [1]
    assert sorted(child.name for child in model.iterdir()) == ["1", LABELS_FILE]
    with pytest.raises(DescriptionError, match="isn't taken"), publishing(model, 1):
        pass


@pytest.mark.slow
def test_what_a_killed_publisher_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    """A hidden folder of a dead process is no version, and doesn't pile up."""
    model = tmp_path / "m"
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tfrec.export.publish import publishing\n"
        "with publishing(Path(sys.argv[1])) as (number, folder):\n"
        "    (folder / 'saved_model.pb').write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", code, str(model)], check=False, env=environment)
    assert len(list(model.iterdir())) == 1 and list_versions(model) == []
    with publishing(model) as (_, folder):
        (folder / "saved_model.pb").write_bytes(b"whole")
    assert sorted(child.name for child in model.iterdir()) == ["1", LABELS_FILE]


@pytest.mark.parametrize("verdict", [None, "worse than popularity"])
def test_a_run_that_is_not_blessed_is_refused(tmp_path: Path, verdict: str | None) -> None:
    if verdict:
        (tmp_path / "NOT_BLESSED").write_text(verdict)
    with pytest.raises(ExportError, match=verdict or "not evaluated"):
        export_run(tmp_path, tmp_path / "models" / "m")
    assert not (tmp_path / "models").exists()
