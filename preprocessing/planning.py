"""Look at the description, the sources and the encoders before any row is read.

What can be known to be wrong is said here, in seconds, and not after an hour of reading.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from preprocessing.comments import comment_columns
from preprocessing.entities import columns_of
from preprocessing.interactions import interaction_columns
from preprocessing.items import COMMENT_FEATURES
from preprocessing.past import Past, PastFile
from preprocessing.paths import DataRoot, SourceFile
from preprocessing.quality import parse_window
from preprocessing.ranges import RANGE_BYTES, file_columns
from preprocessing.splitting import given_cuts
from tfrec import schema
from tfrec.config import DatasetConfig, FeatureConfig, InteractionsSource
from tfrec.errors import DescriptionError

__all__ = ["Plan", "make_plan"]

# A source shrinks about so much by gzip, and by Parquet.
_COMPRESSION = 5
_MOST_PARTITIONS = 1024
_RECORD_NAMES = frozenset(
    {
        schema.TRAIN_LAST,
        schema.TRAIN_WEIGHT,
        schema.TIMESTAMP,
        schema.EVENT,
        schema.LABEL,
        schema.WEIGHT,
        schema.DWELL,
        schema.SENTIMENT,
    }
)


@dataclass(frozen=True)
class Plan:
    """What a run will read.

    Attributes:
        config: The description.
        root: The data root.
        files: Files of each source.
        behaviour: What the columns of each file of interactions mean.
        item_features: Item features, those of comments among them.
        partitions: Into how many parts users are divided.
        cuts: Given cut-off moments.
        encode: Whether frozen encoders run.
        past: What was read before, when the run adds to it; `files` are then the new ones.
        keep: Whether the output can be added to.
        mark: Tells the data that is added to from any other.
    """

    config: DatasetConfig
    root: Path
    files: dict[str, tuple[SourceFile, ...]]
    behaviour: tuple[InteractionsSource, ...]
    item_features: dict[str, FeatureConfig]
    partitions: int
    cuts: tuple[int, int] | None
    encode: bool
    past: Past | None = None
    keep: bool = False
    mark: str = ""

    @property
    def encoded(self) -> dict[str, FeatureConfig]:
        """Item features whose frozen encoder runs."""
        if not self.encode:
            return {}
        return {n: c for n, c in self.item_features.items() if c.encoder is not None}

    def names(self) -> dict[str, tuple[str, ...]]:
        """File names of each source, those that were read before among them."""
        return {
            source: (
                *(file.name for file in self.before(source)),
                *(file.name for file in files),
            )
            for source, files in self.files.items()
        }

    def before(self, source: str) -> tuple[PastFile, ...]:
        """Files of a source that were read before: the new ones count on from them."""
        return self.past.files.get(source, ()) if self.past is not None else ()

    def meaning(self, index: int) -> InteractionsSource:
        """What the columns of a file of interactions mean, by its place among all."""
        return self.behaviour[index - len(self.before("interactions"))]

    def remember(self, tables: dict[str, int]) -> Past:
        """What is kept of this run, so that it can be added to."""
        united = self.config.interactions.united
        files = {}
        for source in tables:
            new = self.files.get(source, ())
            places = [0] * len(new)
            if source == "interactions":
                places = [united.index(meaning) for meaning in self.behaviour]
            files[source] = self.before(source) + tuple(
                PastFile(name=file.name, size=file.size, weight=_weight(file), source=place)
                for file, place in zip(new, places, strict=True)
            )
        return Past(
            root=str(self.root.resolve()),
            encode=self.encode,
            partitions=self.partitions,
            files=files,
            tables=tables,
        )

    def id_columns(self) -> dict[str, list[tuple[SourceFile, str]]]:
        """The first file of each source with its id column, for users and for items."""
        config = self.config
        behaviour = zip(self.files["interactions"], self.behaviour, strict=True)
        first = {id(source): (file, source) for file, source in reversed(list(behaviour))}
        rows = list(first.values())
        users = [(file, source.user) for file, source in rows]
        items = [(self.files["items"][0], config.items.id)]
        items += [(file, source.item) for file, source in rows]
        if config.users is not None:
            users.append((self.files["users"][0], config.users.id))
        if config.comments is not None and self.files["comments"]:
            users.append((self.files["comments"][0], config.comments.user))
            items.append((self.files["comments"][0], config.comments.item))
        return {"user": users, "item": items}

    @property
    def fingerprint(self) -> str:
        """Equal for runs that would do the same."""
        files = {
            source: [(file.name, file.size, file.modified) for file in files]
            for source, files in self.files.items()
        }
        parts = [self.config.model_dump(mode="json"), files, self.encode, str(self.root.resolve())]
        parts += [self.keep, self.mark, self.past and self.past.model_dump(mode="json")]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def make_plan(
    config: DatasetConfig,
    data_root: Path,
    encode: bool,
    keep: bool = False,
    past: Past | None = None,
    mark: str = "",
) -> Plan:
    """Checks everything that can be checked without reading rows.

    Args:
        config: The description.
        data_root: What its paths are relative to.
        encode: Whether frozen encoders run.
        keep: Whether the output can be added to.
        past: What was read before: these files are left out.
        mark: Tells the data that is added to from any other.

    Raises:
        DescriptionError: A source, column or feature is not what the description says.
        DataError: A source is empty or can't be read.
    """
    root = DataRoot(data_root)
    _check_names(config)
    parse_window(config.interactions.since, config.interactions.until)
    files, behaviour = _find_files(root, config, past)
    for source, columns, needed in _wanted_columns(config):
        for file in files[source]:
            _check_columns(source, file, columns, needed)
    for file, rows in zip(files["interactions"], behaviour, strict=True):
        columns = interaction_columns(rows, config.interactions.context, config.split)
        _check_columns("interactions", file, columns, [rows.user, rows.item, rows.timestamp])
    features = dict(config.items.features)
    if config.comments is not None:
        text = FeatureConfig(
            modality="text",
            encoder=config.comments.encoder,
            max_length=config.comments.max_length,
        )
        numbers = (
            FeatureConfig(modality="numeric"),
            FeatureConfig(modality="numeric", transform="log1p"),
        )
        features |= dict(zip(COMMENT_FEATURES, (text, *numbers), strict=True))
    _check_features(features, encode)
    return Plan(
        config=config,
        root=Path(data_root),
        files=files,
        behaviour=behaviour,
        item_features=features,
        partitions=_partitions(files["interactions"], past),
        cuts=given_cuts(config.split),
        encode=encode,
        past=past,
        keep=keep,
        mark=mark,
    )


def _find_files(
    root: DataRoot, config: DatasetConfig, past: Past | None
) -> tuple[dict[str, tuple[SourceFile, ...]], tuple[InteractionsSource, ...]]:
    """The files of each source, and for each file of interactions what its columns mean."""
    files = {"items": root.sources(config.items.path, "items.path")}
    found: list[SourceFile] = []
    behaviour: list[InteractionsSource] = []
    known = past.files if past is not None else {}
    read = {file.source for file in known.get("interactions", ())}
    for place, source in enumerate(config.interactions.united):
        if place in read:
            continue
        where = f"interactions.also.{place - 1}.path" if place else "interactions.path"
        own = root.sources(source.path, where)
        found += own
        behaviour += [source] * len(own)
    files["interactions"] = tuple(found)
    if config.users is not None:
        files["users"] = root.sources(config.users.path, "users.path")
    if config.comments is not None:
        names = {file.name for file in known.get("comments", ())}
        found = list(root.sources(config.comments.path, "comments.path", least=not names))
        files["comments"] = tuple(file for file in found if file.name not in names)
    return files, tuple(behaviour)


def _wanted_columns(config: DatasetConfig) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each source but interactions, with its columns and those that it can't do without."""
    items, users = config.items, config.users
    yield "items", columns_of(items.id, items.features, items), [items.id]
    if users is not None:
        yield "users", columns_of(users.id, users.features, users), [users.id]
    if config.comments is not None:
        columns = comment_columns(config.comments)
        yield "comments", columns, columns


