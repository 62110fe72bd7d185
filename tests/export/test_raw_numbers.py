"""Numbers of the served graph are those of the raw files, so that a range holds its ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfrec.config import FeatureConfig
from tfrec.export.raw_samples import raw_numbers
from tfrec.media.numbers import transform_numbers
from tfrec.schema import FeatureSpec

CENTS = np.arange(0, 500) / 100
YEARS = np.arange(1900.0, 2030.0)
COUNTS = np.array([0.0, 1.0, 2.0, 63.0, 1234.0, 45678.0])


@pytest.mark.parametrize(
    ("raw", "settings", "statistics"),
    [
        (CENTS, {"transform": "log1p"}, {"mean": 0.75, "deviation": 0.17}),
        (CENTS, {"scale": "minmax"}, {"center": 0.07, "width": 4.3}),
        (YEARS, {}, {"mean": 2003.137, "deviation": 9.3391}),
        (YEARS, {"scale": "none"}, {}),
        (COUNTS, {"transform": "log1p"}, {"mean": 1.0731, "deviation": 1.0127}),
        (COUNTS, {"scale": "robust"}, {"center": 1.0, "width": 7.0}),
    ],
)
def test_a_number_comes_back_as_it_was_written(
    raw: np.ndarray, settings: dict[str, Any], statistics: dict[str, float]
) -> None:
    """To the bit of a request's float32: `price=..0.31` has to find what costs 0.31."""
    config = FeatureConfig(modality="numeric", **settings)
    spec = FeatureSpec(name="n", modality="numeric", config=config, **statistics)
    moved = transform_numbers(raw.astype(np.float32), config.transform).numpy()
    prepared = (moved - np.float32(spec.shift)) / np.float32(spec.spread)
    np.testing.assert_array_equal(raw_numbers(spec, prepared).astype(np.float32), np.float32(raw))


def test_numbers_without_decimals_that_single_precision_holds_are_left_alone() -> None:
    config = FeatureConfig(modality="numeric", scale="none")
    spec = FeatureSpec(name="n", modality="numeric", config=config)
    large = np.float32([1.7e9, 3.1e12, 0.0, -1.7e9])
    np.testing.assert_array_equal(raw_numbers(spec, large).astype(np.float32), large)
