"""What the server logs is read as impressions, and joined to feedback by the answer's id."""

from __future__ import annotations

import json

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.metrics import Metrics
from serving.request_log import RequestLog, pseudonym
from tfrec.online.evaluating import evaluate_logs
from tfrec.online.events.prediction_log import answer_id, read_prediction_log
from tfrec.online.settings import Settings

KEY = b"0123456789abcdef"


def call(users, answers):
    request, response = predict_pb2.PredictRequest(), predict_pb2.PredictResponse()
    request.inputs["user_id"].CopyFrom(tf.make_tensor_proto(np.array(users, object)))
    response.outputs["item_ids"].CopyFrom(tf.make_tensor_proto(np.array(answers, object)))
    return request, response


def test_a_servers_log_is_joined_to_feedback(tmp_path):
    """By the real writer: one impression an example, users by pseudonym, padding dropped."""
    (tmp_path / "key").write_bytes(KEY)
    # From 2026-01-05T00:00:00Z; the file is opened a minute after the first answer.
    times = iter([1_767_571_200.0, 1_767_571_260.0, 1_767_571_320.0])
    log = RequestLog(tmp_path, tmp_path / "key", 1.0, Metrics(), clock=lambda: next(times))
    log.log("predict_log", "m", *call(["ada", "ben"], [["x", "y"], ["z", ""]]))
    other = predict_pb2.PredictRequest(), predict_pb2.PredictResponse()
    log.log("predict_log", "m", *other)
    log.close()
    ada, ben = (pseudonym(name, KEY).decode() for name in (b"ada", b"ben"))
    feedback = {
        "type": "feedback",
        "request_id": answer_id(ada, ["x", "y"]),
        "timestamp": 1_767_571_260.0,
        "event": "click",
        "item": "y",
    }
    (tmp_path / "feedback.jsonl").write_text(json.dumps(feedback) + "\n")
    (file,) = tmp_path.glob("*.tfrecord")
    events = [event for _, event in read_prediction_log(file)]
    assert [(event["user_id"], event["items"]) for event in events] == [
        (ada, ["x", "y"]),
        (ben, ["z"]),
    ]
    found = evaluate_logs([tmp_path], Settings())
    assert (found.requests, found.first, found.ignored) == (2, 1_767_571_200.0, [])
    assert next(v.value for v in found.metrics if v.metric == "click_through") == 1 / 3


def test_a_records_own_time_counts_and_broken_records_are_counted(tmp_path):
    """`timestamp_secs` goes before the file's name; what is no PredictionLog is left out."""
    record = prediction_log_pb2.PredictionLog()
    record.log_metadata.timestamp_secs = 1_700_000_000
    request, response = call(["ada"], [["x"]])
    record.predict_log.request.CopyFrom(request)
    record.predict_log.response.CopyFrom(response)
    with tf.io.TFRecordWriter(str(tmp_path / "log.tfrecord")) as writer:
        writer.write(record.SerializeToString())
        writer.write(b"\xff\xff")
    found = evaluate_logs([tmp_path], Settings())
    assert found.first == 1_700_000_000
    assert [(line.reason, line.count) for line in found.ignored] == [("malformed", 1)]
