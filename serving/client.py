"""A client of TensorFlow Serving, stock or embedded, for programs: no TensorFlow needed.

    with Client("127.0.0.1:8500", model="songs") as client:
        for item, score in zip(*client.recommend("user 42", k=10)[:2]): …

One client holds one connection and may be shared by threads; `serving.async_client.AsyncClient`
does the same for asyncio.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import grpc
import numpy as np

from serving.calls import CallOptions, Tls, channel_options, explain, pauses, served_models
from serving.explained import Condition, Explained, condition_inputs, explanations
from serving.requests import (
    PREDICT,
    STATUS,
    ModelVersion,
    Recommendations,
    explain_inputs,
    model_versions,
    predict_outputs,
    predict_request,
    recommend_inputs,
    recommendations,
    search_inputs,
    status_request,
)
from serving.wire import wire_classes
from tfrec.errors import ServingError

__all__ = ["CallOptions", "Client", "Explained", "ModelVersion", "Recommendations", "Tls"]


class Client:
    """Asks one model of a server.

    Args:
        target: `HOST:PORT` of the gRPC port.
        model: The model's name. With `None` the embedded server is asked for its only one.
        call: Deadline and retries of each call.
        label: A version label (`stable`, `canary`) to ask instead of the latest version.
        width: Columns of the history and exclusion matrices. A stock server that batches needs all
            requests equally wide, since it would pad a history with its own first item.
        tls: Files of a secure connection; `None` is plain text.
        metadata: Sent with each call, for proxies.
        max_message_bytes: Longest answer that is accepted.
        sleep, draw, clock: Pauses, random numbers and time of retries, for tests.

    Raises:
        ServingError: From every method, when the server doesn't answer or refuses.

    Example::

        client = Client("127.0.0.1:8500", model="songs", call=CallOptions(timeout=0.2))
        answer = client.recommend("user 42", k=10, exclude=["song 7"])
    """

    def __init__(
        self,
        target: str,
        *,
        model: str | None = None,
        call: CallOptions | None = None,
        label: str = "",
        width: int | None = None,
        tls: Tls | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        max_message_bytes: int = 64 * 1024 * 1024,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._model = model
        self._options = call or CallOptions()
        self._label = label
        self._width = width
        self._metadata = tuple(metadata)
        self._sleep = sleep
        self._draw = draw
        self._clock = clock
        options = channel_options(max_message_bytes)
        self._channel = (
            grpc.insecure_channel(target, options)
            if tls is None
            else grpc.secure_channel(target, tls.credentials(), options)
        )
        classes = wire_classes()
        self._predict = self._method(PREDICT, classes["PredictResponse"])
        self._status = self._method(STATUS, classes["GetModelStatusResponse"])

    def recommend(
        self,
        user_id: str,
        k: int = 10,
        *,
        history: Sequence[str] = (),
        exclude: Sequence[str] = (),
        where: Mapping[str, Condition] | None = None,
    ) -> Recommendations:
        """Items for one user.

        Args:
            user_id: The user, known or not.
            k: How many.
            history: Item ids in time order that replace the stored history; empty keeps it.
            exclude: Item ids never to return.
            where: Conditions by feature: texts, one of which an item has, or the least and the
                greatest number: `{"genres": ["rock", "jazz"], "year": (1990, None)}`.

        Returns:
            Items that the user hasn't seen, best first.
        """
        return self.recommend_many(
            [user_id], k, histories=[history], exclude=[exclude], where=where
        )[0]

    def recommend_many(
        self,
        user_ids: Sequence[str],
        k: int = 10,
        *,
        histories: Sequence[Sequence[str]] | None = None,
        exclude: Sequence[Sequence[str]] | None = None,
        where: Mapping[str, Condition] | None = None,
    ) -> list[Recommendations]:
        """Items for several users in one request: many times the throughput of single ones."""
        if not user_ids:
            return []
        inputs = recommend_inputs(user_ids, k, histories, exclude, self._width)
        if where:
            inputs |= condition_inputs(where, len(user_ids))
            return recommendations(self._run(inputs, "recommend_filtered", ()))
        return recommendations(self._run(inputs, "", ("item_ids", "scores")))

    def explain(
        self,
        user_id: str,
        k: int = 10,
        *,
        history: Sequence[str] = (),
        exclude: Sequence[str] = (),
        item_ids: Sequence[str] = (),
    ) -> list[Explained]:
        """Why a user gets items, best first: shares of each score, and a sentence.

        Args:
            user_id: The user, known or not.
            k: How many recommendations are explained.
            history: Item ids in time order that replace the stored history; empty keeps it.
            exclude: Item ids never to recommend.
            item_ids: Items to explain in place of the recommendations.
        """
        inputs = explain_inputs(user_id, k, history, exclude, item_ids, self._width)
        return explanations(self._run(inputs, "explain", ()))[0]

    def search(self, query: str, k: int = 10, *, exclude: Sequence[str] = ()) -> Recommendations:
        """Items by a text: a title, or words about an item.

        Args:
            query: The text.
            k: How many.
            exclude: Item ids never to return.

        Returns:
            Items whose title or text is nearest, best first; scores are cosines.
        """
        inputs = search_inputs(query, k, exclude, self._width)
        return recommendations(self._run(inputs, "search", ()))[0]

    def similar_items(self, item_id: str, k: int = 10) -> Recommendations:
        """Items near another one."""
        inputs = {"item_id": [item_id], "k": np.array([k], np.int32)}
        return recommendations(self._run(inputs, "similar_items", ()))[0]

    def predict(
        self, inputs: Mapping[str, Any], *, signature: str = "", outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Any signature: `embed_user`, `embed_item`, `score` or another model's.

        Args:
            inputs: Arrays, lists of texts, bytes or numbers. Python floats become float32 and
                integers int32; give an array for another data type.
            signature: Its name; "" is the default one.
            outputs: Names of the outputs wanted; all by default.

        Returns:
            Arrays by output name; texts as `bytes`.
        """
        return predict_outputs(self._run(inputs, signature, outputs))

    def versions(self) -> list[ModelVersion]:
        """The model's versions and their states, newest first."""
        request = status_request(self.model)
        return model_versions(self._call(self._status, request, self.model))

    @property
    def model(self) -> str:
        """The model that is asked, found out from the embedded server if it wasn't given."""
        if self._model is None:
            self._model = self._only_model()
        return self._model

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _method(self, path: str, response: Any) -> Any:
        return self._channel.unary_unary(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

    def _run(self, inputs: Mapping[str, Any], signature: str, outputs: Sequence[str]) -> Any:
        request = predict_request(
            self.model, inputs, signature=signature, label=self._label, outputs=outputs
        )
        return self._call(self._predict, request, self.model)

    def _call(self, method: Any, request: Any, model: str) -> Any:
        try:
            return self._attempt(method, request)
        except grpc.RpcError as error:
            raise explain(error, self._target, model, self._options.timeout) from error

    def _attempt(self, method: Any, request: Any) -> Any:
        deadline = self._clock() + self._options.timeout
        for pause in [*pauses(self._options, self._draw), None]:
            try:
                left = max(deadline - self._clock(), 0)
                return method(request, timeout=left, metadata=self._metadata)
            except grpc.RpcError as error:
                final = error.code() is not grpc.StatusCode.UNAVAILABLE
                if final or pause is None or self._clock() + pause > deadline:
                    raise
                self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _only_model(self) -> str:
        try:
            self._attempt(self._status, status_request(""))
        except grpc.RpcError as error:
            known = served_models(error)
            if len(known) == 1:
                return known[0]
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise explain(error, self._target, "", self._options.timeout) from error
        else:
            known = []
        raise ServingError(
            self._target,
            "a model must be named",
            received=f"models {', '.join(known)}"
            if known
            else "a server that doesn't list its models",
            remedy="Name one (`--model NAME`): "
            "the name of the folder that holds the numbered versions",
        )
