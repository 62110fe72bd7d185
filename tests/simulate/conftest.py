from __future__ import annotations

from pathlib import Path

import pytest

from tfrec.simulate import SimulationConfig, SimulationSummary, simulate

TINY = SimulationConfig(items=60, users=80, video=0.1, seed=3)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    """A very small service, videos included, written once."""
    return simulate(tmp_path_factory.mktemp("tiny") / "service", TINY)


@pytest.fixture(scope="session")
def tiny_folder(tiny: SimulationSummary) -> Path:
    return tiny.out
