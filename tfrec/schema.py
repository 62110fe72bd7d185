"""Contract 2: what preprocessing writes, by name. Imports no TensorFlow.

The one place where file names, record features and the manifest are spelled; every other module
uses these constants.

Records (`tf.train.Example`), integers as int64, numbers as float32::

    items/items-*                      one record an item, in catalogue order
        item_id            bytes       as in the source
        item_index         int64       0 … N-1, its position in vocabulary/item_id.txt
        train_count        int64       positive events in the train part; 0 makes it a cold item
        train_last         int64       Unix seconds of the latest of them, 0 when there is none
        train_weight       float       sum of their weights
        and for each feature NAME
        NAME/present       int64       1, or 0 for a missing or refused value
        NAME               see below   absent when not present
        NAME/encoded       float[dim]  the frozen encoder's vector, when one is named and was run;
                                       by `vector_dtype: float16` bytes, float16[dim]; by `int8`
                                       bytes, a float32 scale and int8[dim]; little-endian

    timelines/{train,validation,test}-*   one record a user (or a chunk of a long one)
        user_id            bytes
        user_index         int64       position in vocabulary/user_id.txt
        profile features   NAME and NAME/present, as for items
        item_index, timestamp, event   int64 lists, in time order, equally long
        label, weight, dwell, sentiment   float lists, equally long
        context features   context/NAME: int64 list (categorical) or float list (numeric)

    text         bytes, NFC-normalised UTF-8      categorical  int64[1], index into its vocabulary
    image        bytes, uint8[height,width,3]     tags         int64 list, likewise
    audio        bytes, int16 little-endian mono  numeric      float[1], standardised
    video        bytes, uint8[frames,h,w,3]       embedding    float[dim]

Vocabulary files hold one value a line; index 0 is padding or missing, 1 out-of-vocabulary, and the
first line has index 2. `item_id.txt` and `user_id.txt` are the exception: line n is index n.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tfrec.config.dataset import DatasetConfig, FeatureConfig, Modality
from tfrec.errors import CorruptDataError, DataError

__all__ = [
    "FIRST_VALUE_INDEX",
    "MISSING_INDEX",
    "OOV_INDEX",
    "SPLITS",
    "DataLayout",
    "FeatureSpec",
    "Manifest",
    "RowCounts",
    "Shard",
    "Split",
]

FORMAT_VERSION = 1

ITEM_ID = "item_id"
ITEM_INDEX = "item_index"
USER_ID = "user_id"
USER_INDEX = "user_index"
TRAIN_COUNT = "train_count"
TRAIN_LAST = "train_last"
TRAIN_WEIGHT = "train_weight"
TIMESTAMP = "timestamp"
EVENT = "event"
LABEL = "label"
WEIGHT = "weight"
DWELL = "dwell"
SENTIMENT = "sentiment"
CONTEXT_PREFIX = "context/"
PRESENT_SUFFIX = "/present"
ENCODED_SUFFIX = "/encoded"
COMMENTS = "comments"
COMMENTS_SENTIMENT = "comments_sentiment"
COMMENTS_COUNT = "comments_count"
# What of an item comes from those who met it: an item without behaviour has none of it.
FROM_BEHAVIOUR = (COMMENTS, COMMENTS_SENTIMENT, COMMENTS_COUNT)

MISSING_INDEX = 0
OOV_INDEX = 1
FIRST_VALUE_INDEX = 2

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def present(name: str) -> str:
    """The record feature that tells whether feature `name` is present."""
    return name + PRESENT_SUFFIX


def encoded(name: str) -> str:
    """The record feature that holds the frozen encoding of feature `name`."""
    return name + ENCODED_SUFFIX


def context(name: str) -> str:
    """The record feature that holds the context column `name` of each event."""
    return CONTEXT_PREFIX + name


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FeatureSpec(_Frozen):
    """A feature as preprocessing resolved it: all that training and serving need to know.

    Attributes:
        name: Its name in records, configurations and signatures.
        modality: Its modality.
        config: The description it came from.
        missing: How many records lack it.
        vocabulary: File below the data directory, for categorical and tags.
        vocabulary_size: Rows of an embedding table for it: lines of the file + 2, and any further
            out-of-vocabulary or hash buckets.
        mean, deviation: Of the train part, after `transform`; numeric with `scale: zscore` only. A
            deviation of 0 stands for a constant and is used as 1.
        center, width: What is subtracted and divided by with `minmax` and `robust`.
        boundaries: Between the buckets of `scale: quantile`, ascending.
        encoded_dim: Width of NAME/encoded; `None` when no encoder was run.
        projection: File below the data directory with the linear map that `reduce` fitted: NumPy
            archive of `mean` float32 [d] and `components` float32 [d, encoded_dim].
        encoder_fingerprint: What the encoder's weights and options hash to, checked at export.
    """

    name: str
    modality: Modality
    config: FeatureConfig
    missing: int = 0
    vocabulary: str | None = None
    vocabulary_size: int | None = None
    mean: float | None = None
    deviation: float | None = None
    center: float | None = None
    width: float | None = None
    boundaries: tuple[float, ...] | None = None
    encoded_dim: int | None = None
    encoder_fingerprint: str | None = None
    projection: str | None = None

    @property
    def shift(self) -> float:
        """What is subtracted from a transformed number."""
        return self.center if self.center is not None else (self.mean or 0.0)

    @property
    def spread(self) -> float:
        """What a number is divided by then; 1 for a constant."""
        return self.width or self.deviation or 1.0


class RowCounts(_Frozen):
    """Rows of one source. `read == written + rejected` holds for every manifest."""

    read: int = 0
    written: int = 0
    rejected: int = 0


class Shard(_Frozen):
    """One file of records, with what proves it whole."""

    path: str
    records: int
    size: int
    sha256: str


class Manifest(_Frozen):
    """`OUT/manifest.json`: written last, so that its presence means that the data is whole.

    Attributes:
        dataset: The resolved description.
        items, warm_items: Catalogue size, and how many have a positive event in the train part.
        users: Users with at least one event.
        events: Events of each split. positives: those with label 1.
        sources: Row counts by source: interactions, items, users, comments.
        media: Files by feature: read, written, rejected.
        rejected: Rows and files refused, by rule.
        item_features, user_features, context_features: Resolved features, in description order.
        events_vocabulary: Event types; index as for any vocabulary. Empty without an event column.
        split_times: First moment of validation and of test, for a global-time split.
        fingerprint: Hash of everything that decides the records' form: see `schema_fingerprint`.
    """

    format_version: int = FORMAT_VERSION
    dataset: DatasetConfig
    items: int
    warm_items: int
    users: int
    events: dict[str, int]
    positives: dict[str, int]
    sources: dict[str, RowCounts]
    media: dict[str, RowCounts] = {}
    rejected: dict[str, int] = {}
    item_features: tuple[FeatureSpec, ...]
    user_features: tuple[FeatureSpec, ...] = ()
    context_features: tuple[FeatureSpec, ...] = ()
    events_vocabulary: tuple[str, ...] = ()
    split_times: dict[str, int] = {}
    shards: tuple[Shard, ...]
    fingerprint: str
    versions: dict[str, str]

    def item_feature(self, name: str) -> FeatureSpec:
        """The item feature called `name`.

        Raises:
            DataError: There is no such feature.
        """
        for spec in self.item_features:
            if spec.name == name:
                return spec
        raise DataError(
            "manifest.json",
            f"no item feature is called `{name}`",
            received=", ".join(spec.name for spec in self.item_features) or "no features",
            remedy="Add it to the dataset description and preprocess again",
        )


def schema_fingerprint(
    item_features: tuple[FeatureSpec, ...],
    user_features: tuple[FeatureSpec, ...],
    context_features: tuple[FeatureSpec, ...],
    items: int,
    users: int,
) -> str:
    """Hashes what a trained model depends on: features, vocabulary sizes, catalogue size.

    Returns:
        Sixteen hexadecimal digits, equal on every machine.
    """
    parts: list[Any] = [FORMAT_VERSION, items, users]
    for group in (item_features, user_features, context_features):
        parts.append([spec.model_dump(mode="json", exclude={"missing"}) for spec in group])
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class DataLayout:
    """Paths inside a prepared data directory.

    Args:
        root: The directory, local.

    Example:
        >>> DataLayout("out").vocabulary("genres").as_posix()
        'out/vocabulary/genres.txt'
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @property
    def manifest_path(self) -> Path:
        """`manifest.json`, written last."""
        return self.root / "manifest.json"

    @property
    def statistics_path(self) -> Path:
        """`statistics.json`."""
        return self.root / "statistics.json"

    @property
    def schema_path(self) -> Path:
        """`schema.pbtxt`, a tensorflow-metadata Schema."""
        return self.root / "schema.pbtxt"

    @property
    def rejected(self) -> Path:
        """Folder of refused rows: `<source>.jsonl`, each line source, line, rule, received."""
        return self.root / "rejected"

    def vocabulary(self, name: str) -> Path:
        """The vocabulary of a feature, or `item_id` and `user_id`."""
        return self.root / "vocabulary" / f"{name}.txt"

    def item_shards(self) -> list[Path]:
        """Item record files, in catalogue order."""
        return sorted((self.root / "items").glob("items-*"))

    def timeline_shards(self, split: Split) -> list[Path]:
        """Timeline record files of a split."""
        return sorted((self.root / "timelines").glob(f"{split}-*"))

    def read_manifest(self) -> Manifest:
        """Reads and validates the manifest.

        Raises:
            DataError: The directory holds no finished data.
            CorruptDataError: The manifest is damaged or of another format version.
        """
        try:
            text = self.manifest_path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataError(
                str(self.root),
                "prepared data has a manifest.json",
                received="none there",
                remedy="Run `tfrec preprocess` into it first",
            ) from error
        try:
            content = json.loads(text)
            version = content.get("format_version")
            if version != FORMAT_VERSION:
                raise CorruptDataError(
                    str(self.manifest_path),
                    f"the format version must be {FORMAT_VERSION}",
                    received=version,
                    remedy="Run `tfrec preprocess` again with this version of tfrec",
                )
            return Manifest.model_validate(content)
        except (ValueError, AttributeError, ValidationError) as error:
            raise CorruptDataError(
                str(self.manifest_path),
                "the manifest must be whole",
                received=str(error).splitlines()[0],
                remedy="Run `tfrec preprocess` again",
            ) from error
