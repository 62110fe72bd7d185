"""`assets.extra/catalogue.json`: what `tfrec catalog` has to know of an export beside its graph."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tfrec.config import FeatureConfig
from tfrec.errors import ExportError
from tfrec.export.source import ServingSource
from tfrec.index import Index

__all__ = ["CATALOGUE_FILE", "CatalogueFile"]

CATALOGUE_FILE = Path("assets.extra") / "catalogue.json"


class CatalogueFile(BaseModel):
    """What an export's catalogue is made of.

    Attributes:
        towers: Names the trained towers: equal in all versions that share them.
        trained: Items that the towers were trained with; they stand first, and keep their places.
        index: Kind of index.
        error: Greatest distance of a kept vector from the one that was given.
        id_column: Column of raw files with the id.
        features: Of raw files: what `embed_item` and the columns of items are read from.
        embedded: Those of them that `embed_item` takes, in order.
        labels: Features with labels to filter by, and how many values each has.
        numbers: Features with numbers to filter by.
        title: The text that an item is called by.
        texts: What `search` finds an item by; see `tfrec.export.item_texts`.
        base: The version that this one was made from; none for an export of a run.
        added: Ids of items that came after training are so many.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    towers: str
    trained: int
    index: str
    error: float = 0.0
    id_column: str = "item_id"
    features: dict[str, FeatureConfig] = {}
    embedded: tuple[str, ...] = ()
    labels: dict[str, int] = {}
    numbers: tuple[str, ...] = ()
    title: str | None = None
    texts: tuple[str, ...] = ()
    base: int | None = None
    added: int = 0

    @classmethod
    def of(
        cls,
        source: ServingSource,
        index: Index,
        *,
        id_column: str = "item_id",
        features: Mapping[str, FeatureConfig] | None = None,
        title: str | None = None,
    ) -> CatalogueFile:
        """Of a graph that is about to be written.

        Args:
            source: What it is built from.
            index: Finds its items.
            id_column: Column of raw files with the id.
            features: Item features of the data, those of the towers unless given.
            title: The text that an item is called by.
        """
        own = {spec.name: spec.config for spec in source.item_features}
        columns = source.columns
        return cls(
            towers=secrets.token_hex(16),
            trained=len(source.item_ids),
            index=index.kind,
            error=index.error,
            id_column=id_column,
            features={**own, **(features or {})},
            embedded=tuple(own),
            labels={} if columns is None else {n: len(v) for n, v in columns.values.items()},
            numbers=() if columns is None else tuple(columns.numbers),
            title=title,
            texts=() if source.texts is None else source.texts.names,
        )

    @classmethod
    def read(cls, version: Path) -> CatalogueFile:
        """Of a version.

        Raises:
            ExportError: It has none, or a damaged one.
        """
        path = version / CATALOGUE_FILE
        try:
            return cls.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, ValidationError) as error:
            raise ExportError(
                str(path),
                "a version whose catalogue changes was exported by this version of tfrec",
                received=str(error).splitlines()[0],
                remedy="Export the run again",
            ) from error

    def write(self, version: Path) -> None:
        """Writes it into a version's folder."""
        path = version / CATALOGUE_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
