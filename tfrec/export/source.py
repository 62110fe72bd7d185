"""What an export is built from, apart from where it was trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.errors import ExportError
from tfrec.model.parts import QueryParts
from tfrec.schema import FeatureSpec

__all__ = ["Explanation", "ItemColumns", "ItemTexts", "ServingSource", "UserRecords"]

Tower = Callable[..., tf.Tensor]


@dataclass(frozen=True)
class UserRecords:
    """What is known of each user.

    Attributes:
        ids: object [U] of str.
        offsets: int64 [U + 1]: the events of user u are those from `offsets[u]` on.
        item_index: int32 [E], by user, then in time order.
        age: float32 [E], days before the query that the stored history answers.
        event: int32 [E].
        seen_offsets: int64 [U + 1]; seen: int32 [S]: items never to be recommended again.
        profile: Prepared form of each profile feature, [U, …], and NAME/present, bool [U].
    """

    ids: np.ndarray
    offsets: np.ndarray
    item_index: np.ndarray
    age: np.ndarray
    event: np.ndarray
    seen_offsets: np.ndarray
    seen: np.ndarray
    profile: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class ItemColumns:
    """What is known of items beside their vectors: for conditions, and for words to people.

    Attributes:
        titles: object [N] of str, "" for none.
        labels: int32 [N] (categories) or [N, t] (tags) by feature: places in `values`, negative for
            none.
        values: Values of each feature of `labels`.
        numbers: float32 [N] by feature, as in the raw data; NaN is missing.
    """

    titles: np.ndarray
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """What vectors are sums of; see `tfrec.model.parts`.

    Attributes:
        names: Parts of an item's vector; `base` is the last.
        item_parts: float32 [N, parts, D] of the catalogue.
        parts_of_items: From inputs of the item tower to float32 [b, parts, D].
        parts_of_queries: From inputs of the query tower.
    """

    names: tuple[str, ...]
    item_parts: np.ndarray
    parts_of_items: Callable[[dict[str, Any]], tf.Tensor]
    parts_of_queries: Callable[[dict[str, Any]], QueryParts]


@dataclass(frozen=True)
class ItemTexts:
    """What items are found by in `search`.

    Attributes:
        feature: The text feature whose frozen encoder reads queries.
        names: The texts of an item, the title first; see `tfrec.export.item_texts`.
        vectors: float32 [N, texts, E] of length 1, of that encoder; zeros for a missing text.
    """

    feature: str
    names: tuple[str, ...]
    vectors: np.ndarray


@dataclass(frozen=True)
class ServingSource:
    """A trained model with everything that its served graph needs.

    Attributes:
        name: Name of the model, for the card.
        query_tower, item_tower: As docs/design.md describes them; Keras layers.
        item_ids: object [N] of str.
        item_vectors: float32 [N, D], `item_tower` of the whole catalogue.
        users: Known users.
        item_features, profile_features, context_features: What the towers read.
        vocabularies: Lines of each vocabulary, by feature name; context features by
            `context/NAME`.
        encoders: Frozen encoders, by the names of features that have `encoded_dim`.
        history_length: Most recent events that the query tower reads.
        default_event: Event type that a request's history is taken to hold.
        item_samples: Prepared form (before any encoder) of some items' features, and NAME/present:
            what warm-up requests for `embed_item` are made from.
        columns: Of the catalogue; without them nothing can be filtered.
        explanation: Without it nothing is explained.
        texts: Without them there is no `search`.
    """

    name: str
    query_tower: Tower
    item_tower: Tower
    item_ids: np.ndarray
    item_vectors: np.ndarray
    users: UserRecords
    item_features: tuple[FeatureSpec, ...] = ()
    profile_features: tuple[FeatureSpec, ...] = ()
    context_features: tuple[FeatureSpec, ...] = ()
    vocabularies: Mapping[str, Any] = field(default_factory=dict)
    encoders: Mapping[str, Any] = field(default_factory=dict)
    history_length: int = 50
    default_event: int = 0
    item_samples: Mapping[str, np.ndarray] = field(default_factory=dict)
    columns: ItemColumns | None = None
    explanation: Explanation | None = None
    texts: ItemTexts | None = None

    def __post_init__(self) -> None:
        if len(self.item_ids) != len(self.item_vectors) or not len(self.item_ids):
            raise ExportError(
                self.name,
                "a catalogue has at least one item, and a vector for each",
                received=f"{len(self.item_ids)} ids, {len(self.item_vectors)} vectors",
                remedy="Train again",
            )
        broken = np.flatnonzero(~np.isfinite(self.item_vectors).all(1))
        if len(broken):
            raise ExportError(
                self.name,
                "an item's vector holds finite numbers only",
                received=f"{len(broken)} items with NaN or infinity, as {self.item_ids[broken[0]]}",
                remedy="Lower the learning rate or set `optimizer.clip_norm`, and train again",
            )
