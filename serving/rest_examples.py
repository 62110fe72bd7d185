"""JSON of the REST API's classify and regress calls, with the texts of TensorFlow Serving."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.rest_json import fill_signature, from_base64, is_base64, kind, short, shown
from serving.status import invalid

__all__ = ["classify_json", "fill_examples", "regress_json"]


def classify_json(result: Any) -> dict[str, Any]:
    """The body that answers a classify request: `[label, score]` pairs for each example."""
    if not result.classifications:
        raise invalid("Cannot convert empty ClassificationResults to JSON")
    return {
        "results": [
            [[entry.label, float(short(np.float32(entry.score)))] for entry in row.classes]
            for row in result.classifications
        ]
    }


def regress_json(result: Any) -> dict[str, Any]:
    """The body that answers a regress request: a number for each example."""
    if not result.regressions:
        raise invalid("Cannot convert empty RegressionResults to JSON")
    return {"results": [float(short(np.float32(entry.value))) for entry in result.regressions]}


def fill_examples(content: dict[str, Any], request: Any) -> None:
    """Fills a classify or regress request from a parsed body.

    Raises:
        StatusError: No examples, or a feature of mixed types.
    """
    fill_signature(content, request.model_spec)
    target = request.input.example_list
    if "context" in content:
        target = request.input.example_list_with_context
        _fill_example(content["context"], target.context)
    if "examples" not in content:
        raise invalid(
            f"JSON Value: {shown(content)} When method is classify, key 'examples' is expected "
            "and was not found"
        )
    if not isinstance(content["examples"], list):
        raise invalid(
            f"JSON Value: {shown(content)} Expecting 'examples' value to be an list/array"
        )
    if not content["examples"]:
        raise invalid(f"JSON Value: {shown(content)} 'examples' value is an empty array")
    for example in content["examples"]:
        _fill_example(example, target.examples.add())


def _fill_example(value: Any, example: Any) -> None:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {kind(value)}")
    for name, content in value.items():
        feature = example.features.feature[name]
        for entry in content if isinstance(content, list) else [content]:
            _add_feature_value(name, entry, feature)


def _add_feature_value(name: str, value: Any, feature: Any) -> None:
    converted: Any
    if isinstance(value, bool):
        type_name, converted = "int64", int(value)
    elif isinstance(value, str):
        type_name, converted = "bytes", value.encode("utf-8", errors="surrogatepass")
    elif is_base64(value):
        type_name, converted = "bytes", from_base64(value)
    elif isinstance(value, float):
        type_name, converted = "float", value
    elif isinstance(value, int):
        type_name, converted = "int64", value
        if not -(2**63) <= value < 2**63:
            raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    else:
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {kind(value)}")
    present = feature.WhichOneof("kind")
    if present not in (None, f"{type_name}_list"):
        raise invalid(
            f"Unexpected element type in feature: {name} "
            f"expecting type: {present.removesuffix('_list')}"
        )
    getattr(feature, f"{type_name}_list").value.append(converted)
