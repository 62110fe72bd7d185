"""Warm-up: replays the requests that an export carries before the version goes live.

`assets.extra/tf_serving_warmup_requests` is a TFRecord file of `PredictionLog`. A record that
fails makes the load fail, so an export that can't answer never replaces one that can.
"""

from __future__ import annotations

from pathlib import Path

import grpc

from serving.classify import run_classify, run_multi_inference, run_regress
from serving.predict import Runner, run_predict
from serving.status import StatusError, invalid
from serving.version_files import WARMUP_FILE

__all__ = ["run_warmup"]

MAX_RECORDS = 1000


def run_warmup(runner: Runner, version_path: Path) -> int:
    """Answers every warm-up record of a version.

    Args:
        runner: The loaded version.
        version_path: Its folder.

    Returns:
        How many records there were; 0 when there is no file.

    Raises:
        StatusError: A record is damaged, of a kind that can't be replayed, refused by the model,
            or the thousand-and-first.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    path = version_path / WARMUP_FILE
    if not path.exists():
        return 0
    count = 0
    try:
        for record in tf.compat.v1.io.tf_record_iterator(str(path)):
            count += 1
            if count > MAX_RECORDS:
                raise invalid(
                    f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}"
                )
            log = prediction_log_pb2.PredictionLog()
            try:
                log.ParseFromString(record)
            except Exception as error:
                raise invalid(f"Failed to parse warmup record {count} from {path}") from error
            _replay(runner, log)
    except tf.errors.DataLossError as error:
        raise StatusError(
            grpc.StatusCode.DATA_LOSS,
            f"{error.message}. Please verify your warmup data is in TFRecord format.",
        ) from error
    return count


def _replay(runner: Runner, log: object) -> None:
    from tensorflow_serving.apis import (
        classification_pb2,
        inference_pb2,
        predict_pb2,
        regression_pb2,
    )

    kind = log.WhichOneof("log_type")  # type: ignore[attr-defined]
    if kind is None:
        return
    request = getattr(getattr(log, kind), "request", None)
    if kind == "predict_log":
        run_predict(runner, None, request, predict_pb2.PredictResponse())
    elif kind == "classify_log":
        run_classify(runner, None, request, classification_pb2.ClassificationResponse())
    elif kind == "regress_log":
        run_regress(runner, None, request, regression_pb2.RegressionResponse())
    elif kind == "multi_inference_log":
        run_multi_inference(runner, None, request, inference_pb2.MultiInferenceResponse())
    else:
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")
