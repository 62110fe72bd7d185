"""The demo's directory: what is in it, which stages are done, and that it is the demo's own.

    WORKDIR/demo.json    settings, finished stages with their times and places
    WORKDIR/music        the simulated service          WORKDIR/data     prepared data
    WORKDIR/run          the trained model, its report  WORKDIR/models   the export
    WORKDIR/logs         what each stage printed

A demo that was interrupted goes on where it stopped: finished stages are kept, and what an
unfinished one left is left alone too: the stage starts again in a directory with a new number.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tfrec import __version__
from tfrec.errors import DescriptionError

__all__ = ["Workdir"]

_STATE = "demo.json"


class Workdir:
    """Opens a demo's directory, new or of an earlier demo with the same settings.

    Args:
        root: The directory.
        settings: What the stages depend on; JSON values.

    Raises:
        DescriptionError: The directory holds something else, or a demo with other settings.
    """

    def __init__(self, root: str | Path, settings: dict[str, Any]) -> None:
        self.root = Path(root)
        self._settings = json.loads(json.dumps({"version": __version__, **settings}))
        self._stages: dict[str, dict[str, Any]] = {}
        if self._holds_something():
            self._stages = self._read()
        else:
            self.root.mkdir(parents=True, exist_ok=True)
            self._write()
        self.logs.mkdir(exist_ok=True)

    @property
    def logs(self) -> Path:
        """Where the stages' output is kept."""
        return self.root / "logs"

    def finished(self, stage: str) -> Path | None:
        """What a finished stage made, or `None` if it isn't finished or was removed."""
        entry = self._stages.get(stage)
        path = self.root / entry["path"] if entry else None
        return path if path is not None and path.exists() else None

    def seconds(self, stage: str) -> float:
        """How long a finished stage took."""
        return float(self._stages[stage]["seconds"])

    def fresh(self, name: str) -> Path:
        """A path of that name that doesn't exist yet: `run`, or else `run-2`, and so on."""
        number, path = 1, self.root / name
        while path.exists():
            number += 1
            path = self.root / f"{name}-{number}"
        return path

    def finish(self, stage: str, path: Path, seconds: float) -> None:
        """Notes that a stage is done, and forgets what was made from its former result."""
        later = list(self._stages)
        if stage in self._stages:
            for name in later[later.index(stage) :]:
                del self._stages[name]
        place = str(path.relative_to(self.root))
        self._stages[stage] = {"path": place, "seconds": round(seconds, 2)}
        self._write()

    def _holds_something(self) -> bool:
        if self.root.is_dir():
            return any(self.root.iterdir())
        if self.root.exists():
            raise DescriptionError(
                str(self.root),
                "the demo's place is a directory",
                received="a file",
                remedy="Choose another WORKDIR",
            )
        return False

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            state = json.loads((self.root / _STATE).read_text(encoding="utf-8"))
            settings, stages = state["settings"], state["stages"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DescriptionError(
                str(self.root),
                "a demo is written to a new or empty directory, or goes on in its own",
                received=f"other files, no readable {_STATE}",
                remedy="Choose another WORKDIR",
            ) from error
        if settings != self._settings:
            differing = sorted(
                name
                for name in {*settings, *self._settings}
                if settings.get(name) != self._settings.get(name)
            )
            raise DescriptionError(
                str(self.root),
                "a demo goes on with the settings that it began with",
                received=f"another {', '.join(differing)}",
                remedy="Choose another WORKDIR",
            )
        return dict(stages)

    def _write(self) -> None:
        content = {"settings": self._settings, "stages": self._stages}
        partial = self.root / f".{_STATE}.{os.getpid()}"
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        partial.replace(self.root / _STATE)
