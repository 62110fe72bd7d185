"""Run tasks on Beam: one at a time on each worker, each either wholly done or not at all.

A task is a small picklable object that names its input (a byte range, a partition, a run of
items), reads it in Arrow or NumPy batches, writes its output files and returns a short result:
counts, never rows. Rows meet in files, as in any shuffle that is larger than memory, so that a
stage costs as much memory as its largest task and no element crosses Beam for each row. A result
is stored beside the outputs; a task that has one is skipped, which makes retries harmless and a
broken run resumable.

    Create(tasks), reshuffled ─ ParDo(RunTask) ──▶ results/<stage>/<key>.pickle ──▶ the next stage
"""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TextIO

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tfrec.errors import DataError, DescriptionError, TfrecError

__all__ = ["Stages", "Task", "replace_file"]

# Beam's portable local runner by its full name: plain `DirectRunner` may switch to a binary that it
# downloads. Threads do, since Arrow, NumPy, TensorFlow and the decoders release the lock.
_LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


class Task(Protocol):
    """One piece of a stage's work."""

    @property
    def key(self) -> str:
        """A file name, unique in its stage."""
        ...

    def run(self) -> Any:
        """Does the work, writes its files, and returns a short picklable result."""
        ...


@dataclass(frozen=True)
class _Fault:
    """A foreseen failure, carried from a worker to the launcher."""

    error: TfrecError

    def __reduce__(self) -> tuple[Any, ...]:
        parts = (self.error.where, self.error.rule, self.error.received, self.error.remedy)
        return _restore_fault, (type(self.error), *parts)


def _restore_fault(
    kind: type[TfrecError], where: str, rule: str, received: object, remedy: str | None
) -> _Fault:
    return _Fault(kind(where, rule, received=received, remedy=remedy))


class _RunTask(beam.DoFn):
    """Runs a task unless its result is there already."""

    def __init__(self, results: str) -> None:
        self._results = results

    def process(self, task: Task) -> Iterator[str]:
        path = Path(self._results) / f"{task.key}.pickle"
        if not path.exists():
            try:
                result = task.run()
            except TfrecError as error:
                result = _Fault(error)
            except OSError as error:
                result = _Fault(_of_system(error, task.key))
            replace_file(path, pickle.dumps(result))
        yield task.key


class Stages:
    """Runs one stage after another, and says on stderr how far it is.

    Args:
        work: Folder for results, which every worker can reach.
        beam_options: Command-line options of Beam, such as `--runner=FlinkRunner`.
        stream: Where progress goes; `None` is silent.
        workers: Threads of the local runner.

    Raises:
        DescriptionError: Beam doesn't know an option.
    """

    def __init__(
        self,
        work: Path,
        beam_options: Sequence[str] = (),
        stream: TextIO | None = None,
        workers: int | None = None,
    ) -> None:
        self._work = work
        self._console = Console(file=stream, quiet=stream is None, highlight=False)
        workers = workers or os.cpu_count() or 1
        given = {option.split("=")[0].split()[0] for option in beam_options}
        options = list(beam_options)
        if "--runner" not in given:
            options.append(f"--runner={_LOCAL_RUNNER}")
            if not given & {"--direct_num_workers", "--direct_running_mode"}:
                options.append(f"--direct_num_workers={workers}")
                if workers > 1:
                    options.append("--direct_running_mode=multi_threading")
        self._options = PipelineOptions(options)
        try:
            known = _known_options(tuple(options))
        except SystemExit as error:
            raise _unknown_option(beam_options, " ".join(beam_options)) from error
        for option in given:
            if option.startswith("--") and option[2:].removeprefix("no_") not in known:
                raise _unknown_option(beam_options, option)

    def say(self, line: str) -> None:
        """Prints a line of progress."""
        self._console.print(line, soft_wrap=True)

    def run(self, name: str, title: str, tasks: Sequence[Task]) -> Iterator[Any]:
        """Runs the tasks of a stage.

        Args:
            name: The stage, a file name.
            title: What it does, for people.
            tasks: In any number; none is fine.

        Returns:
            Their results, in the order of the tasks, loaded as they are asked for.

        Raises:
            TfrecError: The first foreseen failure of a task, when its result is asked for.
        """
        results = self.folder(name)

        def fan_out(pipeline: Any) -> None:
            # Create spreads its elements over the workers by a Reshuffle of its own.
            created = pipeline | f"Create {name}" >> beam.Create(list(tasks))
            _ = created | f"Run {name}" >> beam.ParDo(_RunTask(str(results)))

        if tasks:
            self.run_pipeline(name, title, fan_out, len(tasks))
        return self.results(name, [task.key for task in tasks])

    def run_pipeline(self, name: str, title: str, build: Callable[[Any], None], total: int) -> None:
        """Runs a pipeline whose elements leave one result file each in the stage's folder.

        Args:
            name: The stage.
            title: What it does, for people.
            build: Called with the pipeline.
            total: Result files when it is done.
        """
        results = self.folder(name)
        started = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(
            *columns,
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        ) as progress:
            bar = progress.add_task(title, total=total)
            done = threading.Event()

            def watch() -> None:
                while not done.wait(0.25):
                    progress.update(bar, completed=sum(1 for _ in results.iterdir()))

            watcher = threading.Thread(target=watch, daemon=True)
            watcher.start()
            try:
                with beam.Pipeline(options=self._options) as pipeline:
                    build(pipeline)
            finally:
                done.set()
                watcher.join()
        self.say(f"{title} ({time.monotonic() - started:.1f} s)")

    def results(self, name: str, keys: Sequence[str]) -> Iterator[Any]:
        """Loads the results of a stage, one after another.

        Raises:
            TfrecError: The first foreseen failure among them.
        """
        for key in keys:
            path = self.folder(name) / f"{key}.pickle"
            result = pickle.loads(path.read_bytes())
            if isinstance(result, _Fault):
                # So that a resumed run tries again.
                path.unlink()
                raise result.error
            yield result

    def folder(self, name: str) -> Path:
        """Where the results of a stage are, one file a task."""
        folder = self._work / "results" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@lru_cache
def _known_options(options: tuple[str, ...]) -> frozenset[str]:
    """The names of all options of Beam, which exits when one of `options` has a wrong value."""
    return frozenset(PipelineOptions(list(options)).get_all_options())


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    partial.write_bytes(content)
    partial.replace(path)


def _of_system(error: OSError, key: str) -> DataError:
    return DataError(
        str(error.filename or key),
        "files must be readable, and there must be room for the output",
        received=error.strerror or str(error),
        remedy="Check permissions and free space, then run again",
    )


def _unknown_option(options: Sequence[str], option: str) -> DescriptionError:
    return DescriptionError(
        "-- " + " ".join(options),
        "what follows `--` are options of Apache Beam",
        received=option,
        remedy="See `python -m apache_beam.options.pipeline_options`, or leave it out",
    )
