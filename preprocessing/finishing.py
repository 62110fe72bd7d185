"""Write records, vocabularies, statistics and, last of all, the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from preprocessing.catalogue import write_ids
from preprocessing.counting import EVENT_CONFIG, Group, TrainStatistics
from preprocessing.describing import feature_statistics, write_schema, write_statistics
from preprocessing.entities import ID
from preprocessing.ledger import Ledger
from preprocessing.planning import Plan
from preprocessing.spilling import read_table, replacing, write_table
from preprocessing.stages import Stages, replace_file
from preprocessing.writing import WriteItems, WriteTimelines
from tfrec import __version__, schema
from tfrec.schema import DataLayout, FeatureSpec, Manifest, Shard, schema_fingerprint

__all__ = ["DataWriter", "prepared_path"]

Specs = dict[Group, tuple[FeatureSpec, ...]]
_PACKAGES = ("apache-beam", "pyarrow", "numpy", "pillow", "tensorflow")


def prepared_path(work: Path, shard: int) -> Path:
    """Where a run of prepared items is kept."""
    return work / "prepared" / f"items-{shard:05d}.arrow"


class DataWriter:
    """Writes the data directory from what the earlier stages left.

    Args:
        plan: What was read.
        stages: Runs the tasks.
        layout: The data directory.
        work: Folder of spilled tables.
        statistics: Of the train part.
    """

    def __init__(
        self,
        plan: Plan,
        stages: Stages,
        layout: DataLayout,
        work: Path,
        statistics: TrainStatistics,
    ) -> None:
        self._plan = plan
        self._stages = stages
        self._layout = layout
        self._work = work
        self._statistics = statistics

    def write(
        self,
        starts: Sequence[int],
        cuts: tuple[int, int] | None,
        encoded: Mapping[str, Mapping[str, Any]],
        ledger: Ledger,
    ) -> Manifest:
        """Writes everything.

        Args:
            starts: The first item of each shard.
            cuts: First moments of validation and test, for `global_time`.
            encoded: What is known of encoded features.
            ledger: The books of the run.
        """
        specs = self._specs(encoded)
        vocabularies = self._write_vocabularies(specs)
        event_types = tuple(self._statistics.event_types.vocabulary(EVENT_CONFIG))
        users = self._write_user_ids()
        shards = self._write_records(specs, vocabularies, event_types, starts)
        items = len(self._statistics.trained)
        write_schema(
            self._layout.schema_path,
            specs["items"],
            specs["users"],
            specs["context"],
            (items, users),
            len(event_types),
        )
        self._write_statistics(specs, ledger)
        manifest = Manifest(
            dataset=self._plan.config,
            items=items,
            warm_items=int((self._statistics.popularity[schema.TRAIN_COUNT] > 0).sum()),
            users=users,
            events=self._statistics.events,
            positives=self._statistics.positives,
            sources=ledger.sources,
            media=ledger.media,
            rejected=ledger.rules,
            item_features=specs["items"],
            user_features=specs["users"],
            context_features=specs["context"],
            events_vocabulary=event_types,
            split_times={} if cuts is None else {"validation": cuts[0], "test": cuts[1]},
            shards=tuple(shards),
            fingerprint=schema_fingerprint(
                specs["items"], specs["users"], specs["context"], items, users
            ),
            versions={"tfrec": __version__} | _package_versions(),
        )
        text = manifest.model_dump_json(indent=1)
        replace_file(self._layout.manifest_path, text.encode() + b"\n")
        return manifest

    def _specs(self, encoded: Mapping[str, Mapping[str, Any]]) -> Specs:
        config, resolve = self._plan.config, self._statistics.resolve
        items = resolve("items", self._plan.item_features)
        return {
            "items": tuple(spec.model_copy(update=encoded.get(spec.name)) for spec in items),
            "users": resolve("users", config.users.features if config.users else {}),
            "context": resolve("context", config.interactions.context),
        }

    def _write_vocabularies(self, specs: Specs) -> dict[str, list[str]]:
        vocabularies: dict[str, list[str]] = {}
        for group, features in specs.items():
            for spec in features:
                if spec.vocabulary is not None:
                    values = self._statistics.fits[group][spec.name].vocabulary(spec.config)
                    vocabularies[spec.vocabulary] = values
                    write_ids(pa.array(values, pa.string()), self._layout.root / spec.vocabulary)
        return vocabularies

    def _write_user_ids(self) -> int:
        parts = [
            read_table(path).column(ID) for path in sorted(self._timelines.glob("users-*.arrow"))
        ]
        ids = pa.chunked_array([chunk for part in parts for chunk in part.chunks], pa.string())
        ids = ids.take(pc.sort_indices(ids)).combine_chunks()
        write_table(self._work / "user_ids.arrow", pa.table({"id": ids}))
        write_ids(ids, self._layout.vocabulary(schema.USER_ID))
        return len(ids)

    @property
    def _timelines(self) -> Path:
        return self._work / "timelines"

    def _write_records(
        self,
        specs: Specs,
        vocabularies: dict[str, list[str]],
        event_types: tuple[str, ...],
        starts: Sequence[int],
    ) -> list[Shard]:
        popularity = dict(self._statistics.popularity)
        popularity[schema.TRAIN_WEIGHT] = popularity[schema.TRAIN_WEIGHT].astype(np.float32)
        path = self._work / "popularity.npz"
        with replacing(path) as partial, open(partial, "wb") as stream:
            # NumPy's stub takes the names for its own option `allow_pickle`.
            np.savez(stream, **popularity)  # type: ignore[arg-type]
        root = self._layout.root
        items = [
            WriteItems(
                key=f"items-{shard:05d}",
                prepared=prepared_path(self._work, shard),
                start=start,
                specs=specs["items"],
                vocabularies=vocabularies,
                popularity=path,
                work=self._work,
                root=root,
                output=root / "items" / f"items-{shard:05d}-of-{len(starts):05d}",
            )
            for shard, start in enumerate(starts)
        ]
        timelines = [
            WriteTimelines(
                key=f"timelines-{partition:05d}",
                partition=partition,
                partitions=self._plan.partitions,
                work=self._timelines,
                user_ids=self._work / "user_ids.arrow",
                profile=specs["users"],
                context=specs["context"],
                event_types=event_types,
                vocabularies=vocabularies,
                root=root,
            )
            for partition in range(self._plan.partitions)
        ]
        shards: list[Shard] = []
        for result in self._stages.run("write", "write records", [*items, *timelines]):
            shards += result if isinstance(result, list) else [result]
        return shards

    def _write_statistics(self, specs: Specs, ledger: Ledger) -> None:
        fits = self._statistics.fits
        write_statistics(
            self._layout.statistics_path,
            {
                "events": self._statistics.events,
                "positives": self._statistics.positives,
                "sources": {name: dict(counts) for name, counts in ledger.sources.items()},
                "media": {name: dict(counts) for name, counts in ledger.media.items()},
                "rejected": ledger.rules,
                "event_types": dict(self._statistics.event_types.values.most_common()),
                "features": {
                    group: {
                        spec.name: feature_statistics(spec, fits[group][spec.name])
                        for spec in features
                    }
                    for group, features in specs.items()
                },
            },
        )


@cache
def _package_versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _PACKAGES}
