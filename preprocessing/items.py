"""Prepare a run of items: normalise texts and values, decode media, join the comments.

catalogue.arrow   rows as validated          ─┐
comments-*.arrow  comments of the train part ─┴▶ prepared-S.arrow: what records will hold, but
                                                 for vocabularies and standardisation
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from preprocessing.caching import content_hash
from preprocessing.comments import SENTIMENT, TEXT
from preprocessing.entities import ID, LINE
from preprocessing.fitting import FeatureFit, fit_column, normalize_values
from preprocessing.interactions import ITEM, TIME
from preprocessing.media_files import read_media
from preprocessing.paths import DataRoot
from preprocessing.rejecting import Refusals
from preprocessing.shapes import media_bytes
from preprocessing.spilling import arrow_writer, read_partition, read_table
from preprocessing.texts import normalize_texts
from tfrec.config import FeatureConfig
from tfrec.config.dataset import MEDIA
from tfrec.schema import COMMENTS, COMMENTS_COUNT, COMMENTS_SENTIMENT, RowCounts

__all__ = ["COMMENT_FEATURES", "ItemSummary", "PrepareItems", "prepared_schema"]

# Letters of an item's comments that are kept, for each token: an encoder reads no further.
_LETTERS_PER_TOKEN = 8
COMMENT_FEATURES = (COMMENTS, COMMENTS_SENTIMENT, COMMENTS_COUNT)
_CHUNK_BYTES = 24 << 20


@dataclass
class ItemSummary:
    """What a run of items tells.

    Attributes:
        fits: By feature.
        media: Files by feature.
        refusals: Refused media.
        hashes: For each encoded feature, bytes [items]: what the encoder reads, hashed; `None`
            where missing.
        size: Bytes of the prepared values.
    """

    fits: dict[str, FeatureFit] = field(default_factory=dict)
    media: dict[str, RowCounts] = field(default_factory=dict)
    refusals: list[Refusals] = field(default_factory=list)
    hashes: dict[str, list[bytes | None]] = field(default_factory=dict)
    size: int = 0


@dataclass(frozen=True)
class PrepareItems:
    """Prepares items from `start` to `stop`: a task.

    Attributes:
        key: Unique among the runs.
        shard: Which run.
        start, stop: Items.
        root: The data root.
        features: Item features by name, those of comments among them.
        catalogue: The validated items.
        comments: Files of the partitions' train comments.
        trained: `.npy` bool [catalogue], items with an event in the train part.
        encoded: Features whose content is to be hashed for an encoder.
        cache: Folder with media that earlier runs decoded.
        output: The Arrow file.
    """

    key: str
    shard: int
    start: int
    stop: int
    root: Path
    features: dict[str, FeatureConfig]
    catalogue: Path
    comments: tuple[Path, ...]
    trained: Path
    encoded: frozenset[str]
    cache: Path | None
    output: Path

    def run(self) -> ItemSummary:
        """Writes the prepared items and sums them up."""
        summary = ItemSummary(hashes={name: [] for name in self.encoded})
        catalogue = read_table(self.catalogue)
        trained = np.load(self.trained, mmap_mode="r")
        comments = self._comments()
        root = DataRoot(self.root)
        schema = prepared_schema(self.features)
        with arrow_writer(self.output, schema) as writer:
            for start, stop in self._chunks():
                rows = catalogue.slice(start, stop - start).combine_chunks()
                columns = {ID: rows.column(ID)}
                for name, config in self.features.items():
                    if name in comments:
                        column = comments[name].slice(start - self.start, stop - start)
                    elif config.modality in MEDIA:
                        column = self._media(root, name, config, rows, summary)
                    else:
                        column = _plain(config, rows.column(name).combine_chunks())
                    columns[name] = column
                    fit = fit_column(config, column, np.asarray(trained[start:stop]))
                    summary.fits.setdefault(name, FeatureFit()).merge(fit)
                    if name in self.encoded and config.modality == "text":
                        summary.hashes[name] += [
                            None if text is None else content_hash(text.encode())
                            for text in column.to_pylist()
                        ]
                table = pa.table(columns).cast(schema)
                summary.size += table.nbytes
                writer.write_table(table)
        return summary

    def _chunks(self) -> Iterator[tuple[int, int]]:
        each = sum(media_bytes(config) for config in self.features.values()) + 4096
        step = int(np.clip(_CHUNK_BYTES // each, 16, 1024))
        for start in range(self.start, self.stop, step):
            yield start, min(start + step, self.stop)

    def _media(
        self, root: DataRoot, name: str, config: FeatureConfig, rows: Any, summary: ItemSummary
    ) -> Any:
        from preprocessing.decoding import decode_different

        refusals = Refusals(name)
        cells = rows.column(name).to_pylist()
        files = [read_media(root, cell, config.path is not None) for cell in cells]
        hashes = [content_hash(file.data) for file in files]
        data = [file.data for file in files]
        tensors, valid, reasons = decode_different(config, data, hashes, self.cache)
        lines = rows.column(LINE).to_pylist()
        for file, good, line, value in zip(files, valid, lines, hashes, strict=True):
            if file.found and not good:
                rule, received = file.rule or "unreadable_media", file.received
                if value in reasons:
                    rule, received = reasons[value].rule, reasons[value].received
                received = received or f"{len(file.data)} bytes that can't be decoded"
                refusals.add(file.name, line, rule, received)
        found = sum(file.found for file in files)
        before = summary.media.get(name, RowCounts())
        summary.media[name] = RowCounts(
            read=before.read + found,
            written=before.written + found - refusals.count,
            rejected=before.rejected + refusals.count,
        )
        summary.refusals.append(refusals)
        if name in self.encoded:
            summary.hashes[name] += [
                value if good else None for value, good in zip(hashes, valid, strict=True)
            ]
        prepared = [
            tensor.tobytes() if good else None for tensor, good in zip(tensors, valid, strict=True)
        ]
        return pa.array(prepared, pa.binary())

    def _comments(self) -> dict[str, Any]:
        """Text, mean sentiment and number of each item's comments in the train part."""
        if COMMENTS not in self.features:
            return {}
        rows = read_partition(self.comments, self.shard)
        items = np.asarray(rows.column(ITEM).to_numpy(), np.int64) - self.start
        count = self.stop - self.start
        numbers = np.bincount(items, minlength=count)
        sums = np.bincount(items, rows.column(SENTIMENT).to_numpy(), minlength=count)
        means = sums / np.maximum(numbers, 1)
        limit = _LETTERS_PER_TOKEN * (self.features[COMMENTS].max_length or 64)
        order = np.lexsort((rows.column(TIME).to_numpy(), items))
        bounds = np.searchsorted(items[order], np.arange(count + 1))
        texts = rows.column(TEXT).take(pa.array(order)).to_pylist()
        joined = [_join_texts(texts[first:last], limit) or None for first, last in pairwise(bounds)]
        return {
            COMMENTS: normalize_texts(pa.array(joined, pa.string()), self.features[COMMENTS]),
            COMMENTS_SENTIMENT: pa.array(means, mask=numbers == 0),
            COMMENTS_COUNT: pa.array(numbers.astype(np.float64)),
        }


