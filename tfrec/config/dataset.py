"""Contract 1: the dataset description (`dataset.yaml`).

It names the sources and types each feature. Paths inside are relative to the description's folder,
or to `--data-root`; a path that leaves the root is refused when it is opened.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from tfrec.config.label_rule import LabelRule
from tfrec.config.quality import ColumnRules
from tfrec.config.reduction import ReductionConfig

__all__ = [
    "CommentsConfig",
    "DatasetConfig",
    "FeatureConfig",
    "InteractionsConfig",
    "InteractionsSource",
    "ItemsConfig",
    "LabelRule",
    "Modality",
    "SplitConfig",
    "UsersConfig",
]

Modality = Literal["text", "image", "audio", "video", "categorical", "tags", "numeric", "embedding"]
MEDIA: frozenset[str] = frozenset({"image", "audio", "video"})
ENCODABLE: frozenset[str] = frozenset({"text", "image", "audio", "video"})
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED = frozenset(
    {"item_id", "item_index", "user_id", "user_index", "train_count", "history", "exclude", "k"}
    | {"behaviour", "popularity", "newness", "base"}
)


def _relative(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError("a path is relative and stays below the data root (see `--data-root`)")
    return path


RelativePath = Annotated[str, AfterValidator(_relative)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FeatureConfig(_Frozen):
    """One typed feature of items, users or interactions.

    Attributes:
        modality: What the column holds, which decides how it is validated, encoded and embedded.
        column: The source column; the feature's name unless said. Several columns are joined for
            `text`, in the order given, by ". ".
        path: For media: a path pattern below the data root with `{column}` placeholders, for
            example `images/{item_id}.jpg`. Without it `column` holds the path.
        separator: Between the values of a `tags` cell, or between numbers of an `embedding` cell.
        encoder: Handle of a frozen encoder (`minilm`, a preset's name, a path) that preprocessing
            runs once; `None` trains a small tower on the raw media instead.
        vector_dtype: Of the encoder's vectors in the records: `float32`, `float16` (half the
            size), or `int8` (a quarter; each vector has its own scale).
        max_length: Text: tokens kept (default 128). Tags: values kept (default 32).
        max_vocabulary: Categorical and tags: most frequent values kept.
        min_count: Categorical and tags: values rarer than this in the train part are
            out-of-vocabulary.
        transform: Numeric: applied before `scale`: log(1 + x), or the sine or cosine of the place
            in `period`. A pair of features of one column, one `sin` and one `cos`, tells hours
            (24), weekdays (7) or months (12) without a jump.
        period: Numeric: of `sin` and `cos`.
        scale: Numeric, by the train part's numbers: `zscore` (mean, deviation), `minmax` (to 0 to
            1), `robust` (median, interquartile range), `quantile` (the share of `buckets` equally
            frequent ones that lie below), `none`.
        buckets: Numeric, for `quantile`: how many.
        hash_buckets: Categorical and tags: values become so many hash buckets, without a
            vocabulary.
        oov_buckets: Categorical and tags: values out of the vocabulary share so many indices, by
            hash; one, unless given.
        reduce: Encoded features: PCA, whitening or LDA of the vectors, fitted on the train part.
        size: Image: height and width in pixels after resizing, when there is no encoder.
        sample_rate: Audio: samples per second after resampling; those of its encoder, if any.
        seconds: Audio and video: length kept from the start.
        frames: Video: frames sampled uniformly.
        dimension: Embedding: its width.
    """

    modality: Modality
    column: str | tuple[str, ...] | None = None
    path: RelativePath | None = None
    separator: str = "|"
    encoder: str | None = None
    vector_dtype: Literal["float32", "float16", "int8"] = "float32"
    max_length: int | None = Field(None, ge=1)
    max_vocabulary: int = Field(100_000, ge=1)
    min_count: int = Field(1, ge=1)
    transform: Literal["none", "log1p", "sin", "cos"] = "none"
    scale: Literal["zscore", "minmax", "robust", "quantile", "none"] = "zscore"
    buckets: int = Field(100, ge=2, le=10_000)
    period: float | None = Field(None, gt=0)
    hash_buckets: int | None = Field(None, ge=2, le=100_000_000)
    oov_buckets: int = Field(1, ge=1, le=1_000_000)
    reduce: ReductionConfig | None = None
    size: tuple[int, int] = (64, 64)
    sample_rate: int = Field(16_000, ge=1_000, le=192_000)
    seconds: float = Field(3.0, gt=0, le=600)
    frames: int = Field(8, ge=1, le=256)
    dimension: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _fits_modality(self) -> FeatureConfig:
        if self.path is not None and self.modality not in MEDIA:
            raise ValueError("`path` belongs to image, audio and video features")
        if self.encoder is not None and self.modality not in ENCODABLE:
            raise ValueError("`encoder` belongs to text, image, audio and video features")
        if self.vector_dtype != "float32" and self.encoder is None:
            raise ValueError("`vector_dtype` belongs to features with an `encoder`")
        if self.modality == "embedding" and self.dimension is None:
            raise ValueError("an embedding needs its `dimension`")
        self._check_standardisation()
        if isinstance(self.column, tuple) and self.modality != "text":
            raise ValueError("only a text feature joins several columns")
        if min(self.size) < 8 or max(self.size) > 2048:
            raise ValueError("an image `size` lies between 8 and 2048 pixels")
        return self

    def _check_standardisation(self) -> None:
        if self.modality != "numeric" and (self.scale != "zscore" or self.transform != "none"):
            raise ValueError("`scale` and `transform` belong to numeric features")
        hashed = self.hash_buckets is not None
        if self.modality not in ("categorical", "tags") and (hashed or self.oov_buckets > 1):
            raise ValueError("`hash_buckets` and `oov_buckets` belong to categorical and tags")
        if hashed and self.oov_buckets > 1:
            raise ValueError("with `hash_buckets` there is no vocabulary to be out of")
        if (self.period is not None) != (self.transform in ("sin", "cos")):
            raise ValueError("`period` belongs to `transform: sin` and `transform: cos`")
        if self.reduce is not None and self.encoder is None:
            raise ValueError("`reduce` belongs to features with an `encoder`")

    def columns(self, name: str) -> tuple[str, ...]:
        """The source columns of the feature that is called `name`."""
        if self.column is None:
            return (name,)
        return self.column if isinstance(self.column, tuple) else (self.column,)


def _named(features: dict[str, FeatureConfig]) -> dict[str, FeatureConfig]:
    for name in features:
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise ValueError(
                f"a feature's name is lower case letters, digits and `_`, and not one of"
                f" {', '.join(sorted(_RESERVED))}; got `{name}`"
            )
    return features


Features = Annotated[dict[str, FeatureConfig], AfterValidator(_named)]


def _parse_label(value: Any) -> Any:
    return LabelRule.parse(value) if isinstance(value, str) else value


class InteractionsSource(ColumnRules):
    """Files of behaviour, and what their columns mean.

    Attributes:
        path: File or glob (`.csv`, `.jsonl`, each also `.gz`; `.parquet`, `.tfrecord`).
        user, item, timestamp: Column names; the timestamp is Unix seconds or ISO 8601.
        event: Column with the event's type (view, like, purchase); optional.
        event_type: The type of every row, where no column holds it.
        label: Rule for a positive.
        positive: Without a rule: whether every row is positive, or none.
        weight: Column with a non-negative weight of the row; optional.
        dwell: Column with seconds watched or listened; optional.
    """

    path: RelativePath
    user: str = "user_id"
    item: str = "item_id"
    timestamp: str = "timestamp"
    event: str | None = None
    event_type: str | None = Field(None, min_length=1)
    label: Annotated[LabelRule | None, BeforeValidator(_parse_label)] = None
    positive: bool = True
    weight: str | None = None
    dwell: str | None = None

    @model_validator(mode="after")
    def _one_event(self) -> InteractionsSource:
        if self.event is not None and self.event_type is not None:
            raise ValueError("`event` names a column, `event_type` stands in for one: give one")
        return self


class InteractionsConfig(InteractionsSource):
    """Who did what with which item, when: one kind of file, or several united.

    Attributes:
        also: Further sources, each with its own columns; what one leaves out has its default, not
            the first source's value.
        context: Features known before the recommendation (device, hour); categorical or numeric.
            Every source has their columns.
        duplicates: Exact repeats of (user, item, timestamp, event) are always refused
            (`duplicate_event`). Of other repeats of a user, item and event type within a part,
            `all` keeps all, `first` and `last` keep one (`superseded_event`), and `sum` keeps the
            last with the sum of weights and dwell times (`summed_event`).
        orphans: Events whose item is not in the catalogue: `refuse` counts them against
            `--max-rejected` (`unknown_item`), `drop` doesn't (`orphan_event`).
        since, until: Events before, or at or after, these moments are left out
            (`outside_window`).
        max_events_per_hour: A user with more in any 60 minutes is taken for a bot (`bot_user`):
            all events of the part in which that happens, and of later parts, are left out.
        min_user_events, min_item_events: k-core of the train part: its events of users and items
            with fewer are left out (`below_core`), until none is left. Later parts are untouched:
            nothing fitted may depend on them, and users and items without a past belong there.
    """

    also: tuple[InteractionsSource, ...] = ()
    context: Features = Field(default_factory=dict)
    duplicates: Literal["all", "first", "last", "sum"] = "all"
    orphans: Literal["refuse", "drop"] = "refuse"
    since: int | str | None = None
    until: int | str | None = None
    max_events_per_hour: int | None = Field(None, ge=1)
    min_user_events: int = Field(1, ge=1)
    min_item_events: int = Field(1, ge=1)

    @property
    def united(self) -> tuple[InteractionsSource, ...]:
        """All sources in order, this one first."""
        return (self, *self.also)

    @field_validator("context")
    @classmethod
    def _plain_context(cls, value: dict[str, FeatureConfig]) -> dict[str, FeatureConfig]:
        for name, feature in value.items():
            if feature.modality not in ("categorical", "numeric"):
                raise ValueError(f"context is categorical or numeric; `{name}` is neither")
        return value


class ItemsConfig(ColumnRules):
    """The catalogue: one row an item."""

    path: RelativePath
    id: str = "item_id"
    features: Features = Field(default_factory=dict)

    @model_validator(mode="after")
    def _labelled(self) -> ItemsConfig:
        for name, feature in self.features.items():
            label = feature.reduce.label if feature.reduce else None
            known = self.features.get(label) if label else None
            if label and (known is None or known.modality not in ("categorical", "tags")):
                raise ValueError(
                    f"`reduce` of `{name}` takes its classes from a categorical or tags feature;"
                    f" `{label}` is none"
                )
        return self


class UsersConfig(ColumnRules):
    """User profiles: one row a user; users that only appear in interactions have none."""

    path: RelativePath
    id: str = "user_id"
    features: Features = Field(default_factory=dict)

    @field_validator("features")
    @classmethod
    def _profile(cls, value: dict[str, FeatureConfig]) -> dict[str, FeatureConfig]:
        for name, feature in value.items():
            if feature.modality not in ("categorical", "tags", "numeric", "text"):
                raise ValueError(
                    f"a profile holds categorical, tags, numeric, text; `{name}` is not"
                )
        return value


class CommentsConfig(_Frozen):
    """Comments, reviews or tags: text that joins the item, and its sentiment.

    The item gains a text feature named `comments` (train part only) and the numeric features
    `comments_sentiment` and `comments_count`; an event gains the sentiment of the comment that the
    same user left on the same item before the user's next event.
    """

    path: RelativePath
    user: str = "user_id"
    item: str = "item_id"
    text: str = "text"
    timestamp: str = "timestamp"
    encoder: str | None = None
    max_length: int = Field(64, ge=1)


class SplitConfig(_Frozen):
    """How interactions are divided into train, validation and test.

    Attributes:
        method: `global_time` cuts everyone at the same moments; `per_user_time` cuts each user's
            own timeline; `column` takes a ready-made column.
        column: The column with `train`, `validation`, `test` when the method is `column`.
        validation, test: Fractions of the interactions (global_time) or of each user's
            (per_user_time).
        validation_from, test_from: Cut-off moments instead of fractions, for `global_time`: Unix
            seconds or ISO 8601.
    """

    method: Literal["global_time", "per_user_time", "column"] = "global_time"
    column: str = "split"
    validation: float = Field(0.1, ge=0, lt=1)
    test: float = Field(0.1, ge=0, lt=1)
    validation_from: int | str | None = None
    test_from: int | str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> SplitConfig:
        if self.validation + self.test >= 1:
            raise ValueError("`validation` and `test` leave nothing to train on")
        if (self.validation_from is None) != (self.test_from is None):
            raise ValueError("`validation_from` and `test_from` are given together")
        if self.validation_from is not None and self.method != "global_time":
            raise ValueError("cut-off moments belong to the method `global_time`")
        return self


class DatasetConfig(_Frozen):
    """A whole dataset description; see `configs/datasets/` for files to start from."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    interactions: InteractionsConfig
    items: ItemsConfig
    users: UsersConfig | None = None
    comments: CommentsConfig | None = None
    split: SplitConfig = SplitConfig()
