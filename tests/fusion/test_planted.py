"""Each fusion on catalogues whose signal is known: it finds it, and is not led astray by noise.

One seed of a small catalogue; `python -m tests.fusion.planted` asks three of a larger one.
"""

from __future__ import annotations

import pytest

from tests.fusion.planted import SMALL, broken
from tfrec.registry import names

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fusion", names("fusion"))
def test_a_fusion_keeps_what_it_promises_of_known_signals(fusion: str) -> None:
    """It finds the signal and passes over noise; the bilinear ones find products: see `broken`."""
    assert broken(fusion, SMALL) == []
