"""The handbook names what there is, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfrec.fusion
import tfrec.registry
import tfrec.towers
from tfrec.config.model import Component
from tfrec.registry import create, names

assert tfrec.fusion.__all__ and tfrec.towers.__all__  # importing them registers

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "fusion.md").read_text(encoding="utf-8")


def test_every_component_has_a_row_and_every_row_a_component() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", TEXT, flags=re.M)) - {"type"}
    assert rows == {*names("fusion"), *names("tower"), *names("history")}


def test_the_example_of_ones_own_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    # A registry of this test's own, so that no other test meets the example.
    known = {kind: dict(classes) for kind, classes in tfrec.registry._CLASSES.items()}
    monkeypatch.setattr(tfrec.registry, "_CLASSES", known)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.S)
    exec(compile(code, "docs/fusion.md", "exec"), {"__name__": "my_fusion"})
    layer = create("fusion", Component(type="strongest"), where="fusion", dimension=2)
    inputs = {"a": tf.constant([[1.0, 2.0]] * 3), "b": tf.constant([[3.0, 0.0]] * 3)}
    masks = {"a": tf.constant([True, True, False]), "b": tf.constant([True, False, False])}
    np.testing.assert_allclose(layer(inputs, masks), [[3, 2], [1, 2], [0, 0]])
