"""What an attacker would try: paths, links, bombs, code in models, ids in logs, deep requests."""

from __future__ import annotations

import http.client
import json
import logging
import resource
import struct
import zlib
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf

from serving.client import Client
from serving.options import ServerOptions
from serving.server import Server
from tests.serving.toy_models import predict_request, write_toy
from tfrec.encoders import resolve
from tfrec.errors import DescriptionError, ServingError
from tfrec.media import decode_image

SECRET = "alice.the.user@example.org"


@pytest.mark.parametrize("path", ["toy", "{root}/models/../../outside", "{root}/models/../outside"])
def test_a_models_config_names_no_path_that_climbs(tmp_path: Path, path: str) -> None:
    """Relative ones and ones with `..`, even where the operator wrote them."""
    write_toy(tmp_path / "outside")
    (tmp_path / "models").mkdir()
    config = tmp_path / "models.config"
    entry = f'name: "toy" base_path: "{path.format(root=tmp_path)}" model_platform: "tensorflow"'
    config.write_text(f"model_config_list {{ config {{ {entry} }} }}")
    with pytest.raises(ServingError, match=r"absolute path|is outside of"):
        Server(ServerOptions(model_config_file=config, port=0)).start()


@pytest.mark.parametrize("part", ["version", "variables", "labels.json"])
def test_links_out_of_the_model_folder_lead_nowhere(tmp_path: Path, part: str) -> None:
    """A version, or a part of one, that is a link to what lies elsewhere."""
    model = tmp_path / "toy"
    write_toy(model, 1)
    write_toy(tmp_path / "elsewhere", 2)
    if part == "version":
        (model / "2").symlink_to(tmp_path / "elsewhere" / "2")
    elif part == "variables":
        (tmp_path / "elsewhere" / "2").rename(model / "2")
        (model / "2" / "variables").rename(tmp_path / "variables")
        (model / "2" / "variables").symlink_to(tmp_path / "variables")
    else:
        (model / "labels.json").symlink_to("/etc/passwd")
    options = ServerOptions(model_name="toy", model_base_path=model, port=0)
    with Server(options) as server, Client(f"127.0.0.1:{server.port}", model="toy") as client:
        answer = client.predict({"x": [1.0], "k": [1]})
        assert answer["id"].tolist() == [b"v1"]
        states = client.versions()
    assert all(state.version == 1 or "leads out" in state.error for state in states)


