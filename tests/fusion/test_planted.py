"""Each fusion on catalogues whose signal is known: it finds it, and is not led astray by noise.

Three seeds each, means of recall at 10; see `planted` for the catalogue. No number is of one seed.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tests.fusion.planted import Study, world
from tfrec.registry import names

pytestmark = pytest.mark.slow

SEEDS = range(3)
# Sums of modalities, each mapped for itself: they can't say a product.
ADDITIVE = ("concatenation", "matrix", "weighted")
BILINEAR = ("bilinear", "low_rank", "mfb", "mlb")


@functools.cache
def recall(fusion: str | None, modalities: tuple[str, ...], kind: str) -> tuple[float, float]:
    """Of held-out likes: items with behaviour, new items; the mean over seeds."""
    study = Study(modalities, fusion)
    noise = "noise" in modalities
    found = [
        study.run(world("product" if kind == "product" else "signal", s, noise), s) for s in SEEDS
    ]
    warm, new = np.mean(found, 0)
    return float(warm), float(new)


@pytest.mark.parametrize("fusion", names("fusion"))
def test_a_fusion_finds_the_signal_and_passes_over_noise(fusion: str) -> None:
    """Beside a modality of noise, new items are found five times as often as by ids.

    Noise costs at most 5 % of recall, items with behaviour and new ones together.
    """
    warm, new = recall(fusion, ("noise", "text"), "signal")
    assert new > 5 * recall(None, (), "signal")[1]
    alone = recall(fusion, ("text",), "signal")
    assert warm + new > 0.95 * sum(alone)


@pytest.mark.parametrize("fusion", BILINEAR)
def test_bilinear_fusions_find_a_product_that_sums_do_not(fusion: str) -> None:
    """Where a taste is for this cover with that text, no sum does much better than chance."""
    new = recall(fusion, ("cover", "text"), "product")[1]
    best = max(recall(one, ("cover", "text"), "product")[1] for one in ADDITIVE)
    assert new > 3 * best
