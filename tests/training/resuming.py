"""A training that is killed after its first epoch and goes on, beside one that isn't."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfrec.config.model import ModelConfig
from tfrec.training import RunLayout, train

__all__ = ["check_resumed"]


def check_resumed(data: Path, folder: Path, settings: ModelConfig) -> None:
    """Both end with the same state, bit for bit; they are `folder/whole` and `folder/killed`."""
    train(data, folder / "whole", settings, progress=False)

    def die(line: str) -> None:
        if line.startswith("epoch   1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, folder / "killed", settings, say=die, progress=False)
    train(data, folder / "killed", settings, resume=True, progress=False)
    with (
        np.load(RunLayout(folder / "whole").last) as whole,
        np.load(RunLayout(folder / "killed").last) as resumed,
    ):
        assert len(whole.files) == len(resumed.files) > 20
        for name, other in zip(whole.files, resumed.files, strict=True):
            if name != "meta":
                np.testing.assert_array_equal(whole[name], resumed[other], err_msg=name)
