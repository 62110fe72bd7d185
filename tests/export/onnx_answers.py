"""Answers an export's warm-up requests by onnxruntime: `python -m tests.export.onnx_answers DIR`.

ONNX has no op for TensorFlow's hashes and searches of strings, so each signature is cut where its
strings (or another op that tf2onnx doesn't know) become numbers: a session computes what crosses
the cut, and onnxruntime all that follows. Prints a line a signature: its name, nodes, and the
greatest difference from the session, or why there is none.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401 - its ops are in the graph
import tf2onnx.tfonnx  # noqa: F401 - registers what it converts
from onnxruntime import InferenceSession
from tensorflow.core.framework import graph_pb2
from tensorflow_serving.apis import prediction_log_pb2
from tf2onnx import convert, tf_loader
from tf2onnx.handler import tf_op

from serving import tensors
from tfrec.export.warmup import WARMUP_FILE

OPSET = 18
KEPT = {"Placeholder", "Const", "If", "StatelessIf", "While", "StatelessWhile"}


def crossing(graph: tf.Graph, outputs: list[str]) -> list[str]:
    """Tensors that onnxruntime is given: results of what it can't compute, and plain inputs."""
    known = KEPT.union(*(tf_op.get_opsets()[""][: OPSET + 1]))
    given: dict[str, None] = {}
    seen: set[str] = set()
    waiting = [graph.get_tensor_by_name(name) for name in outputs]
    while waiting:
        tensor = waiting.pop()
        op = tensor.op
        reads_strings = any(each.dtype == tf.string for each in op.inputs)
        if (
            op.type not in known
            or op.type == "Placeholder"
            or (reads_strings and tensor.dtype != tf.string)
        ):
            given[tensor.name] = None
        elif op.name not in seen:
            seen.add(op.name)
            waiting += op.inputs
    return list(given)


def requests(version: Path) -> dict[str, list[dict[str, np.ndarray]]]:
    """The warm-up requests by signature."""
    found = defaultdict(list)
    for record in tf.data.TFRecordDataset(str(version / WARMUP_FILE)):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {name: tensors.decode(value) for name, value in request.inputs.items()}
        found[request.model_spec.signature_name].append(inputs)
    return found


def differences(function: Any, asked: list[dict[str, np.ndarray]]) -> dict[str, Any]:
    """What one signature's requests gave."""
    inputs = [each.name for each in function.inputs if each.dtype != tf.resource]
    outputs = [each.name for each in function.outputs]
    frozen = tf_loader.from_function(function, inputs, outputs)
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(frozen, name="")
    cut = crossing(graph, outputs)
    with tf.Graph().as_default() as second:
        given = {}
        for place, name in enumerate(cut):
            tensor = graph.get_tensor_by_name(name)
            given[name] = tf.compat.v1.placeholder(tensor.dtype, tensor.shape, f"cut_{place}")
        tf.import_graph_def(frozen, given, name="")
    rest = second.as_graph_def()
    for node in rest.node:
        # What was cut off would be kept for its order alone.
        node.input[:] = [name for name in node.input if not name.startswith("^")]
    names = [name.partition(":")[0] for name in outputs]
    rest = tf.compat.v1.graph_util.extract_sub_graph(rest, names)
    crossed = [each.name for each in given.values()]
    with tf.Graph().as_default():
        rest = tf_loader.tf_optimize(crossed, outputs, rest)
    _drop_unused_functions(rest)
    model, _ = convert._convert_common(
        rest,
        name="export",
        opset=OPSET,
        input_names=crossed,
        output_names=outputs,
        custom_op_handlers={"SelectV2": (as_where, [])},
    )
    onnx = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = {each.name for each in onnx.get_inputs()}
    worst = 0.0
    with tf.compat.v1.Session(graph=graph) as session:
        for request in asked:
            fed = {name: widened(request[name.partition(":")[0]]) for name in inputs}
            values = session.run(cut + outputs, fed)
            feeds = {name: as_text(value) for name, value in zip(crossed, values, strict=False)}
            answer = onnx.run(outputs, {name: feeds[name] for name in wanted})
            for expected, got in zip(values[len(cut) :], answer, strict=True):
                worst = max(worst, difference(expected, got))
    return {"nodes": len(model.graph.node), "difference": worst, "requests": len(asked)}


def _drop_unused_functions(graph: graph_pb2.GraphDef) -> None:
    """Those of what was cut off hold bytes that are no text, which tf2onnx would decode."""
    functions = {each.signature.name: each for each in graph.library.function}
    used: set[str] = set()
    waiting = list(graph.node)
    while waiting:
        for value in waiting.pop().attr.values():
            for called in (value.func.name, *(each.name for each in value.list.func)):
                if called in functions and called not in used:
                    used.add(called)
                    waiting += functions[called].node_def
    del graph.library.function[:]
    graph.library.function.extend(functions[name] for name in sorted(used))


def as_text(value: np.ndarray) -> np.ndarray:
    """What onnxruntime takes for strings."""
    return (
        np.char.decode(value.astype(np.bytes_)).astype(object) if value.dtype == object else value
    )


def as_where(context: Any, node: Any, name: str, arguments: Any) -> None:
    """tf2onnx writes `where(c, x, y)` as c * x + (1 - c) * y, which is NaN for a NaN not chosen."""
    node.type = "Where"


def widened(value: np.ndarray) -> np.ndarray:
    """With a column of padding where there is none: a 0 in ONNX's Reshape is no length."""
    if value.ndim != 2 or value.shape[1]:
        return value
    return np.full((len(value), 1), b"" if value.dtype == object else np.nan, value.dtype)


def difference(expected: np.ndarray, got: np.ndarray) -> float:
    """The greatest one of numbers; 0 or infinity for strings."""
    assert expected.shape == got.shape, (expected.shape, got.shape)
    if expected.dtype != object:
        off = np.abs(expected.astype(np.float64) - got).max(initial=0.0)
        return float("inf") if np.isnan(off) else float(off)
    texts = [each.decode() for each in expected.ravel()]
    return 0.0 if texts == got.ravel().tolist() else float("inf")


def answers(version: Path) -> Iterator[dict[str, Any]]:
    """A line a signature."""
    model = tf.saved_model.load(str(version))  # its functions don't keep its variables
    for name, asked in requests(version).items():
        try:
            yield {"signature": name, **differences(model.signatures[name], asked)}
        except Exception as error:  # whatever a converter says is what is to be told
            yield {"signature": name, "refused": " ".join(str(error).split())[:300]}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    for line in answers(Path(sys.argv[1])):
        print(json.dumps(line), flush=True)
