"""A shipped configuration is what it says; `tests/export/test_every_config.py` trains them all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.loading import load_config
from tfrec.config.model import ModelConfig
from tfrec.config.presets import find_model_config
from tfrec.training import load_run, train

SMALL = ["dimension=8", "training.epochs=1", "training.batch_size=64"]


@pytest.mark.slow
def test_pointwise_is_a_users_vector_by_content_and_a_bias(data: Path, tmp_path: Path) -> None:
    """Two users of equal behaviour differ by their own vectors; an item's id says nothing."""
    config = load_config(find_model_config("pointwise"), ModelConfig, SMALL)
    train(data, tmp_path / "run", config, progress=False)
    run = load_run(tmp_path / "run")
    view = run.model.views["neural"]
    assert [table.name for table in view.tables] == ["user"] and view.history is None
    inputs = {k: tf.constant(v) for k, v in run.query_inputs(run.train).items()}
    query = run.model.query_tower(inputs).numpy()
    np.testing.assert_allclose(
        query[:, :-1], view.user_table.table.numpy()[run.train.user_index], atol=1e-6
    )
    np.testing.assert_array_equal(query[:, -1], 1.0)
