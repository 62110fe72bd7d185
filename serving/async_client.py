"""The client for asyncio, which can gather concurrent requests into one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import grpc
import numpy as np

from serving.calls import CallOptions, Tls, channel_options, explain, pauses
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

__all__ = ["AsyncClient"]


class AsyncClient:
    """Asks one model of a server from a running event loop.

    Args:
        target: `HOST:PORT` of the gRPC port.
        model: The model's name.
        call: Deadline and retries of each call.
        label: A version label to ask instead of the latest version.
        width: As for `serving.client.Client`.
        tls: Files of a secure connection; `None` is plain text.
        metadata: Sent with each call.
        max_message_bytes: Longest answer that is accepted.
        gather: Most users that one request carries. Calls of `recommend` for the same `k` and
            conditions that are made while the loop is busy travel together; 1 sends each by itself.
        sleep, draw: Pauses and random numbers of retries, for tests.

    Example::

        async with AsyncClient("127.0.0.1:8500", model="songs") as client:
            answers = await asyncio.gather(*(client.recommend(user) for user in users))
    """

    def __init__(
        self,
        target: str,
        *,
        model: str,
        call: CallOptions | None = None,
        label: str = "",
        width: int | None = None,
        tls: Tls | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        max_message_bytes: int = 64 * 1024 * 1024,
        gather: int = 1,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._target = target
        self._model = model
        self._options = call or CallOptions()
        self._label = label
        self._width = width
        self._metadata = tuple(metadata)
        self._gather = gather
        self._sleep = sleep
        self._draw = draw
        options = channel_options(max_message_bytes)
        self._channel = (
            grpc.aio.insecure_channel(target, options)
            if tls is None
            else grpc.aio.secure_channel(target, tls.credentials(), options)
        )
        classes = wire_classes()
        self._predict = self._method(PREDICT, classes["PredictResponse"])
        self._status = self._method(STATUS, classes["GetModelStatusResponse"])
        self._waiting: dict[tuple[int, str], list[tuple[Any, ...]]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def recommend(
        self,
        user_id: str,
        k: int = 10,
        *,
        history: Sequence[str] = (),
        exclude: Sequence[str] = (),
        where: Mapping[str, Condition] | None = None,
    ) -> Recommendations:
        """Items for one user: see `serving.client.Client.recommend`."""
        if self._gather == 1:
            return (await self.recommend_many([user_id], k, [history], [exclude], where=where))[0]
        future: asyncio.Future[Recommendations] = asyncio.get_running_loop().create_future()
        together = k, repr(sorted((where or {}).items()))
        waiting = self._waiting.setdefault(together, [])
        waiting.append((user_id, history, exclude, future))
        if len(waiting) == 1:
            task = asyncio.create_task(self._send_soon(together, where))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return await future

    async def recommend_many(
        self,
        user_ids: Sequence[str],
        k: int = 10,
        histories: Sequence[Sequence[str]] | None = None,
        exclude: Sequence[Sequence[str]] | None = None,
        *,
        where: Mapping[str, Condition] | None = None,
    ) -> list[Recommendations]:
        """Items for several users in one request."""
        if not user_ids:
            return []
        inputs = recommend_inputs(user_ids, k, histories, exclude, self._width)
        if where:
            inputs |= condition_inputs(where, len(user_ids))
            return recommendations(await self._run(inputs, "recommend_filtered", ()))
        return recommendations(await self._run(inputs, "", ("item_ids", "scores")))

    async def explain(
        self,
        user_id: str,
        k: int = 10,
        *,
        history: Sequence[str] = (),
        exclude: Sequence[str] = (),
        item_ids: Sequence[str] = (),
    ) -> list[Explained]:
        """Why a user gets items: see `serving.client.Client.explain`."""
        inputs = explain_inputs(user_id, k, history, exclude, item_ids, self._width)
        return explanations(await self._run(inputs, "explain", ()))[0]

    async def search(
        self, query: str, k: int = 10, *, exclude: Sequence[str] = ()
    ) -> Recommendations:
        """Items by a text: see `serving.client.Client.search`."""
        inputs = search_inputs(query, k, exclude, self._width)
        return recommendations(await self._run(inputs, "search", ()))[0]

    async def similar_items(self, item_id: str, k: int = 10) -> Recommendations:
        """Items near another one."""
        inputs = {"item_id": [item_id], "k": np.array([k], np.int32)}
        return recommendations(await self._run(inputs, "similar_items", ()))[0]

    async def predict(
        self, inputs: Mapping[str, Any], *, signature: str = "", outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Any signature: see `serving.client.Client.predict`."""
        return predict_outputs(await self._run(inputs, signature, outputs))

    async def versions(self) -> list[ModelVersion]:
        """The model's versions and their states, newest first."""
        return model_versions(await self._call(self._status, status_request(self._model)))

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _method(self, path: str, response: Any) -> Any:
        return self._channel.unary_unary(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

    async def _send_soon(
        self, together: tuple[int, str], where: Mapping[str, Condition] | None
    ) -> None:
        # One turn of the loop lets everybody who is ready to ask, ask.
        await asyncio.sleep(0)
        waiting = self._waiting.pop(together)
        for start in range(0, len(waiting), self._gather):
            users, histories, exclude, futures = zip(
                *waiting[start : start + self._gather], strict=True
            )
            try:
                answers = await self.recommend_many(
                    users, together[0], histories, exclude, where=where
                )
            except Exception as error:  # each caller gets it
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
                continue
            for future, answer in zip(futures, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    async def _run(self, inputs: Mapping[str, Any], signature: str, outputs: Sequence[str]) -> Any:
        request = predict_request(
            self._model, inputs, signature=signature, label=self._label, outputs=outputs
        )
        return await self._call(self._predict, request)

    async def _call(self, method: Any, request: Any) -> Any:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._options.timeout
        for pause in [*pauses(self._options, self._draw), None]:
            try:
                left = max(deadline - loop.time(), 0)
                return await method(request, timeout=left, metadata=self._metadata)
            except grpc.RpcError as error:
                final = error.code() is not grpc.StatusCode.UNAVAILABLE
                if final or pause is None or loop.time() + pause > deadline:
                    raise explain(
                        error, self._target, self._model, self._options.timeout
                    ) from error
                await self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")
