"""Reads what `tfrec serve --request-log` writes: TFRecords of TensorFlow Serving's `PredictionLog`.

A `PredictionLog` holds a request and its answer but no request id. `answer_id` makes one of what
both the server's log and the caller know, the user (as the log names him: by a pseudonym, see
`serving.request_log.pseudonym`) and the items answered; the caller logs his feedback under it. A
user who is answered with the very same list twice has one id for both, so the second is counted as
a duplicate; a caller who needs more writes impressions himself. The time is the record's, or, when
it has none, that of the file's opening, which its name tells: a lower bound.

Only answers of `recommend` become impressions: those with `user_id` and `item_ids`, one an example.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import strptime

from tfrec.fingerprint import fingerprint64
from tfrec.online.events.schema import InvalidEventError
from tfrec.schema import USER_ID

__all__ = ["answer_id", "read_prediction_log"]

_OPENED = re.compile(r"-(\d{8}T\d{6})-\d+-\d+\.tfrecord$")


def answer_id(user: str, items: Sequence[str]) -> str:
    """The request id of an answer: 16 hexadecimal digits.

    Args:
        user: As the log names him.
        items: The answer's ids without the empty ones that pad it.

    Example:
        >>> answer_id("u", ["x", "y"]) == answer_id("u", ["y", "x"])
        False
    """
    return f"{fingerprint64('answer', user, *items):016x}"


def read_prediction_log(path: Path) -> Iterator[tuple[int, object]]:
    """Impressions of a file, each with the number of its record, from 1.

    Args:
        path: A TFRecord file of `PredictionLog`.
    """
    # Seconds to load, and of no use to a log that is JSON.
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    opened = _OPENED.search(path.name)
    start = float(timegm(strptime(opened.group(1), "%Y%m%dT%H%M%S"))) if opened else 1.0
    try:
        for number, record in enumerate(tf.data.TFRecordDataset(str(path)).as_numpy_iterator(), 1):
            log = prediction_log_pb2.PredictionLog()
            try:
                log.ParseFromString(record)
            except DecodeError:
                yield number, InvalidEventError("a record is a PredictionLog")
                continue
            call = log.predict_log
            if USER_ID not in call.request.inputs or "item_ids" not in call.response.outputs:
                continue
            users = tf.make_ndarray(call.request.inputs[USER_ID]).ravel()
            answers = tf.make_ndarray(call.response.outputs["item_ids"])
            timestamp = float(getattr(log.log_metadata, "timestamp_secs", 0)) or start
            for user, answer in zip(users, answers, strict=True):
                name = user.decode()
                items = [item.decode() for item in answer if item]
                yield (
                    number,
                    {
                        "type": "impression",
                        "request_id": answer_id(name, items),
                        "user_id": name,
                        "timestamp": timestamp,
                        "items": items,
                    },
                )
    except tf.errors.OpError as error:
        raise OSError(error.message) from error
