"""`tfrec preprocess`: from a dataset description and raw files to prepared data.

    read      items and users: validate ─▶ catalogue, its order; users by partition; large files are
              scanned, to cut them into ranges
    read      interactions and comments: validate, look items up, spill by hash of the user
    assemble  each partition: sort, refuse duplicates, split, join comments and profiles, count
    prepare   runs of items: normalise, decode, join comments; count the train part's values
    encode    frozen encoders over different contents
    write     items with vocabularies and standardisation; timelines; then the manifest

One record worked through: the row `429,22,4.0,828124615` of interactions.csv with the rule
`rating >= 4` becomes user "429", item 21 (the place of "22" in items.csv), label 1, and, in
timelines/train-*, the first entry of the lists of the record of user 429.

Each arrow is a stage of `preprocessing.stages`; only counts and file names cross it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from preprocessing.carrying import carry_past, keep_past
from preprocessing.catalogue import Catalogue, build_catalogue, write_ids
from preprocessing.comments import ReadComments
from preprocessing.counting import TrainStatistics
from preprocessing.entities import ReadEntities, entity_schema
from preprocessing.finishing import DataWriter, prepared_path
from preprocessing.id_types import explain_id_types
from preprocessing.interactions import ReadInteractions, times_path
from preprocessing.items import PrepareItems
from preprocessing.ledger import Ledger
from preprocessing.orphans import explain_orphans
from preprocessing.planning import Plan, make_plan
from preprocessing.publishing import Workspace, open_workspace
from preprocessing.quality import CorePaths, find_core
from preprocessing.ranges import ReadRange, cut_file, scans_for
from preprocessing.rejecting import Refusals
from preprocessing.representing import represent_features
from preprocessing.shapes import shard_starts
from preprocessing.spilling import read_table, save_array
from preprocessing.splitting import find_cuts, needs_times, require_train
from preprocessing.stages import Stages
from preprocessing.timelines import AssembleTimelines, SelectTrainEvents
from tfrec import schema
from tfrec.config import ColumnRules, DatasetConfig
from tfrec.errors import DataError, DescriptionError, TfrecError
from tfrec.schema import DataLayout, Manifest

__all__ = ["carry_out", "preprocess"]


def preprocess(
    config: DatasetConfig,
    out: str | Path,
    data_root: str | Path,
    *,
    beam_options: Sequence[str] = (),
    encode: bool = True,
    max_rejected: float = 0.05,
    resume: bool = False,
    cache: str | Path | None = None,
    appendable: bool = False,
    stream: TextIO | None = None,
) -> Manifest:
    """Prepares a data set; `out` appears, or is replaced, only when it is whole.

    Args:
        config: The description.
        out: The directory to write: new, empty, or earlier prepared data.
        data_root: The folder that the description's paths are relative to.
        beam_options: Options of Apache Beam, such as `--runner=FlinkRunner`. A distributed runner
            needs `data_root` and `out` on a file system that all workers share.
        encode: Whether the frozen encoders that the description names are run.
        max_rejected: Largest share of a source's rows, or of a feature's files, to be refused.
        resume: Whether to go on with what an equal run left when it was broken off.
        cache: Folder for decoded and encoded media by content: what it knows isn't computed again.
            Several runs may share it at once.
        appendable: Whether the validated rows are kept, so that `append` can add a day to them.
        stream: Where progress goes; `None` is silent.

    Returns:
        The manifest, as written.

    Raises:
        DescriptionError: The description doesn't fit the files, or an option is wrong.
        RejectedRowsError: More was refused than allowed; refused rows are in `<out>.rejected`.
        DataError: A source is empty, damaged or unreadable, or the split leaves no train part.
    """
    plan = make_plan(config, Path(data_root), encode, keep=appendable)
    return carry_out(
        plan,
        Path(out),
        beam_options=beam_options,
        max_rejected=max_rejected,
        resume=resume,
        cache=cache,
        stream=stream,
    )


def carry_out(
    plan: Plan,
    out: Path,
    *,
    beam_options: Sequence[str],
    max_rejected: float,
    resume: bool,
    cache: str | Path | None,
    stream: TextIO | None,
) -> Manifest:
    """Does what a plan says; the arguments and errors are those of `preprocess`."""
    if not 0 <= max_rejected <= 1:
        raise DescriptionError(
            "--max-rejected",
            "a share lies between 0 and 1",
            received=max_rejected,
            remedy="Write 0.05 for five percent",
        )
    with open_workspace(out, plan.fingerprint, resume) as workspace:
        stages = Stages(workspace.work, beam_options, stream)
        try:
            folder = None if cache is None else Path(cache)
            manifest = _Run(plan, workspace, stages, max_rejected, folder).run()
            workspace.publish()
        except TfrecError:
            workspace.keep_refused()
            workspace.clear()
            raise
        except OSError as error:
            workspace.clear()
            raise DataError(
                str(error.filename or out),
                "the output and what lies between must be writable, and there must be room",
                received=error.strerror or str(error),
                remedy="Free space or check permissions, then run again",
            ) from error
        return manifest


class _Run:
    """The stages of one run, in order; each method's result is what the next ones need."""

    def __init__(
        self,
        plan: Plan,
        workspace: Workspace,
        stages: Stages,
        max_rejected: float,
        cache: Path | None,
    ) -> None:
        self._plan = plan
        self._cache = cache
        self._work = workspace.work
        self._out = workspace.out
        self._layout = DataLayout(workspace.data)
        self._stages = stages
        self._ledger = Ledger(self._layout.rejected, max_rejected, workspace.refused)

    def run(self) -> Manifest:
        for sentence in explain_id_types(self._plan.id_columns()):
            self._stages.say(sentence)
        ranges, entities = self._read_entities()
        catalogue = self._build_catalogue(entities["items"])
        users = entities["users"]
        past = carry_past(self._plan, self._out, catalogue, self._work, self._stages, self._ledger)
        new = self._read_events(ranges, catalogue)
        interactions, comments = past["interactions"] + new[0], past["comments"] + new[1]
        cuts = self._cuts(interactions)
        starts = shard_starts(self._plan.item_features, catalogue.size)
        statistics = TrainStatistics(catalogue.size)
        self._assemble(interactions, users, comments, cuts, starts, statistics)
        hashes = self._prepare(catalogue, starts, statistics)
        encoded = represent_features(
            self._stages,
            self._plan,
            hashes,
            catalogue=catalogue.rows,
            prepared=[(start, prepared_path(self._work, n)) for n, start in enumerate(starts)],
            items=catalogue.size,
            work=self._work,
            root=self._layout.root,
            cache=self._cache,
        )
        if self._plan.keep:
            keep_past(self._plan, self._layout.root, interactions, comments)
        writer = DataWriter(self._plan, self._stages, self._layout, self._work, statistics)
        return writer.write(starts, cuts, encoded, self._ledger)

    def _read_entities(self) -> tuple[dict[str, list[ReadRange]], dict[str, list[Path]]]:
        """Scans large files, and reads items and users; the ranges of all sources, and outputs."""
        files = self._plan.files
        scans = {
            (source, index): scans_for(file, source, index)
            for source in files
            for index, file in enumerate(files[source], len(self._plan.before(source)))
        }
        large = {source for (source, _), blocks in scans.items() if blocks}
        blocks = [block for group in scans.values() for block in group]
        ranges = {
            source: [
                cut
                for index, file in enumerate(files[source], len(self._plan.before(source)))
                for cut in cut_file(file, index)
            ]
            for source in files.keys() - large
        }
        outputs: dict[str, list[Path]] = {"items": [], "users": []}
        # A pipeline costs a quarter of a second; what needs no scan is read beside the scans.
        tasks = self._entity_tasks(ranges, outputs, outputs.keys() - large)
        results = self._stages.run("read-entities", "read items and users", [*blocks, *tasks])
        for (source, index), group in scans.items():
            if source in large:
                counts = [next(results) for _ in group]
                ranges.setdefault(source, []).extend(cut_file(group[0].file, index, counts))
        self._count(results)
        tasks = self._entity_tasks(ranges, outputs, outputs.keys() & large)
        self._count(self._stages.run("read-large", "read large items and users", tasks))
        return ranges, outputs

    def _entity_tasks(
        self,
        ranges: dict[str, list[ReadRange]],
        outputs: dict[str, list[Path]],
        sources: Iterable[str],
    ) -> list[ReadEntities]:
        config = self._plan.config
        rows = {"items": config.items, "users": config.users}
        tasks = []
        for source in sorted(sources):
            known = rows[source]
            if known is None:
                continue
            partitions = 1 if source == "items" else self._plan.partitions
            for key, part, path in self._outputs(source, ranges.get(source, [])):
                outputs[source].append(path)
                rules = ColumnRules(ranges=known.ranges, allowed=known.allowed)
                tasks.append(
                    ReadEntities(
                        key, source, known.id, known.features, rules, part, path, partitions
                    )
                )
        return tasks

    def _count(self, results: Iterable[tuple[int, Refusals]]) -> None:
        for read, refusals in results:
            self._ledger.count_read(refusals.source, read)
            self._ledger.refuse(refusals)

    def _build_catalogue(self, paths: Sequence[Path]) -> Catalogue:
        schema_of_rows = entity_schema(self._plan.config.items.features)
        names = self._plan.names()["items"]
        catalogue, refusals = build_catalogue(paths, schema_of_rows, names, self._work)
        self._ledger.refuse(refusals)
        self._ledger.check()
        ids = read_table(catalogue.ids).column("id")
        write_ids(ids, self._layout.vocabulary(schema.ITEM_ID))
        return catalogue

    def _outputs(
        self, source: str, ranges: Sequence[ReadRange]
    ) -> Iterator[tuple[str, ReadRange, Path]]:
        for number, part in enumerate(ranges):
            key = f"{source}-{number:06d}"
            yield key, part, self._work / source / f"{key}.arrow"

    def _read_events(
        self, ranges: dict[str, list[ReadRange]], catalogue: Catalogue
    ) -> tuple[list[Path], list[Path]]:
        config, partitions = self._plan.config, self._plan.partitions
        tasks: list[Any] = [
            ReadInteractions(
                key,
                config.interactions,
                self._plan.meaning(part.index),
                config.split,
                part,
                catalogue.ids,
                path,
                partitions,
            )
            for key, part, path in self._outputs("interactions", ranges["interactions"])
        ]
        if config.comments is not None:
            tasks += [
                ReadComments(key, config.comments, part, catalogue.ids, path, partitions)
                for key, part, path in self._outputs("comments", ranges["comments"])
            ]
        sources = "interactions and comments" if config.comments else "interactions"
        self._count(self._stages.run("read-events", f"read {sources}", tasks))
        self._ledger.check(lambda: explain_orphans(self._layout.rejected, catalogue.ids))
        if self._ledger.sources["interactions"].written == 0:
            raise DataError(
                ", ".join(self._plan.names()["interactions"]),
                "there is at least one valid interaction",
                received="none",
                remedy=explain_orphans(self._layout.rejected, catalogue.ids)
                or "Look into the rejected rows, or name another file",
            )
        outputs: tuple[list[Path], list[Path]] = ([], [])
        for task in tasks:
            outputs[isinstance(task, ReadComments)].append(task.output)
        return outputs

    def _cuts(self, interactions: Sequence[Path]) -> tuple[int, int] | None:
        split = self._plan.config.split
        if not needs_times(split):
            return self._plan.cuts
        times = [np.load(times_path(path), mmap_mode="r") for path in interactions]
        return find_cuts(times, split)

    def _assemble(
        self,
        interactions: Sequence[Path],
        users: Sequence[Path],
        comments: Sequence[Path],
        cuts: tuple[int, int] | None,
        starts: Sequence[int],
        statistics: TrainStatistics,
    ) -> None:
        rules = self._plan.config.interactions
        with_core = max(rules.min_user_events, rules.min_item_events) > 1
        cores = [
            CorePaths.of(self._work / "timelines", partition)
            for partition in range(self._plan.partitions)
        ]
        tasks = [
            AssembleTimelines(
                key=f"partition-{partition:05d}",
                partition=partition,
                config=self._plan.config,
                cuts=cuts,
                interactions=tuple(interactions),
                users=tuple(users),
                comments=tuple(comments),
                names=self._plan.names(),
                shard_items=starts[1] if len(starts) > 1 else len(statistics.trained),
                shards=len(starts),
                core=cores[partition] if with_core else None,
                output=self._work / "timelines",
            )
            for partition in range(self._plan.partitions)
        ]
        if with_core:
            chosen = [
                SelectTrainEvents(task, paths) for task, paths in zip(tasks, cores, strict=True)
            ]
            list(self._stages.run("select", "select events of the train part", chosen))
            bounds = rules.min_user_events, rules.min_item_events
            left, dropped = find_core(cores, len(statistics.trained), *bounds)
            self._stages.say(f"k-core: {left:,} train events left, {dropped:,} dropped")
        for summary in self._stages.run("assemble", "assemble timelines", tasks):
            statistics.add_timelines(summary)
            for refusals in summary.refusals:
                self._ledger.refuse(refusals)
        self._ledger.check()
        require_train(statistics.events["train"], self._plan.config.split)
        save_array(self._work / "trained.npy", statistics.trained)

    def _prepare(
        self, catalogue: Catalogue, starts: Sequence[int], statistics: TrainStatistics
    ) -> dict[str, list[bytes | None]]:
        comments = tuple(
            self._work / "timelines" / f"comments-{partition:05d}.arrow"
            for partition in range(self._plan.partitions)
        )
        tasks = [
            PrepareItems(
                key=f"items-{shard:05d}",
                shard=shard,
                start=start,
                stop=stop,
                root=self._plan.root,
                features=self._plan.item_features,
                catalogue=catalogue.rows,
                comments=comments if self._plan.config.comments else (),
                trained=self._work / "trained.npy",
                encoded=frozenset(self._plan.encoded),
                cache=self._cache,
                output=prepared_path(self._work, shard),
            )
            for shard, (start, stop) in enumerate(
                zip(starts, [*starts[1:], catalogue.size], strict=True)
            )
        ]
        hashes: dict[str, list[bytes | None]] = {name: [] for name in self._plan.encoded}
        for summary in self._stages.run("prepare", "prepare items and their media", tasks):
            for refusals in summary.refusals:
                self._ledger.refuse(refusals, media=True)
            for name, counts in summary.media.items():
                self._ledger.count_media(name, counts)
            statistics.add_items(summary)
            for name, values in summary.hashes.items():
                hashes[name] += values
        self._ledger.check()
        return hashes
