"""The exposure log: who was in fact shown a variant, once a user and experiment."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tfrec.online.experiments.assignment import assign
from tfrec.online.experiments.config import ExperimentConfig

__all__ = ["ExposureLog"]


class ExposureLog:
    """Assigns, and writes each user's first exposure as a line of `tfrec.online.events`.

    An analysis of everyone who was assigned dilutes the effect by those who never came to the
    place; one of those exposed doesn't, as long as exposure is logged in every variant alike.

    Args:
        path: JSON Lines file, appended to.
        clock: Unix seconds.
    """

    def __init__(self, path: str | Path, clock: Callable[[], float] = time.time) -> None:
        self._path = Path(path)
        self._clock = clock
        self._known: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def expose(self, experiment: ExperimentConfig, user_id: str) -> str | None:
        """The user's variant, logged when it is the first time; `None` if he takes no part.

        Args:
            experiment: The test.
            user_id: As in the impressions.
        """
        variant = assign(experiment, user_id)
        if variant is None:
            return None
        with self._lock:
            if (experiment.name, user_id) not in self._known:
                event = {
                    "type": "exposure",
                    "experiment": experiment.name,
                    "variant": variant,
                    "user_id": user_id,
                    "timestamp": self._clock(),
                }
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(event) + "\n")
                # Only what was written is known, so that a full disk is tried again.
                self._known.add((experiment.name, user_id))
        return variant