def _partitions(files: tuple[SourceFile, ...], past: Past | None) -> int:
    """A partition holds about as much as a range, so that both cost alike."""
    before = past.files["interactions"] if past is not None else ()
    size = sum(map(_weight, files)) + sum(file.weight for file in before)
    # Two for anything that is worth two workers.
    least = 2 if size > 1 << 20 else 1
    return min(_MOST_PARTITIONS, max(least, math.ceil(size / RANGE_BYTES)))


def _weight(file: SourceFile) -> int:
    return file.size * (_COMPRESSION if file.compressed or file.format == "parquet" else 1)


def _check_columns(source: str, file: SourceFile, wanted: list[str], needed: list[str]) -> None:
    """Looks for the columns; of JSON Lines, whose objects may leave keys out, for `needed`."""
    known, declared = file_columns(file)
    for column in wanted if declared else needed:
        if column not in known:
            raise DescriptionError(
                f"{source}: {file.name}",
                f"the description names a column `{column}`",
                received=f"the columns {', '.join(known)}",
                remedy="Correct the description or the file",
            )


def _check_names(config: DatasetConfig) -> None:
    groups = [("items.features", config.items.features)]
    if config.users is not None:
        groups.append(("users.features", config.users.features))
    reserved = set(_RECORD_NAMES)
    for where, features in groups:
        if config.comments is not None and where == "items.features":
            reserved |= set(COMMENT_FEATURES)
        for name in features:
            if name in reserved:
                raise DescriptionError(
                    f"{where}.{name}",
                    "the name of a feature is not one that records have already",
                    received=name,
                    remedy=f"Rename it, for example `my_{name}`, and give its `column`",
                )


def _check_features(features: dict[str, FeatureConfig], encode: bool) -> None:
    for name, config in features.items():
        if re.search(r"\.(tar\.(gz|bz2|xz)|tgz)/", (config.path or "").lower()):
            raise DescriptionError(
                f"items.features.{name}.path",
                "a tar with media is uncompressed, so that its members can be read in any order",
                received=config.path,
                remedy="Unpack it with gunzip; media don't shrink by compression anyway",
            )
    if any(config.modality == "video" for config in features.values()):
        from preprocessing.decoding import require_decoder

        for name, config in features.items():
            require_decoder(config, name)
    if encode and any(config.encoder for config in features.values()):
        from preprocessing.encoding import load_encoder
        from tfrec.encoders.speech import check_sample_rate

        for name, config in features.items():
            if config.encoder is not None:
                encoder = load_encoder(config.encoder, config.modality, config.max_length)
                if encoder.sample_rate is not None:
                    where = f"items.features.{name}.encoder {config.encoder}"
                    check_sample_rate(where, encoder.sample_rate, config.sample_rate)
