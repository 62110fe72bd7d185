"""Augmentation in training: in every step, by the seed, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.test_train import config
from tfrec.config.model import ModelConfig
from tfrec.errors import DescriptionError
from tfrec.training import load_run, train


def settings(augmentation: dict[str, Any] | None, **training: Any) -> ModelConfig:
    more: dict[str, Any] = {} if augmentation is None else {"augmentation": augmentation}
    return config(
        training={"media": "joint", "epochs": 1} | training,
        item={"features": ["cover", "words"]},
        **more,
    )


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True])
def test_joint_training_is_augmented_reproducibly(
    data: Path, tmp_path: Path, compiled: bool
) -> None:
    """Two runs are one, another without it is not; vectors for ranking are of whole pictures."""
    part = {"image": {"operations": 1}, "text": {"drop": 0.3}}
    vectors = []
    # XLA compiles for a minute, so once is enough to see that it can.
    for number, augmentation in enumerate((part,) if compiled else (part, part, None)):
        run = tmp_path / str(number)
        train(data, run, settings(augmentation, jit_compile=compiled), progress=False)
        loaded = load_run(run)
        vectors.append(loaded.item_vectors())
        np.testing.assert_array_equal(vectors[-1], loaded.item_vectors())
    assert np.isfinite(vectors[0]).all()
    if compiled:
        return
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert not np.array_equal(vectors[0], vectors[2])


def test_augmentation_of_encoded_vectors_is_refused(data: Path, tmp_path: Path) -> None:
    """`title` is there as vectors alone, so there is nothing to leave a word out of."""
    only = config(item={"features": ["title"]}, augmentation={"text": {}})
    with pytest.raises(DescriptionError, match=r"augmentation\.text.*--no-encode"):
        train(data, tmp_path / "run", only, progress=False)
