"""Run `tfrec` commands one after the other, each in its own process, each told in one line.

A process for each keeps the memory of one stage from the next, and shows the very commands that a
person would type. What they print goes to a log; the terminal gets a line with the time.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rich.console import Console

from tfrec.demo.workdir import Workdir
from tfrec.errors import TfrecError

__all__ = ["Stage", "StageRunner"]

_NAME_WIDTH, _TEXT_WIDTH = 11, 92


@dataclass(frozen=True)
class Stage:
    """One command of the demo.

    Attributes:
        name: The subcommand.
        arguments: What follows it, given the path that it shall make.
        product: Name of the directory that it makes, below the demo's; or the whole path of a file
            that it adds to what an earlier stage made.
        describe: Tells in a few words what was made, given its path.
    """

    name: str
    arguments: Callable[[Path], Sequence[str | Path]]
    product: str | Path
    describe: Callable[[Path], str]


class StageRunner:
    """Runs stages.

    Args:
        workdir: Where they work.
        out: Where each is told.
        command: What starts `tfrec`.
        clock: Seconds.
    """

    def __init__(
        self,
        workdir: Workdir,
        out: TextIO,
        command: Sequence[str] = (sys.executable, "-m", "tfrec"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workdir = workdir
        self._out = out
        self._command = list(command)
        self._clock = clock
        self._keeping = True

    def run(self, stage: Stage) -> Path:
        """Runs a stage, or keeps what an earlier demo here made of it.

        Returns:
            What it made.

        Raises:
            TfrecError: The command failed; the message carries its own.
        """
        kept = self._workdir.finished(stage.name) if self._keeping else None
        if kept is not None:
            self.tell(
                stage.name, f"kept: {stage.describe(kept)}", self._workdir.seconds(stage.name)
            )
            return kept
        # What follows from a new result can't be kept either.
        self._keeping = False
        product = stage.product
        if isinstance(product, str):
            product = self._workdir.fresh(product)
        started = self._clock()
        with Console(stderr=True).status(f"tfrec {stage.name} …"):
            self._call(stage.name, [str(part) for part in stage.arguments(product)])
        seconds = self._clock() - started
        self._workdir.finish(stage.name, product, seconds)
        self.tell(stage.name, stage.describe(product), seconds)
        return product

    def tell(self, name: str, text: str, seconds: float) -> None:
        """Prints one stage's line."""
        line = f"{name:<{_NAME_WIDTH}}{text:<{_TEXT_WIDTH}} {seconds:6.1f} s"
        print(line, file=self._out, flush=True)

    @contextmanager
    def serve(self, models: Path) -> Iterator[str]:
        """Runs `tfrec serve` on a free port while the block runs; gives HOST:PORT.

        Raises:
            TfrecError: The server didn't start.
        """
        started = self._clock()
        log = self._workdir.logs / "serve.log"
        with log.open("w", encoding="utf-8") as errors:
            server = subprocess.Popen(
                [*self._command, "serve", str(models), "--port", "0"],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert server.stdout is not None
        try:
            first = server.stdout.readline()
            if not first.startswith("gRPC on "):
                server.wait()
                raise self._failure("serve", log)
            address = first.removeprefix("gRPC on ").strip()
            self.tell("serve", f"{models.name} over gRPC on {address}", self._clock() - started)
            yield address
        finally:
            server.terminate()
            server.wait()
            server.stdout.close()

    def _call(self, name: str, arguments: list[str]) -> None:
        log = self._workdir.logs / f"{name}.log"
        with log.open("w", encoding="utf-8") as output:
            done = subprocess.run(
                [*self._command, name, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise self._failure(name, log)

    def _failure(self, name: str, log: Path) -> TfrecError:
        lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
        said = (
            [line for line in lines if line.startswith(f"tfrec {name}: ")] or lines or ["nothing"]
        )
        return TfrecError(
            f"tfrec {name}",
            "the stage ends without an error",
            received=said[-1].removeprefix(f"tfrec {name}: ").rstrip("."),
            remedy=f"Its whole output is in {log}",
        )
