"""The clients: typed answers, deadlines, retries on UNAVAILABLE only, one-line failures."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import get_model_status_pb2, model_pb2, predict_pb2

from serving.async_client import AsyncClient
from serving.calls import CallOptions, pauses
from serving.client import Client, Recommendations
from serving.requests import predict_request as client_request
from serving.requests import recommend_inputs
from serving.server import Server
from serving.wire import MESSAGES, wire_classes
from tests.serving import toy_models
from tfrec.cli import main
from tfrec.errors import ServingError


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(f"127.0.0.1:{server.port}", model="songs") as made:
        yield made


def test_recommend_answers_typed_and_in_order(client: Client) -> None:
    answer = client.recommend("u", 3, history=["b"], exclude=["a", "d"])
    assert answer == Recommendations(("c", "e", "f"), (-2.0, -4.0, -5.0), 1)


def test_empty_places_are_dropped(client: Client) -> None:
    assert client.recommend("u", 100).item_ids == tuple("abcdefgh")
    assert client.recommend("u", 3, exclude=list("abcdefgh")).item_ids == ()


def test_many_users_in_one_request(client: Client) -> None:
    answers = client.recommend_many(["u", "v"], 2, histories=[["a"], ["a", "b", "c"]])
    assert [answer.item_ids for answer in answers] == [("b", "c"), ("d", "e")]
    assert client.recommend_many([]) == []


def test_any_signature_and_plain_python_values(server: Server) -> None:
    with Client(f"127.0.0.1:{server.port}", model="toy") as client:
        outputs = client.predict({"x": [1.5, 2.0], "k": [2, 3]}, outputs=["y"])
        np.testing.assert_array_equal(outputs["y"], np.array([3.0, 6.0], np.float32))
        assert client.predict({"title": ["straße"]}, signature="shout")["title_bytes"][0]
        (version,) = client.versions()
        assert (version.version, version.state, version.error) == (1, "AVAILABLE", "")


def test_the_async_client_answers_alike_and_gathers(server: Server) -> None:
    async def ask() -> tuple[list[Recommendations], list[Recommendations], int]:
        sent = 0
        target = f"127.0.0.1:{server.port}"
        async with (
            AsyncClient(target, model="songs") as single,
            AsyncClient(target, model="songs", gather=8) as gathering,
        ):
            original = gathering.recommend_many

            async def counted(*arguments: Any, **more: Any) -> list[Recommendations]:
                nonlocal sent
                sent += 1
                return await original(*arguments, **more)

            gathering.recommend_many = counted  # type: ignore[method-assign]
            histories = [["a"], [], ["c"], ["a", "b"]] * 3
            one = await asyncio.gather(*(single.recommend("u", 2, history=h) for h in histories))
            many = await asyncio.gather(
                *(gathering.recommend("u", 2, history=h) for h in histories)
            )
            assert (await single.versions())[0].state == "AVAILABLE"
        return list(one), list(many), sent

    one, many, sent = asyncio.run(ask())
    assert one == many
    assert many[0].item_ids == ("b", "c")
    assert sent == 2  # twelve users, eight a request


class Flaky:
    """A server whose Predict ends with the codes of a list, then answers."""

    def __init__(self, *codes: grpc.StatusCode) -> None:
        self.codes = list(codes)
        self.calls = 0
        self.times: list[float] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        method = grpc.unary_unary_rpc_method_handler(
            self._predict,
            request_deserializer=predict_pb2.PredictRequest.FromString,
            response_serializer=predict_pb2.PredictResponse.SerializeToString,
        )
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "tensorflow.serving.PredictionService", {"Predict": method}
                ),
            )
        )
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.calls += 1
        self.times.append(context.time_remaining())
        if self.codes:
            context.abort(self.codes.pop(0), "as told")
        return predict_pb2.PredictResponse()

    def __enter__(self) -> Flaky:
        return self

    def __exit__(self, *unused: object) -> None:
        self._server.stop(None).wait()


def test_unavailable_is_tried_again_with_growing_jittered_pauses() -> None:
    now = [0.0]
    taken: list[float] = []

    def sleep(seconds: float) -> None:
        taken.append(seconds)
        now[0] += seconds

    gone = grpc.StatusCode.UNAVAILABLE
    options = CallOptions(timeout=10, attempts=3, first_pause=2, longest_pause=5)
    with (
        Flaky(gone, gone) as server,
        Client(
            server.target,
            model="m",
            call=options,
            sleep=sleep,
            draw=lambda: 0.5,
            clock=lambda: now[0],
        ) as client,
    ):
        assert client.predict({"x": [1.0]}) == {}
        assert taken == [1.0, 2.0]
        # The attempts share one deadline.
        assert server.times == pytest.approx([10, 9, 7], abs=0.5)


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    ],
)
def test_nothing_but_unavailable_is_tried_again(code: grpc.StatusCode) -> None:
    with Flaky(code) as server, Client(server.target, model="m") as client:
        with pytest.raises(ServingError):
            client.predict({"x": [1.0]})
        assert server.calls == 1


def test_attempts_end() -> None:
    with (
        Flaky(*[grpc.StatusCode.UNAVAILABLE] * 9) as server,
        Client(server.target, model="m", sleep=lambda seconds: None) as client,
    ):
        with pytest.raises(ServingError, match="a server must answer at this address"):
            client.predict({"x": [1.0]})
        assert server.calls == 3


def test_the_async_client_tries_again_too() -> None:
    async def ask(target: str) -> dict[str, Any]:
        async def no_pause(seconds: float) -> None:
            return None

        async with AsyncClient(target, model="m", sleep=no_pause) as client:
            return await client.predict({"x": [1.0]})

    with Flaky(grpc.StatusCode.UNAVAILABLE) as server:
        assert asyncio.run(ask(server.target)) == {}
        assert server.calls == 2
    with Flaky(grpc.StatusCode.NOT_FOUND) as server:
        with pytest.raises(ServingError, match="must serve model `m`"):
            asyncio.run(ask(server.target))
        assert server.calls == 1


def test_no_pause_is_longer_than_its_bound() -> None:
    options = CallOptions(attempts=6, first_pause=0.1, longest_pause=0.4)
    assert all(p <= b for p, b in zip(pauses(options), [0.1, 0.2, 0.4, 0.4, 0.4], strict=True))


def test_fixed_width_keeps_the_newest_history_and_all_exclusions() -> None:
    inputs = recommend_inputs(["u"], 1, [["a", "b", "c"]], [["x"]], 2)
    assert inputs["history"].tolist() == [[b"b", b"c"]]
    assert inputs["exclude"].tolist() == [[b"", b"x"]]
    with pytest.raises(ServingError, match="at most 2 items can be excluded"):
        recommend_inputs(["u"], 1, None, [["x", "y", "z"]], 2)


PUBLISHED = {
    "ModelSpec": model_pb2.ModelSpec,
    "PredictRequest": predict_pb2.PredictRequest,
    "PredictResponse": predict_pb2.PredictResponse,
    "GetModelStatusRequest": get_model_status_pb2.GetModelStatusRequest,
    "GetModelStatusResponse": get_model_status_pb2.GetModelStatusResponse,
    "ModelVersionStatus": get_model_status_pb2.ModelVersionStatus,
}


def compared(ours: Any, published: Any) -> None:
    """Same numbers and wire types, also below; an enum is an int32 on the wire."""
    for field in ours.fields:
        other = published.fields_by_name[field.name]
        assert other.number == field.number, field.full_name
        assert other.is_repeated == field.is_repeated, field.full_name
        if field.type == field.TYPE_MESSAGE:
            compared(field.message_type, other.message_type)
        elif other.type == other.TYPE_ENUM:
            assert field.type == field.TYPE_INT32
        else:
            assert other.type == field.type, field.full_name


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_light_messages_are_those_of_the_published_protocol(name: str) -> None:
    assert name in MESSAGES
    compared(wire_classes()[name].DESCRIPTOR, PUBLISHED[name].DESCRIPTOR)


def test_a_light_request_is_read_by_the_published_classes() -> None:
    light = client_request("m", {"user_id": ["ü"]}, version=0, signature="s", outputs=["o"])
    full = predict_pb2.PredictRequest.FromString(light.SerializeToString())
    assert full == toy_models.predict_request(
        "m", signature="s", version=0, outputs=["o"], user_id=["ü"]
    )


def test_a_client_never_loads_tensorflow() -> None:
    code = (
        "import sys, serving.client, serving.async_client, tfrec.commands.query\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_query_prints_a_ranked_table(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    target = f"127.0.0.1:{server.port}"
    words = ["query", target, "--user", "u", "--k", "2", "--history", "a, b", "--model", "songs"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["rank", "item", "score"]
    assert [line.split() for line in lines[1:3]] == [["1", "c", "-2.0000"], ["2", "d", "-3.0000"]]
    assert lines[3].startswith("2 items from songs version 1 in ")
    assert main([*words, "--json"]) == 0
    assert '"item_ids": ["c", "d"]' in capsys.readouterr().out


def test_query_asks_for_someone_without_an_id(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """A history stands for itself, though the signature's `user_id` mustn't be empty."""
    target = f"127.0.0.1:{server.port}"
    assert main(["query", target, "--history", "a,b", "--k", "1", "--model", "songs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["1", "c", "-2.0000"]
    assert lines[2].startswith("1 item from songs")


def test_a_refusal_names_no_node_of_the_graph(server: Server) -> None:
    """What the graph says is kept, what TensorFlow adds to it for its makers isn't."""
    with (
        Client(f"127.0.0.1:{server.port}", model="songs") as client,
        pytest.raises(ServingError) as caught,
    ):
        client.recommend("")
    assert "assertion failed" in str(caught.value)
    assert "[[{{" not in str(caught.value) and ".." not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "status", "parts"),
    [
        (["{target}"], 2, ["a user, a history or a text to search must be given"]),
        (["{target}", "--search", " "], 2, ["--search", "a text must be given"]),
        (["{target}", "--search", "a", "--user", "u"], 2, ["--search", "--user too"]),
        (["{target}", "--search", "a", "--explain"], 2, ["--search", "--explain too"]),
        (["{target}", "--search", "a", "--model", "songs"], 1, ["`songs` refused", "without this"]),
        (["localhost", "--user", "u"], 2, ["a host, a colon and a port", "127.0.0.1:8500"]),
        (
            ["{target}", "--user", "u", "--model", "nope"],
            1,
            ["must serve model `nope`", "Received: models examples, songs, toy", "--model NAME"],
        ),
        (
            ["{target}", "--user", "u"],
            1,
            ["a model must be named", "models examples, songs, toy"],
        ),
        (
            ["{target}", "--user", "u", "--model", "toy"],
            1,
            ["model `toy` refused the request", "INVALID_ARGUMENT"],
        ),
        (
            ["127.0.0.1:1", "--user", "u", "--timeout", "1"],
            1,
            ["connection refused", "Start one with `tfrec serve MODELS/NAME`"],
        ),
    ],
)
def test_query_fails_in_one_line_with_a_remedy(
    server: Server,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    parts: list[str],
) -> None:
    target = f"127.0.0.1:{server.port}"
    assert main(["query", *(word.format(target=target) for word in words)]) == status
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    for part in parts:
        assert part in printed


def test_a_server_that_says_nothing_is_told_by_the_timeout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A port that accepts and never answers ends at the timeout, in one line with its remedy."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        assert main(["query", target, "--user", "u", "--model", "songs", "--timeout", "0.3"]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "none within 0.3 s" in message
    assert "raise the timeout" in message


def test_the_only_model_is_found_without_its_name(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from serving.options import ServerOptions

    options = ServerOptions(
        model_name="songs",
        model_base_path=models / "songs",
        port=0,
        file_system_poll_wait_seconds=0,
    )
    with Server(options) as alone:
        assert main(["query", f"127.0.0.1:{alone.port}", "--user", "u", "--k", "1"]) == 0
    assert "1 item from songs version 1" in capsys.readouterr().out
