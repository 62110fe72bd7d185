"""The catalogue in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec import schema
from tfrec.errors import CorruptDataError
from tfrec.input.prepared import RECORD_TYPES, encoded, stack
from tfrec.input.records import Column, read_columns
from tfrec.schema import DataLayout, FeatureSpec, Manifest

__all__ = ["ItemTable"]


@dataclass(frozen=True)
class ItemTable:
    """Every item, in catalogue order.

    Attributes:
        ids: object [N] of str.
        train_count: int64 [N], positive events in the train part; 0 makes a cold item.
        train_last: int64 [N], Unix seconds of the latest of them, 0 when there is none.
        train_weight: float32 [N], sum of their weights.
        features: By name, stacked in prepared form: numeric float32 [N]; categorical int32 [N];
            tags int32 [N, T] padded by 0; text object [N] of str; image uint8 [N, h, w, 3]; audio
            int16 [N, samples]; video uint8 [N, f, h, w, 3]; embedding float32 [N, d].
        encoded: By name, float32 [N, d], of the features that an encoder was run on.
        present: By name, bool [N].
        specs: By name, what each feature is.
    """

    ids: npt.NDArray[Any]
    train_count: npt.NDArray[np.int64]
    train_last: npt.NDArray[np.int64]
    train_weight: npt.NDArray[np.float32]
    features: Mapping[str, npt.NDArray[Any]]
    encoded: Mapping[str, npt.NDArray[np.float32]]
    present: Mapping[str, npt.NDArray[np.bool_]]
    specs: Mapping[str, FeatureSpec]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def warm(self) -> npt.NDArray[np.bool_]:
        """Which items are warm, bool [N]: each has a positive event in the train part."""
        return self.train_count > 0

    def value(self, name: str) -> npt.NDArray[Any]:
        """What a tower reads of a feature: the encoding where there is one, else the raw form."""
        return self.encoded[name] if name in self.encoded else self.features[name]

    @classmethod
    def load(
        cls, data: str | Path, *, features: Sequence[str] | None = None, raw: bool = True
    ) -> ItemTable:
        """Reads the items of a prepared data directory.

        Args:
            data: The directory.
            features: Names of those to read; all unless given.
            raw: Whether to read also the raw form of features that have an encoding.

        Returns:
            The table.

        Raises:
            DataError: The directory holds no finished data, or has no such feature.
            CorruptDataError: A file is damaged, or disagrees with the manifest.
        """
        layout = DataLayout(data)
        manifest = layout.read_manifest()
        specs = manifest.item_features
        if features is not None:
            specs = tuple(manifest.item_feature(name) for name in features)
        types = {
            schema.ITEM_ID: tf.string,
            schema.ITEM_INDEX: tf.int64,
            schema.TRAIN_COUNT: tf.int64,
            schema.TRAIN_LAST: tf.int64,
            schema.TRAIN_WEIGHT: tf.float32,
        }
        for spec in specs:
            types[schema.present(spec.name)] = tf.int64
            if raw or spec.encoded_dim is None:
                types[spec.name] = RECORD_TYPES[spec.modality]
            if spec.encoded_dim is not None:
                packed = spec.config.vector_dtype != "float32"
                types[schema.encoded(spec.name)] = tf.string if packed else tf.float32
        columns = read_columns(layout.item_shards(), types)
        where = str(layout.root / "items")
        _check_whole(columns, manifest, where)
        count = manifest.items
        present = {spec.name: _flags(columns[schema.present(spec.name)], count) for spec in specs}
        return cls(
            ids=np.array([i.decode("utf-8") for i in columns[schema.ITEM_ID].values], object),
            train_count=columns[schema.TRAIN_COUNT].values,
            train_last=columns[schema.TRAIN_LAST].values,
            train_weight=columns[schema.TRAIN_WEIGHT].values,
            features={
                spec.name: stack(columns[spec.name], present[spec.name], spec, where)
                for spec in specs
                if spec.name in columns
            },
            encoded={
                spec.name: encoded(
                    columns[schema.encoded(spec.name)], present[spec.name], spec, where
                )
                for spec in specs
                if spec.encoded_dim is not None
            },
            present=present,
            specs={spec.name: spec for spec in specs},
        )


def _flags(column: Column, count: int) -> npt.NDArray[np.bool_]:
    flags = np.zeros(count, bool)
    has = column.lengths > 0
    flags[has] = column.values[column.splits[:-1][has]] > 0
    return flags


def _check_whole(columns: Mapping[str, Column], manifest: Manifest, where: str) -> None:
    single = (schema.ITEM_ID, schema.TRAIN_COUNT, schema.TRAIN_LAST, schema.TRAIN_WEIGHT)
    index = columns[schema.ITEM_INDEX].values
    whole = np.array_equal(index, np.arange(manifest.items)) and all(
        bool((columns[name].lengths == 1).all()) for name in single
    )
    if not whole:
        raise CorruptDataError(
            where,
            f"the items must be the {manifest.items:,} of the manifest, in catalogue order",
            received=f"{len(index):,} records",
            remedy="Run `tfrec preprocess` again",
        )
