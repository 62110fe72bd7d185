"""Adds up logs by Beam: the log passes through, a shard of it at a time is held.

    Create(files) ─ Reshuffle ─ Read ─┬─ (request shard) ─ GroupByKey ─ Join ─┐
                                      └─ (user shard) ────────────────────────┴ GroupByKey ─ Measure

Frames of a file's chunks travel between stages, not rows. Workers share the file system of the
logs and of the scratch folder, as for `tfrec preprocess`. The stages are the functions of
`local.sum_logs`, each of which puts its input in order, so both ways give the same figures to the
last bit.
"""

from __future__ import annotations

import base64
import os
import pickle
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tfrec.errors import DescriptionError, TfrecError
from tfrec.online.events.reading import read_log
from tfrec.online.measuring import Piece, Sums, add_up, measure
from tfrec.online.settings import Settings
from tfrec.online.sharding import RequestShard, by_request, join_shard, pieces_of_chunk

__all__ = ["sum_logs"]

# Plain `DirectRunner` may switch to a binary that it downloads; this is the same in Python.
_LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


class _Read(beam.DoFn):
    """Reads a file: frames by request shard, and by user shard what needs no join."""

    USERS = "users"

    def __init__(self, shards: int) -> None:
        self._shards = shards

    def process(self, element: tuple[int, str]) -> Iterator[Any]:
        number, file = element
        for chunk in read_log(Path(file)):
            yield from by_request(chunk, self._shards)
            for pair in pieces_of_chunk(chunk, number, self._shards):
                yield beam.pvalue.TaggedOutput(self.USERS, pair)


class _Join(beam.DoFn):
    """Joins a shard of requests."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def process(self, element: tuple[int, Iterable[RequestShard]]) -> Iterator[tuple[int, Piece]]:
        yield from join_shard(element[0], element[1], self._settings)


class _Measure(beam.DoFn):
    """Adds a shard of users up, as a line of text."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def process(self, element: tuple[int, Iterable[Piece]]) -> Iterator[str]:
        sums = measure(element[1], self._settings)
        yield base64.b64encode(pickle.dumps((element[0], sums))).decode()


def sum_logs(
    files: Sequence[Path],
    settings: Settings,
    *,
    runner: str | None = None,
    beam_options: Sequence[str] = (),
    scratch: str | Path | None = None,
) -> Sums:
    """Reads, joins and measures by a Beam pipeline.

    Args:
        files: From `events.find_logs`; each is read by one worker, so let logs rotate.
        settings: What to measure; more `shards` need less memory each.
        runner: Of Beam, such as `FlinkRunner`; its own local one unless given.
        beam_options: Further options of Beam.
        scratch: Folder that all workers share; the system's for temporary files unless given.

    Raises:
        DescriptionError: Beam doesn't know the runner or an option.
        TfrecError: A file can't be read.
    """
    local = runner is None or runner == "DirectRunner"
    try:
        options = PipelineOptions([*beam_options, f"--runner={_LOCAL_RUNNER if local else runner}"])
        pipeline = beam.Pipeline(options=options)
    except (ValueError, SystemExit, ImportError) as error:
        raise DescriptionError(
            "--runner",
            "Beam must know the runner and its options",
            received=f"{runner} {' '.join(beam_options)}: {error}",
            remedy="See Beam's documentation of runners",
        ) from error
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".online-") as folder:
        named = [(number, str(file)) for number, file in enumerate(files)]
        read = (
            pipeline
            | "ListLogs" >> beam.Create(named)
            | "SpreadLogs" >> beam.Reshuffle()
            | "ReadLogs"
            >> beam.ParDo(_Read(settings.shards)).with_outputs(_Read.USERS, main="requests")
        )
        joined = (
            read.requests
            | "GroupByRequest" >> beam.GroupByKey()
            | "JoinFeedback" >> beam.ParDo(_Join(settings))
        )
        _ = (
            (joined, read[_Read.USERS])
            | "GatherUsers" >> beam.Flatten()
            | "GroupByUser" >> beam.GroupByKey()
            | "MeasureUsers" >> beam.ParDo(_Measure(settings))
            | "WriteSums" >> beam.io.WriteToText(os.path.join(folder, "sums"))
        )
        try:
            pipeline.run().wait_until_finish()
        except Exception as error:
            raise _foreseen(error) from error
        parts = [
            pickle.loads(base64.b64decode(line))
            for file in sorted(Path(folder).glob("sums-*"))
            for line in file.read_text(encoding="utf-8").splitlines()
        ]
    return add_up([sums for _, sums in sorted(parts, key=lambda part: part[0])])


def _foreseen(error: BaseException) -> BaseException:
    """The error of ours that a worker raised, if one is in the chain; else the error itself."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, TfrecError):
            return found
        found = found.__cause__ or found.__context__
    return error
