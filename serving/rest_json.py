"""JSON of the REST API to requests and back, with the texts of TensorFlow Serving.

Row form, `{"instances": [{"user_id": "7", …}, …]}`, is answered by `predictions`, one entry a row;
column form, `{"inputs": {"user_id": ["7", …], …}}`, by `outputs`. A signature with a single input
or output may leave its name out. Bytes are `{"b64": "…"}`, and outputs named `*_bytes` are so too.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import numpy as np

from serving import tensors
from serving.status import StatusError, invalid

__all__ = ["answer_json", "fill_predict", "parse"]

_SHOWN = 256
_RANGES = {3: 2**31, 4: 2**31, 5: 2**31, 6: 2**31, 9: 2**63}
_UNSIGNED = {22: 2**32, 23: 2**64}


def parse(body: bytes) -> dict[str, Any]:
    """Reads the JSON object of a request; what follows it is ignored.

    Raises:
        StatusError: It isn't JSON, isn't an object, or is nested too deeply.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        text = body.decode("utf-8")
        start = len(text) - len(text.lstrip(" \t\r\n"))
        content, _ = json.JSONDecoder().raw_decode(text, start)
    except UnicodeDecodeError as error:
        raise invalid(
            f"JSON Parse error: Invalid encoding in string. at offset: {error.start}"
        ) from error
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg}. at offset: {error.pos}") from error
    except RecursionError as error:
        raise invalid("JSON Parse error: Nested too deeply. at offset: 0") from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise invalid("JSON Parse error: Number too big. at offset: 0") from error
    if not isinstance(content, dict):
        raise invalid(f"JSON Value: {shown(content)} Is not object")
    return content