@pytest.mark.slow
def test_bombs_of_pictures_are_missing_pictures(tmp_path: Path) -> None:
    """A real PNG of 100 KB that holds 900 million pixels, 64 times in one request: 8 s, 1 GB."""

    class Pictures(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "cover")])
        def look(self, cover: tf.Tensor) -> dict[str, tf.Tensor]:
            pixels, valid = decode_image(cover, (8, 8))
            return {"sum": tf.reduce_sum(tf.cast(pixels, tf.int32), [1, 2, 3]), "valid": valid}

    module = Pictures()
    tf.saved_model.save(module, str(tmp_path / "toy" / "1"), signatures=module.look)
    red = tf.io.encode_png(tf.constant([[[255, 0, 0]]], tf.uint8)).numpy()
    options = ServerOptions(model_name="toy", model_base_path=tmp_path / "toy", port=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Server(options) as server, Client(f"127.0.0.1:{server.port}", model="toy") as client:
        answer = client.predict({"cover": [_bomb(30_000), red] * 32})
    assert answer["valid"].tolist() == [False, True] * 32
    assert answer["sum"].tolist() == [0, 255 * 64] * 32
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 1_000_000


def _bomb(side: int) -> bytes:
    """A whole, valid PNG of black and white pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    packer = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", data), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _preset(folder: Path, file: str, config: dict[str, Any]) -> str:
    """The handle of a preset that is a picture model of keras-hub but for one file."""
    folder.mkdir()
    files = {
        "config.json": {"registered_name": "keras_hub>ResNetBackbone", "config": {}},
        "metadata.json": {"keras_version": "3.0.0"},
        file: config,
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "model.weights.h5").write_bytes(b"")
    return str(folder)


@pytest.mark.parametrize("file", ["config.json", "preprocessor.json", "image_converter.json"])
@pytest.mark.parametrize("nested", [False, True], ids=["layer", "within"])
def test_a_preset_with_code_in_it_is_refused(tmp_path: Path, file: str, nested: bool) -> None:
    """A Lambda layer is pickled Python, and what the one-line refusal names, wherever it stands.

    Without it the same files are refused for another reason.
    """

    def described(name: str) -> dict[str, Any]:
        function = {"class_name": f"__{name.lower()}__", "config": {"code": "4w=="}}
        layer = {"module": "keras.layers", "class_name": name, "config": {"function": function}}
        backbone = {"class_name": "ResNetBackbone", "registered_name": "keras_hub>ResNetBackbone"}
        return {**backbone, "config": {"stem": [layer, function]}} if nested else layer

    for modality in ("text", "image", "video"):
        bad, good = (
            _preset(tmp_path / f"{modality}-{name}", file, described(name))
            for name in ("Lambda", "Dense")
        )
        with pytest.raises(DescriptionError, match=rf"no pickled Python\..*`Lambda` in .*{file}"):
            resolve(bad, modality)
        with pytest.raises(DescriptionError, match="keras-hub must be able to load"):
            resolve(good, modality)
    only = {"activation": {"class_name": "__lambda__", "config": {"code": "4w=="}}}
    with pytest.raises(DescriptionError, match="no pickled Python"):
        resolve(_preset(tmp_path / "function", file, {"config": only}), "image")


def test_no_user_id_reaches_a_log_or_a_metric(
    server: Server, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Good requests and refused ones of every kind, over gRPC and REST, at the finest level."""
    caplog.set_level(logging.DEBUG)
    with Client(f"127.0.0.1:{server.port}", model="songs") as client:
        assert client.recommend(SECRET, 3).item_ids
    call = "/tensorflow.serving.PredictionService/Predict"
    bad = [
        predict_request("songs", user_id=[SECRET]),
        predict_request("songs", signature=SECRET, user_id=[SECRET]),
        predict_request("songs", user_id=[SECRET], k=["three"]),
        predict_request("songs", user_id=tf.make_tensor_proto([[SECRET]]), k=[1]),
    ]
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        for request in bad:
            with pytest.raises(grpc.RpcError):
                channel.unary_unary(call)(request.SerializeToString(), timeout=20)
    bodies = [{"instances": [{"user_id": SECRET}]}, {"inputs": {"user_id": [[SECRET]], "k": "x"}}]
    for body in bodies:
        assert _post(server, "songs:predict", json.dumps(body).encode())[0] == 400
    printed = "".join(capfd.readouterr())
    for text in (caplog.text, printed, server.metrics.page()):
        assert SECRET not in text


def _post(server: Server, call: str, body: bytes) -> tuple[int, dict[str, str]]:
    assert server.rest_port is not None
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
    connection.request("POST", f"/v1/models/{call}", body)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"instances":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"inputs":' + b'{"x":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
        b'{"instances": [' + b"9" * 5_000 + b"]}",
        b'{"instances": [1e999999]}',
        b'{"instances": [{"b64": "' + b"A" * 999 + b'"}]}',
        b"\xff\xfe{}",
    ],
    ids=["open", "lists", "objects", "digits", "exponent", "base64", "encoding"],
)
def test_deep_and_endless_json_is_a_clients_mistake(server: Server, body: bytes) -> None:
    """No recursion that ends the thread, no second of parsing digits; and it answers on."""
    status, answer = _post(server, "toy:predict", body)
    assert status == 400 and answer["error"]
    good = b'{"inputs": {"x": [1.0], "k": [2]}}'
    assert _post(server, "toy:predict", good)[0] == 200
