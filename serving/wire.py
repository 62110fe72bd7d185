"""The messages that a client of TensorFlow Serving needs, without loading TensorFlow.

Importing `tensorflow_serving.apis` loads all of TensorFlow: seconds and hundreds of megabytes for
a program that only asks. These have the same field numbers and types, which a test compares
with the published ones.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from serving.descriptors import message_classes

__all__ = ["MESSAGES", "wire_classes"]

MESSAGES = {
    "ModelSpec": [
        "string name = 1",
        "Int64Value version = 2",
        "string signature_name = 3",
        "string version_label = 4",
    ],
    "Dim": ["int64 size = 1", "string name = 2"],
    "TensorShapeProto": ["repeated Dim dim = 2", "bool unknown_rank = 3"],
    "TensorProto": [
        "int32 dtype = 1",
        "TensorShapeProto tensor_shape = 2",
        "int32 version_number = 3",
        "bytes tensor_content = 4",
        "repeated float float_val = 5",
        "repeated double double_val = 6",
        "repeated int32 int_val = 7",
        "repeated bytes string_val = 8",
        "repeated float scomplex_val = 9",
        "repeated int64 int64_val = 10",
        "repeated bool bool_val = 11",
        "repeated double dcomplex_val = 12",
        "repeated int32 half_val = 13",
        "repeated uint32 uint32_val = 16",
        "repeated uint64 uint64_val = 17",
    ],
    "PredictRequest": [
        "ModelSpec model_spec = 1",
        "map<string,TensorProto> inputs = 2",
        "repeated string output_filter = 3",
    ],
    "PredictResponse": [
        "map<string,TensorProto> outputs = 1",
        "ModelSpec model_spec = 2",
    ],
    "StatusProto": ["int32 error_code = 1", "string error_message = 2"],
    "ModelVersionStatus": ["int64 version = 1", "int32 state = 2", "StatusProto status = 3"],
    "GetModelStatusRequest": ["ModelSpec model_spec = 1"],
    "GetModelStatusResponse": ["repeated ModelVersionStatus model_version_status = 1"],
}


@cache
def wire_classes() -> dict[str, Any]:
    """A message class for each name of `MESSAGES`."""
    return message_classes("tfrec.serving.wire", MESSAGES)
