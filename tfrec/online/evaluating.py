"""From log files to a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfrec.errors import DataError
from tfrec.online.analysis import analyse
from tfrec.online.events.reading import find_logs
from tfrec.online.experiments.assignment import check_layers
from tfrec.online.results import OnlineReport
from tfrec.online.settings import Settings

__all__ = ["evaluate_logs"]


def evaluate_logs(
    paths: Sequence[str | Path],
    settings: Settings,
    *,
    runner: str | None = None,
    beam_options: Sequence[str] = (),
    scratch: str | Path | None = None,
) -> OnlineReport:
    """Evaluates event logs.

    Args:
        paths: Files and folders.
        settings: What to measure.
        runner: Of Apache Beam; in this process without it.
        beam_options: Further options of Beam; any makes Beam run.
        scratch: Folder that all Beam workers share.

    Raises:
        DescriptionError: A path is no log, or experiments contradict each other.
        DataError: No usable impression is in the logs, or an experiment has no users.
    """
    check_layers(settings.experiments)
    files = find_logs(paths)
    if runner is None and not beam_options:
        from tfrec.online.local import sum_logs

        sums = sum_logs(files, settings)
    else:
        from tfrec.online.streaming import sum_logs as stream_logs

        sums = stream_logs(
            files, settings, runner=runner, beam_options=beam_options, scratch=scratch
        )
    if not sums.everyone.count:
        lines = sums.ignored.lines()
        raise DataError(
            " ".join(map(str, paths)),
            "logs hold at least one impression",
            received=lines[0] if lines else "none",
            remedy="See docs/online.md for what to log",
        )
    for test in settings.experiments:
        if not any(arm.count for arm in sums.variants[test.name].values()):
            raise DataError(
                f"experiment {test.name!r}",
                "somebody is exposed to it",
                received=f"exposures of {', '.join(sums.seen) or 'no experiment'}",
                remedy="Log exposures, or set `exposure: assigned`, and check `name` and `start`",
            )
    return analyse(sums, len(files), settings)