def fill_signature(content: dict[str, Any], spec: Any) -> None:
    """Takes `signature_name` from a request."""
    name = content.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {shown(content)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    spec.signature_name = name


def fill_predict(
    content: dict[str, Any], inputs_of: Callable[[], Mapping[str, Any]], request: Any
) -> bool:
    """Fills a `PredictRequest` from a parsed body.

    Args:
        content: The body.
        inputs_of: Gives the signature's inputs, `TensorInfo` by name.
        request: The request, with its model specification.

    Returns:
        Whether it came in row form, so that the answer goes back in it.

    Raises:
        StatusError: The body doesn't fit the signature.
    """
    fill_signature(content, request.model_spec)
    wanted = inputs_of()
    if not wanted:
        name = request.model_spec.signature_name or "DEFAULT"
        raise invalid(f"Failed to get input map for signature: {name}")
    try:
        if "instances" in content:
            _fill_rows(content, wanted, request.inputs)
            return True
        if "inputs" in content:
            _fill_columns(content["inputs"], wanted, request.inputs)
            return False
    except RecursionError as error:
        raise invalid("JSON Parse error: Nested too deeply. at offset: 0") from error
    raise invalid("Missing 'inputs' or 'instances' key")


def _fill_rows(content: dict[str, Any], wanted: Mapping[str, Any], inputs: Any) -> None:
    rows = content["instances"]
    if "inputs" in content:
        raise invalid(
            f"JSON Value: {shown(content)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if not isinstance(rows, list):
        raise invalid(f"JSON Value: {shown(content)} Expecting 'instances' to be an list/array")
    if not rows:
        raise invalid(f"JSON Value: {shown(content)} No values in 'instances' array")
    if not isinstance(rows[0], dict) and len(wanted) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    columns: dict[str, list[Any]] = {}
    shapes: dict[str, list[int]] = {}
    named = _is_object(rows[0])
    for index, row in enumerate(rows):
        if named != _is_object(row):
            expected, got = ("object", "list") if named else ("value/list", "object")
            raise invalid(f"Expecting {expected} but got {got} at item {index} of input list")
        cells = row if named else {min(wanted): row}
        for name, cell in cells.items():
            try:
                _add_cell(name, cell, wanted, columns, shapes)
            except StatusError as error:
                key = f" key: {name}" if named else ""
                raise invalid(
                    f"Failed to process element: {index}{key} of 'instances' list. "
                    f"Error: {error.code.name}: {error.message}"
                ) from error
        if named and set(row) != set(wanted):
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: "
                f"{shown(row)} keys must be equal to: {','.join(sorted(wanted))}"
            )
    for name, values in columns.items():
        _write(inputs[name], wanted[name].dtype, [len(rows), *shapes[name]], values)


def _add_cell(
    name: str,
    cell: Any,
    wanted: Mapping[str, Any],
    columns: dict[str, list[Any]],
    shapes: dict[str, list[int]],
) -> None:
    if name not in wanted:
        raise invalid(f"JSON object: does not have named input: {name}")
    shape = _shape(cell)
    values: list[Any] = []
    _flatten(cell, shape, 0, wanted[name].dtype, values)
    known = shapes.setdefault(name, shape)
    if known != shape:
        size = int(np.prod(known))
        if size != len(values):
            raise invalid(f"Expecting tensor size: {size} but got: {len(values)}")
        raise invalid(f"Expecting shape {_brackets(known)} but got: {_brackets(shape)}")
    columns.setdefault(name, []).extend(values)


def _fill_columns(given: Any, wanted: Mapping[str, Any], inputs: Any) -> None:
    if not _is_object(given):
        if len(wanted) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        given = {name: given for name in wanted}
    for name in sorted(wanted):
        if name not in given:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        shape = _shape(given[name])
        values: list[Any] = []
        _flatten(given[name], shape, 0, wanted[name].dtype, values)
        _write(inputs[name], wanted[name].dtype, shape, values)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def is_base64(value: Any) -> bool:
    """Whether a value is a `{"b64": …}` object."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _shape(value: Any) -> list[int]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return shape


def _flatten(value: Any, shape: list[int], level: int, dtype: int, values: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the "
                f"JSON DOM. Expected at level: {len(shape)}"
            )
        values.append(_scalar(value, dtype))
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for entry in value:
        _flatten(entry, shape, level + 1, dtype, values)


def _scalar(value: Any, dtype: int) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = number and isinstance(value, int)
    if dtype in (1, 2) and number:
        return _float(value)
    if dtype in _RANGES and whole and -_RANGES[dtype] <= value < _RANGES[dtype]:
        return value
    if dtype in _UNSIGNED and whole and 0 <= value < _UNSIGNED[dtype]:
        return value
    if dtype == tensors.STRING:
        if isinstance(value, str):
            return value.encode("utf-8", errors="surrogatepass")
        if isinstance(value, dict):
            return from_base64(value)
    if dtype == 10 and isinstance(value, bool):
        return value
    if dtype not in {1, 2, tensors.STRING, 10, *_RANGES, *_UNSIGNED}:
        raise StatusError(
            grpc.StatusCode.UNIMPLEMENTED,
            f"Conversion of JSON Value: {shown(value)} to type: {tensors.type_name(dtype)}",
        )
    raise invalid(
        f"JSON Value: {shown(value)} Type: {kind(value)} is not of expected type: "
        f"{tensors.type_name(dtype)}"
    )


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond the doubles
        return float("inf") if value > 0 else float("-inf")


def from_base64(value: dict[str, Any]) -> bytes:
    """The bytes of a `{"b64": …}` object; raises `StatusError` when it is none."""
    if not is_base64(value):
        raise invalid(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    text = value["b64"]
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("Unable to base64 decode") from error


def _write(proto: Any, dtype: int, shape: list[int], values: list[Any]) -> None:
    with np.errstate(over="ignore"):
        array = np.empty(len(values), tensors.numpy_type(dtype))
        array[:] = values
    tensors.encode(array.reshape(shape), dtype, proto)


def answer_json(outputs: Mapping[str, Any], *, rows: bool) -> dict[str, Any]:
    """The body that answers a predict request.

    Raises:
        StatusError: In row form, when outputs disagree about their number of rows.
    """
    plain = {name: _plain(name, outputs[name]) for name in sorted(outputs)}
    if not plain:
        raise invalid("Cannot convert empty tensor map to JSON")
    if not rows:
        return {"outputs": plain if len(plain) > 1 else next(iter(plain.values()))}
    size: int | None = None
    for name in plain:
        dims = outputs[name].tensor_shape.dim
        if not dims:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if size is not None and dims[0].size != size:
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {dims[0].size} expecting: {size}"
            )
        size = dims[0].size
    if len(plain) == 1:
        return {"predictions": next(iter(plain.values()))}
    return {
        "predictions": [
            {name: values[row] for name, values in plain.items()} for row in range(size or 0)
        ]
    }


def _plain(name: str, proto: Any) -> Any:
    array = tensors.decode(proto)
    if proto.dtype == tensors.STRING:
        as_bytes = name.endswith("_bytes")
        flat: list[Any] = [
            {"b64": base64.b64encode(value).decode()}
            if as_bytes
            else value.decode("utf-8", errors="replace")
            for value in array.ravel()
        ]
        boxed = np.empty(len(flat), np.object_)
        boxed[:] = flat
        return boxed.reshape(array.shape).tolist()
    if proto.dtype == 1:
        return short(array).tolist()
    return array.tolist()


def short(array: Any) -> Any:
    """Float32 values as the doubles that print with the fewest digits: 0.2, not 0.20000000298."""
    return array.astype("U").astype(np.float64)


def _brackets(shape: list[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


def kind(value: Any) -> str:
    """The JSON type of a value, as error texts name it."""
    names = {type(None): "Null", dict: "Object", list: "Array", str: "String"}
    if isinstance(value, bool):
        return str(value)
    return names.get(type(value), "Number")


def shown(value: Any) -> str:
    """The beginning of a value, for an error text."""
    return json.dumps(value, ensure_ascii=False, indent=4)[:_SHOWN]
