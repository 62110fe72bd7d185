"""Classify, Regress and MultiInference: the calls that take `tf.train.Example` records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np

from serving.predict import DEFAULT_SIGNATURE, Runner, fill_spec
from serving.status import StatusError, invalid

__all__ = ["run_classify", "run_multi_inference", "run_regress"]

CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"
STRING = 7
FLOAT = 1


def run_classify(runner: Runner, version: int | None, request: Any, response: Any) -> int:
    """Answers a `ClassificationRequest`.

    Returns:
        How many examples it held.

    Raises:
        StatusError: The signature isn't one of a classifier, or the input is empty.
    """
    signature = _signature(runner, request.model_spec.signature_name)
    feed, fetches = _classify_tensors(signature)
    _spec(response, request, version)
    examples = _examples(request.input)
    outputs = dict(zip(fetches, runner.run([feed], fetches, [examples]), strict=True))
    _fill_classes(signature, len(examples), outputs, response.result)
    return len(examples)


def run_regress(runner: Runner, version: int | None, request: Any, response: Any) -> int:
    """Answers a `RegressionRequest`; returns and raises as `run_classify`."""
    signature = _signature(runner, request.model_spec.signature_name)
    feed, fetches = _regress_tensors(signature)
    _spec(response, request, version)
    examples = _examples(request.input)
    outputs = dict(zip(fetches, runner.run([feed], fetches, [examples]), strict=True))
    _fill_values(signature, len(examples), outputs, response.result)
    return len(examples)


def run_multi_inference(runner: Runner, version: int | None, request: Any, response: Any) -> int:
    """Answers a `MultiInferenceRequest`: several heads, one pass over the same examples."""
    model = ""
    seen: set[str] = set()
    feeds: set[str] = set()
    fetches: set[str] = set()
    for task in request.tasks:
        if not task.model_spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if model and model != task.model_spec.name:
            raise invalid(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        model = task.model_spec.name
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in seen:
            raise invalid(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        if name not in runner.signatures:
            raise invalid(f"Requested signature not found in model graph: {name}")
        feed, wanted = _task_tensors(runner.signatures[name], task.method_name)
        feeds.add(feed)
        fetches.update(wanted)
    examples = _examples(request.input)
    ordered = sorted(fetches)
    arrays = [examples] * len(feeds)
    outputs = dict(zip(ordered, runner.run(sorted(feeds), ordered, arrays), strict=True))
    for task in request.tasks:
        signature = runner.signatures[task.model_spec.signature_name or DEFAULT_SIGNATURE]
        result = response.results.add()
        if task.method_name == CLASSIFY_METHOD:
            _fill_classes(signature, len(examples), outputs, result.classification_result)
        else:
            _fill_values(signature, len(examples), outputs, result.regression_result)
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        fill_spec(result.model_spec, task.model_spec.name, name, version)
    return len(examples)


def _spec(response: Any, request: Any, version: int | None) -> None:
    spec = request.model_spec
    fill_spec(response.model_spec, spec.name, spec.signature_name or DEFAULT_SIGNATURE, version)


def _signature(runner: Runner, name: str) -> Any:
    name = name or DEFAULT_SIGNATURE
    if name not in runner.signatures:
        raise invalid(f"No signature was found with the name: {name}")
    return runner.signatures[name]


def _task_tensors(signature: Any, method: str) -> tuple[str, list[str]]:
    if method == CLASSIFY_METHOD:
        return _classify_tensors(signature)
    if method == REGRESS_METHOD:
        return _regress_tensors(signature)
    raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"Unsupported signature method_name: {method}")


def _classify_tensors(signature: Any) -> tuple[str, list[str]]:
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if "inputs" not in signature.inputs:
        raise invalid(f"No classification inputs found in SignatureDef: {signature}")
    fetches = [
        signature.outputs[key].name for key in ("classes", "scores") if key in signature.outputs
    ]
    if not fetches:
        raise invalid(
            "Expected classification signature outputs to contain at least one of "
            f'"classes" or "scores". Signature was: {signature}'
        )
    return signature.inputs["inputs"].name, fetches


def _regress_tensors(signature: Any) -> tuple[str, list[str]]:
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if "inputs" not in signature.inputs:
        raise invalid(f"No regression inputs found in SignatureDef: {signature}")
    if "outputs" not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {signature}")
    return signature.inputs["inputs"].name, [signature.outputs["outputs"].name]


def _examples(message: Any) -> np.ndarray:
    """Serialised examples, string [n]; the context's bytes come before each example's.

    Concatenating two serialised messages merges them, with the example's values winning.
    """
    kind = message.WhichOneof("kind")
    records: Sequence[bytes] = ()
    if kind == "example_list":
        records = [record.SerializeToString() for record in message.example_list.examples]
    elif kind == "example_list_with_context":
        parts = message.example_list_with_context
        context = parts.context.SerializeToString()
        records = [context + record.SerializeToString() for record in parts.examples]
    if not records:
        raise invalid("Input is empty.")
    values = np.empty(len(records), np.object_)
    values[:] = records
    return values


def _fill_classes(signature: Any, count: int, outputs: dict[str, Any], result: Any) -> None:
    columns = {}
    for key, dtype, shown in (("classes", STRING, "DT_STRING"), ("scores", FLOAT, "DT_FLOAT")):
        if key not in signature.outputs:
            continue
        values = outputs[signature.outputs[key].name]
        if values.ndim != 2:
            raise invalid(
                "Expected Tensor shape: [batch_size num_classes] but got "
                f"[{','.join(map(str, values.shape))}]"
            )
        if signature.outputs[key].dtype != dtype:
            raise invalid(
                f"Expected {key} Tensor of {shown}. Got: {_enum(signature.outputs[key].dtype)}"
            )
        if len(values) != count:
            raise invalid(f"Expected {key} output batch size of {count}. Got: {len(values)}")
        columns[key] = values
    if len({values.shape[1] for values in columns.values()}) > 1:
        raise invalid(
            "Tensors class and score should match in dim_size(1). Got "
            f"{columns['classes'].shape[1]} vs. {columns['scores'].shape[1]}"
        )
    for row in range(count):
        answer = result.classifications.add()
        for column in range(next(iter(columns.values())).shape[1]):
            entry = answer.classes.add()
            if "classes" in columns:
                entry.label = columns["classes"][row, column].decode("utf-8", errors="replace")
            if "scores" in columns:
                entry.score = columns["scores"][row, column]


def _fill_values(signature: Any, count: int, outputs: dict[str, Any], result: Any) -> None:
    info = signature.outputs["outputs"]
    values = outputs[info.name]
    shape = f"[{','.join(map(str, values.shape))}]"
    if values.ndim != 1 and not (values.ndim == 2 and values.shape[1] == 1):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            f"but got {shape}"
        )
    if len(values) != count:
        raise invalid(
            f"Input batch size did not match output batch size: {count} vs. {len(values)}"
        )
    if info.dtype != FLOAT:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {_enum(info.dtype)}")
    for value in values.ravel().tolist():
        result.regressions.add().value = value


def _enum(dtype: int) -> str:
    from tensorflow.core.framework import types_pb2

    return str(types_pb2.DataType.Name(dtype))
