"""Predict and GetModelMetadata: checks and texts of TensorFlow Serving, in its order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import grpc
import numpy as np

from serving import tensors
from serving.status import StatusError, invalid

__all__ = ["Runner", "run_metadata", "run_predict"]

DEFAULT_SIGNATURE = "serving_default"
SIGNATURE_DEF = "signature_def"


class Runner(Protocol):
    """What answers: a loaded model, or one behind a batch scheduler."""

    signatures: dict[str, Any]

    def run(
        self, feeds: Sequence[str], fetches: Sequence[str], arrays: Sequence[np.ndarray]
    ) -> list[Any]:
        """Runs the graph: see `serving.loaded_model.LoadedModel.run`."""


def run_predict(runner: Runner, version: int | None, request: Any, response: Any) -> None:
    """Answers a `PredictRequest`.

    Args:
        runner: The model version that answers.
        version: Its number, told in the answer; `None` leaves it out.
        request: A `PredictRequest`; its model specification was resolved already.
        response: The empty `PredictResponse` to fill.

    Raises:
        StatusError: The request doesn't fit the signature, or the graph refuses it.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = runner.signatures.get(name)
    if signature is None:
        raise StatusError(
            grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
        )
    fill_spec(response.model_spec, request.model_spec.name, name, version)
    feeds, arrays = _inputs(signature, request.inputs)
    aliases = _output_aliases(signature, request.output_filter)
    fetches = [signature.outputs[alias].name for alias in aliases]
    for alias, values in zip(aliases, runner.run(feeds, fetches, arrays), strict=True):
        tensors.encode(values, signature.outputs[alias].dtype, response.outputs[alias])


def fill_spec(spec: Any, name: str, signature: str | None, version: int | None) -> None:
    """Writes which model, signature and version answered."""
    spec.name = name
    if signature is not None:
        spec.signature_name = signature
    if version is not None:
        spec.version.value = version


def run_metadata(
    runner: Runner, name: str, version: int, fields: Iterable[str], response: Any
) -> None:
    """Answers a `GetModelMetadataRequest` whose fields were checked."""
    from tensorflow_serving.apis import get_model_metadata_pb2

    for field in fields:
        table = get_model_metadata_pb2.SignatureDefMap()
        for key, signature in runner.signatures.items():
            table.signature_def[key].CopyFrom(signature)
        response.metadata[field].Pack(table)
    fill_spec(response.model_spec, name, None, version)


def check_metadata_fields(fields: Sequence[str]) -> None:
    """Refuses a `GetModelMetadataRequest` for anything but signatures.

    Raises:
        StatusError: No field, or one that is not supported.
    """
    if not fields:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in fields:
        if field != SIGNATURE_DEF:
            raise invalid(f"Metadata field {field} is not supported")


def _inputs(signature: Any, sent: Mapping[str, Any]) -> tuple[list[str], list[np.ndarray]]:
    """Feed names and arrays, ordered by tensor name as the session orders its arguments."""
    wanted = signature.inputs
    if len(sent) > len(wanted) or (len(sent) < len(wanted) and not signature.defaults):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(wanted)} "
            f"len({_names(sent)}) != len({_names(wanted)}). "
            f"Sent extra: {_names(set(sent) - set(wanted))}. "
            f"Missing but required: {_names(set(wanted) - set(sent))}."
        )
    found: list[tuple[str, np.ndarray, int, int]] = []
    used = []
    for alias in sorted(wanted):
        info = wanted[alias]
        if alias in sent:
            proto = sent[alias]
            used.append(alias)
        elif alias in signature.defaults:
            proto = signature.defaults[alias]
        else:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {info.name}) not found in request and "
                "no default value provided. Inputs expected to be in the request "
                f"{_names(sent)}, or default input alias set: "
                f"{','.join(sorted(signature.defaults))}"
            )
        try:
            array = tensors.decode(proto)
        except tensors.TensorError as error:
            raise invalid(f"tensor parsing error: {alias}") from error
        found.append((info.name, array, info.dtype, proto.dtype))
    if sent and len(used) != len(sent):
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {','.join(used)}, "
            f"request input: {','.join(sorted(sent))}"
        )
    found.sort(key=lambda entry: entry[0])
    for index, (_, _, expected, provided) in enumerate(found):
        if expected != provided:
            raise invalid(
                f"Expects arg[{index}] to be {tensors.type_name(expected)} "
                f"but {tensors.type_name(provided)} is provided"
            )
    return [entry[0] for entry in found], [entry[1] for entry in found]


def _output_aliases(signature: Any, wanted: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    for alias in wanted:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_names(signature.outputs)}."
            )
        if alias in seen:
            raise invalid(f"duplicate output tensor alias: {alias}")
        seen.add(alias)
    return sorted(seen or signature.outputs)


def _names(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
