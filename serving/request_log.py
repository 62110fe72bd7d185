"""A sample of requests and answers, as the TFRecords that TensorFlow's tools read.

Each record is a `PredictionLog`, the same that warm-up files hold. User ids are replaced by a
keyed hash (HMAC-SHA256, 128 bits) before anything is written: equal users stay equal, and without
the key nobody can tell or try out who they are. The stock server samples by the same
`logging_config` but ships no writer; there, a log collector has to be built in.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import logging_pb2, prediction_log_pb2

from serving import tensors
from serving.metrics import Metrics
from tfrec.published import read_key
from tfrec.schema import USER_ID

__all__ = ["RequestLog", "pseudonym"]

_LOG = logging.getLogger("serving")
MAX_FILE_BYTES = 256 * 1024 * 1024
# Older releases of tensorflow-serving-api lack the field.
_TIMED = "timestamp_secs" in logging_pb2.LogMetadata.DESCRIPTOR.fields_by_name


def pseudonym(user_id: bytes, key: bytes) -> bytes:
    """What stands for a user in the log: 32 hexadecimal digits.

    Example:
        >>> pseudonym(b"42", b"k" * 16) == pseudonym(b"42", b"k" * 16)
        True
        >>> pseudonym(b"42", b"k" * 16) == pseudonym(b"42", b"K" * 16)
        False
    """
    return hmac.new(key, user_id, hashlib.sha256).hexdigest()[:32].encode()


class RequestLog:
    """Writes sampled requests to `DIR/MODEL-TIME-N.tfrecord`, readable by the owner only.

    Args:
        folder: Where to; made if need be.
        key_file: File with the secret, at least 16 bytes.
        default_rate: Share that is logged for models without a `logging_config`.
        metrics: Counts what was written.
        draw: Uniform random numbers, for the sampling.
        clock: Seconds since 1970, for file names and records.

    Raises:
        DescriptionError: The key can't be read or is too short.
    """

    def __init__(
        self,
        folder: Path,
        key_file: Path,
        default_rate: float,
        metrics: Metrics,
        *,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._key = read_key(key_file, "pseudonymises users")
        self._default_rate = default_rate
        self._rates: dict[str, float] = {}
        self._metrics = metrics
        self._draw = draw
        self._clock = clock
        self._lock = threading.Lock()
        self._writers: dict[str, tuple[Any, int]] = {}
        self._files = 0
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def configure(self, config: Any) -> None:
        """Takes sampling rates from the `logging_config` of each model of a `ModelConfigList`."""
        self._rates = {
            entry.name: entry.logging_config.sampling_config.sampling_rate
            for entry in config.config
            if entry.HasField("logging_config")
        }

    def log(self, kind: str, model: str, request: Any, response: Any) -> None:
        """Writes a call, if the sampling chooses it. A full disk never fails a request."""
        rate = self._rates.get(model, self._default_rate)
        if rate <= 0 or self._draw() >= rate:
            return
        record = prediction_log_pb2.PredictionLog()
        record.log_metadata.model_spec.name = model
        record.log_metadata.sampling_config.sampling_rate = rate
        if _TIMED:
            record.log_metadata.timestamp_secs = int(self._clock())
        entry = getattr(record, kind)
        entry.request.CopyFrom(request)
        entry.response.CopyFrom(response)
        status = "OK"
        try:
            self._hide_users(kind, entry.request)
            self._write(model, record.SerializeToString())
        except (OSError, tf.errors.OpError, tensors.TensorError) as error:
            status = "UNKNOWN"
            _LOG.error("a request of %s could not be logged: %s", model, error)
        self._metrics.count("/tensorflow/serving/request_log_count", model, status)

    def close(self) -> None:
        """Ends the files."""
        with self._lock:
            for writer, _ in self._writers.values():
                writer.close()
            self._writers.clear()

    def _hide_users(self, kind: str, request: Any) -> None:
        if kind == "predict_log":
            if USER_ID in request.inputs:
                self._hide_tensor(request.inputs[USER_ID])
            return
        examples = request.input
        for example in (
            *examples.example_list.examples,
            *examples.example_list_with_context.examples,
            examples.example_list_with_context.context,
        ):
            if USER_ID in example.features.feature:
                values = example.features.feature[USER_ID].bytes_list
                values.value[:] = [pseudonym(value, self._key) for value in values.value]

    def _hide_tensor(self, proto: Any) -> None:
        values = tensors.decode(proto)
        if values.dtype != np.object_:
            values = values.astype(str).astype(np.object_)
            flat = [text.encode() for text in values.ravel()]
        else:
            flat = list(values.ravel())
        hidden = np.empty(len(flat), np.object_)
        hidden[:] = [pseudonym(value, self._key) for value in flat]
        proto.Clear()
        tensors.encode(hidden.reshape(values.shape), tensors.STRING, proto)

    def _write(self, model: str, record: bytes) -> None:
        with self._lock:
            writer, size = self._writers.get(model, (None, 0))
            if writer is None or size > MAX_FILE_BYTES:
                if writer is not None:
                    writer.close()
                writer, size = self._open(model), 0
            writer.write(record)
            writer.flush()
            self._writers[model] = (writer, size + len(record))

    def _open(self, model: str) -> Any:
        # The model exists, but its name comes from a client all the same.
        name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in model)
        self._files += 1
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self._clock()))
        path = self._folder / f"{name}-{stamp}-{os.getpid()}-{self._files}.tfrecord"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        return tf.io.TFRecordWriter(str(path))