def prepared_schema(features: dict[str, FeatureConfig]) -> Any:
    """The Arrow schema of prepared items."""
    kinds = {
        "text": pa.string(),
        "categorical": pa.string(),
        "tags": pa.list_(pa.string()),
        "numeric": pa.float64(),
    }
    fields = [(ID, pa.string())]
    for name, config in features.items():
        kind = pa.binary() if config.modality in MEDIA else kinds.get(config.modality)
        fields.append((name, kind or pa.list_(pa.float32(), config.dimension or 1)))
    return pa.schema(fields)


def _plain(config: FeatureConfig, column: Any) -> Any:
    if config.modality == "text":
        return normalize_texts(column, config)
    if config.modality in ("categorical", "tags"):
        return normalize_values(column)
    return column


def _join_texts(texts: list[str], limit: int) -> str:
    """Different texts joined, those that were said most often first, then the earliest.

    Example:
        >>> _join_texts(["slow", "Funny", "funny"], 100)
        'Funny. slow'
    """
    counts = Counter(text.casefold() for text in texts)
    first: dict[str, str] = {}
    for text in texts:
        first.setdefault(text.casefold(), text)
    chosen = sorted(first, key=lambda folded: -counts[folded])
    return ". ".join(first[folded] for folded in chosen)[:limit]
