"""One version of a SavedModel in a TF1-style session, as TensorFlow Serving runs it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from serving.status import StatusError
from serving.version_files import ops_of, read_saved_model

__all__ = ["LoadedModel"]

_LOG = logging.getLogger("serving")
# A client chooses which outputs it wants, so there can be many sets; a compiled call for each is
# kept up to this number, and all are compiled anew beyond it.
_MAX_CALLS = 64

Tensors = Sequence[np.ndarray]


class LoadedModel:
    """A SavedModel, loaded and ready to run.

    Args:
        path: The version folder.
        base_path: The folder that the version's files must not leave.
        tags: Tags of the graph to load.
        intra_op_threads, inter_op_threads: Threads of the session; 0 lets TensorFlow choose, and
            -1 for the latter runs ops in the thread that calls `run`.

    Raises:
        StatusError: The version can't be loaded; the code and the text say why.
    """

    def __init__(
        self,
        path: Path,
        base_path: Path,
        *,
        tags: Sequence[str] = ("serve",),
        intra_op_threads: int = 0,
        inter_op_threads: int = -1,
    ) -> None:
        import tensorflow as tf

        saved_model = read_saved_model(path, base_path)
        if not all(hasattr(tf.raw_ops, op) for op in ops_of(saved_model)):
            _register_text_ops()
        if not any(set(tags) == set(graph.meta_info_def.tags) for graph in saved_model.meta_graphs):
            raise StatusError(
                grpc.StatusCode.NOT_FOUND,
                f"Could not find meta graph def matching supplied tags: {{ {' '.join(tags)} }}",
            )
        self.path = path
        self._errors = tf.errors.OpError
        self._graph = tf.Graph()
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=intra_op_threads,
            inter_op_parallelism_threads=inter_op_threads,
        )
        self._session = tf.compat.v1.Session(graph=self._graph, config=config)
        self._calls: dict[tuple[tuple[str, ...], tuple[str, ...]], Callable[..., Any]] = {}
        self._lock = threading.Lock()
        try:
            with self._graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(self._session, list(tags), str(path))
        except Exception as error:  # whatever a damaged version raises is told, never fatal
            self._session.close()
            raise self._status_of(error) from error
        self.signatures: dict[str, Any] = dict(meta_graph.signature_def)

    def run(self, feeds: Sequence[str], fetches: Sequence[str], arrays: Tensors) -> list[Any]:
        """Runs the graph.

        Args:
            feeds: Names of the tensors that are fed.
            fetches: Names of the tensors that are wanted.
            arrays: One array for each feed, of its data type; shapes are the graph's business.

        Returns:
            One array for each fetch.

        Raises:
            StatusError: What the op that failed says.
        """
        try:
            values = self._call(tuple(feeds), tuple(fetches))(*arrays)
        except self._errors as error:
            raise StatusError.of_number(error.error_code, error.message) from error
        # A string without a shape comes as bytes; every other tensor as an array.
        return [np.array(each, object) if isinstance(each, bytes) else each for each in values]

    def close(self) -> None:
        """Frees the session. No call may be running."""
        with self._lock:
            self._calls.clear()
        self._session.close()

    def _call(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Callable[..., Any]:
        call = self._calls.get((feeds, fetches))
        if call is not None:
            return call
        from tensorflow.core.protobuf import config_pb2

        options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
        with self._lock:
            if len(self._calls) >= _MAX_CALLS:
                self._calls.clear()
            # `make_callable` with feeds compares shapes with the placeholders' and would word its
            # refusals in its own way; the C++ server, like this call, lets the ops do it.
            call = self._session._make_callable_from_options(options)
            self._calls[feeds, fetches] = call
        return call

    def _status_of(self, error: Exception) -> StatusError:
        if isinstance(error, self._errors):
            return StatusError.of_number(error.error_code, error.message)
        text = " ".join(str(error).split()) or type(error).__name__
        return StatusError(grpc.StatusCode.DATA_LOSS, f"Can't load {self.path}: {text}")


def _register_text_ops() -> None:
    """The stock server holds the ops of TensorFlow Text; so does this one, for who needs them.

    Importing the package takes seconds, so it waits for a graph with an op that isn't core.
    """
    try:
        import tensorflow_text  # noqa: F401 - importing it registers the ops
    except ImportError as error:
        _LOG.debug("TensorFlow Text is not installed: %s", error)
