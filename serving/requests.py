"""Requests and typed answers of a recommender, shared by the sync and the asyncio client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving import tensors
from serving.wire import wire_classes
from tfrec.errors import ServingError

__all__ = [
    "ModelVersion",
    "Recommendations",
    "predict_request",
    "recommend_inputs",
    "status_request",
]

STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
PREDICT = "/tensorflow.serving.PredictionService/Predict"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
# In the order of preference for a Python number or text.
_DTYPES = {"O": 7, "f": 1, "d": 2, "i": 3, "l": 9, "q": 9, "?": 10, "B": 4}


@dataclass(frozen=True)
class Recommendations:
    """What a recommender answered for one user, best first.

    Attributes:
        item_ids: Items; fewer than asked when the catalogue has no more that qualify.
        scores: Their scores, comparable within one model version only.
        model_version: The version that answered.
    """

    item_ids: tuple[str, ...]
    scores: tuple[float, ...]
    model_version: int


@dataclass(frozen=True)
class ModelVersion:
    """The state of one version.

    Attributes:
        version: Its number.
        state: `LOADING`, `AVAILABLE`, `UNLOADING` or `END`.
        error: Why it isn't available, or "".
    """

    version: int
    state: str
    error: str


def tensor_array(value: Any) -> np.ndarray:
    """An array that has a data type of the protocol: texts become bytes, floats float32.

    Example:
        >>> tensor_array(["a", "b"]).tolist(), tensor_array([1.5]).dtype, tensor_array([3]).dtype
        ([b'a', b'b'], dtype('float32'), dtype('int32'))
    """
    array = np.asarray(value)
    if array.dtype.kind in "US":
        texts = array.astype(np.object_)
        array = texts
    if array.dtype.kind == "O":
        flat = [text.encode() if isinstance(text, str) else text for text in array.ravel()]
        result = np.empty(len(flat), np.object_)
        result[:] = flat
        return result.reshape(array.shape)
    if not isinstance(value, np.ndarray):
        if array.dtype == np.float64:
            return array.astype(np.float32)
        if array.dtype == np.int64:
            return array.astype(np.int32)
    return array


def predict_request(
    model: str,
    inputs: Mapping[str, Any],
    *,
    signature: str = "",
    version: int | None = None,
    label: str = "",
    outputs: Sequence[str] = (),
) -> Any:
    """A `PredictRequest`.

    Raises:
        ServingError: An input has a data type that no tensor has.
    """
    request = wire_classes()["PredictRequest"](output_filter=list(outputs))
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    request.model_spec.version_label = label
    for name, value in inputs.items():
        array = tensor_array(value)
        if array.dtype.char not in _DTYPES:
            raise ServingError(
                f"`{name}`",
                "an input holds texts, bytes, numbers or truth values",
                received=str(array.dtype),
                remedy="Convert it",
            )
        tensors.encode(array, _DTYPES[array.dtype.char], request.inputs[name])
    return request


def predict_outputs(response: Any) -> dict[str, np.ndarray]:
    """The outputs of a `PredictResponse` as arrays."""
    return {name: tensors.decode(proto) for name, proto in response.outputs.items()}


def recommend_inputs(
    user_ids: Sequence[str],
    k: int,
    histories: Sequence[Sequence[str]] | None,
    exclude: Sequence[Sequence[str]] | None,
    width: int | None,
) -> dict[str, np.ndarray]:
    """The inputs of `recommend` for several users.

    Args:
        user_ids: One a row.
        k: How many items.
        histories: Item ids in time order, one list a row; `None` for the stored ones.
        exclude: Item ids never to return, one list a row.
        width: Width of both matrices. A server that batches needs one width for all requests;
            without one, the longest row decides. Histories keep their newest ids, on the right.

    Raises:
        ServingError: An exclusion doesn't fit into `width`.
    """
    rows = len(user_ids)
    users = np.empty(rows, np.object_)
    users[:] = [user.encode() for user in user_ids]
    longest = max((len(row) for row in exclude or ()), default=0)
    if width is not None and longest > width:
        raise ServingError(
            "`exclude`",
            f"at most {width} items can be excluded in one request",
            received=longest,
            remedy="Raise the client's `width`",
        )
    return {
        "user_id": users,
        "history": _matrix(histories or [()] * rows, width),
        "exclude": _matrix(exclude or [()] * rows, width),
        "k": np.full(rows, k, np.int32),
    }


def search_inputs(
    query: str, k: int, exclude: Sequence[str], width: int | None
) -> dict[str, np.ndarray]:
    """The inputs of `search` for one query."""
    inputs = recommend_inputs([query], k, None, [exclude], width)
    return {"query": inputs["user_id"], "exclude": inputs["exclude"], "k": inputs["k"]}


def explain_inputs(
    user_id: str,
    k: int,
    history: Sequence[str],
    exclude: Sequence[str],
    item_ids: Sequence[str],
    width: int | None,
) -> dict[str, np.ndarray]:
    """The inputs of `explain` for one user: those of `recommend`, and the items to explain."""
    inputs = recommend_inputs([user_id], k, [history], [exclude], width)
    inputs["item_ids"] = _matrix([item_ids], None)
    return inputs


def recommendations(response: Any) -> list[Recommendations]:
    """Reads the answer of `recommend` or `similar_items`; empty places are dropped."""
    outputs = predict_outputs(response)
    version = response.model_spec.version.value
    answers = []
    for ids, scores in zip(outputs["item_ids"], outputs["scores"], strict=True):
        kept = [(i.decode(), float(s)) for i, s in zip(ids, scores, strict=True) if i]
        answers.append(
            Recommendations(tuple(i for i, _ in kept), tuple(s for _, s in kept), version)
        )
    return answers


def status_request(model: str) -> Any:
    """A `GetModelStatusRequest` for all versions of a model."""
    request = wire_classes()["GetModelStatusRequest"]()
    request.model_spec.name = model
    return request


def model_versions(response: Any) -> list[ModelVersion]:
    """Reads a `GetModelStatusResponse`."""
    return [
        ModelVersion(entry.version, STATES.get(entry.state, "UNKNOWN"), entry.status.error_message)
        for entry in response.model_version_status
    ]


def _matrix(rows: Sequence[Sequence[str]], width: int | None) -> np.ndarray:
    columns = max((len(row) for row in rows), default=0) if width is None else width
    matrix = np.full((len(rows), columns), b"", np.object_)
    for index, row in enumerate(rows):
        kept = list(row)[-columns:] if columns else []
        if kept:
            matrix[index, columns - len(kept) :] = [item.encode() for item in kept]
    return matrix
