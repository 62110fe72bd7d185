"""A SavedModel in a TF1-style session, as TensorFlow Serving runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

__all__ = ["ServedModel"]


class _Call(NamedTuple):
    # Reading a signature's protos takes as long as its smallest graph does.
    run: Callable[..., Any]
    inputs: list[tuple[str, Any]]
    outputs: list[str]


class ServedModel:
    """Loads a version and answers requests by signature. A context manager.

    What loads in Python may fail in a server (a variable that isn't found, a table that isn't
    initialised); here it fails alike. Shapes aren't compared with the signature's, as there.

    Args:
        version: The folder with `saved_model.pb`.

    Attributes:
        signatures: `SignatureDef` by name.
    """

    def __init__(self, version: Path) -> None:
        # Ops run in the calling thread, as in the embedded server.
        config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=-1)
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            with self._session.graph.as_default():
                meta = tf.compat.v1.saved_model.load(self._session, ["serve"], str(version))
        except BaseException:
            self._session.close()
            raise
        self.signatures: dict[str, Any] = {
            name: signature
            for name, signature in meta.signature_def.items()
            if not name.startswith("__")
        }
        self._calls: dict[str, _Call] = {}

    def __enter__(self) -> ServedModel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()

    def run(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Answers one request.

        Args:
            signature: Its name.
            inputs: Arrays by input name, all that the signature has.

        Returns:
            Arrays by output name.

        Raises:
            tf.errors.OpError: As a server would answer.
        """
        if signature not in self._calls:
            definition = self.signatures[signature]
            from tensorflow.core.protobuf import config_pb2

            options = config_pb2.CallableOptions(
                feed=[info.name for info in definition.inputs.values()],
                fetch=[info.name for info in definition.outputs.values()],
            )
            self._calls[signature] = _Call(
                self._session._make_callable_from_options(options),
                [(n, tf.as_dtype(i.dtype).as_numpy_dtype) for n, i in definition.inputs.items()],
                list(definition.outputs),
            )
        call = self._calls[signature]
        arrays = [np.asarray(inputs[name], dtype) for name, dtype in call.inputs]
        return dict(zip(call.outputs, call.run(*arrays), strict=True))
