"""Run a function as TensorFlow Serving would: exported, in a TF1-style session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


def run_as_server(
    function: Callable[..., dict[str, tf.Tensor]],
    specs: Sequence[tf.TensorSpec],
    values: Sequence[Any],
    folder: Path,
) -> dict[str, np.ndarray]:
    """Saves `function` as a SavedModel's signature and answers `values` from a session."""
    module = tf.Module()
    module.serve = tf.function(function, input_signature=specs)
    tf.saved_model.save(module, str(folder), signatures=module.serve)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        signature = loaded.signature_def["serving_default"]
        names = function.__code__.co_varnames
        feed = {
            signature.inputs[name].name: value for name, value in zip(names, values, strict=False)
        }
        return session.run({key: info.name for key, info in signature.outputs.items()}, feed)
