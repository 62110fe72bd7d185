"""A small service as files, and its prepared records read back by TensorFlow's own parser."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf

from preprocessing.pipeline import preprocess
from tfrec.config import DatasetConfig
from tfrec.schema import DataLayout, Manifest

# One thread: small data is done before a second one has started.
ONE_WORKER = ("--direct_num_workers=1", "--direct_running_mode=in_memory")

Rows = list[tuple[Any, ...]]


@dataclass
class Service:
    """Files of a service that a test changes before it is prepared.

    Each source is a header and rows; `None` leaves it out.
    """

    folder: Path
    items: Rows = field(default_factory=list)
    interactions: Rows = field(default_factory=list)
    users: Rows | None = None
    comments: Rows | None = None
    item_header: Sequence[str] = ("item_id", "title", "genres", "year")
    interaction_header: Sequence[str] = ("user_id", "item_id", "timestamp", "rating")
    description: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_three_users(cls, folder: Path) -> Service:
        """Three users, four items, ten events a second apart; `d` has none in the train part."""
        items = [
            ("a", "Apple pie", "food|sweet", 1990),
            ("b", "Bread", "food", 2000),
            ("c", "Cider", "drink|sweet", 2010),
            ("d", "Dust", "", ""),
        ]
        events = [
            ("u1", "a", 100, 5),
            ("u2", "b", 101, 4),
            ("u1", "b", 102, 2),
            ("u3", "c", 103, 5),
            ("u1", "c", 104, 4),
            ("u2", "a", 105, 1),
            ("u2", "c", 106, 5),
            ("u1", "a", 107, 3),
            ("u1", "d", 108, 5),
            ("u2", "d", 109, 4),
        ]
        return cls(folder, items, events)

    @property
    def content(self) -> dict[str, Any]:
        """The description as a mapping."""
        content: dict[str, Any] = {
            "name": "test",
            "interactions": {"path": "interactions.csv", "label": "rating >= 4"},
            "items": {
                "path": "items.csv",
                "features": {
                    "title": {"modality": "text"},
                    "genres": {"modality": "tags"},
                    "year": {"modality": "numeric"},
                },
            },
            "split": {"method": "global_time", "validation": 0.2, "test": 0.2},
        }
        if self.users is not None:
            content["users"] = {
                "path": "users.csv",
                "features": {"country": {"modality": "categorical"}},
            }
        if self.comments is not None:
            content["comments"] = {"path": "comments.csv"}
        return merged(content, self.description)

    def write(self) -> DatasetConfig:
        """Writes the files, and gives the description."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_csv(self.folder / "items.csv", self.item_header, self.items)
        write_csv(self.folder / "interactions.csv", self.interaction_header, self.interactions)
        if self.users is not None:
            write_csv(self.folder / "users.csv", ("user_id", "country"), self.users)
        if self.comments is not None:
            header = ("user_id", "item_id", "text", "timestamp")
            write_csv(self.folder / "comments.csv", header, self.comments)
        return DatasetConfig.model_validate(self.content)

    def prepare(self, out: Path, **options: Any) -> Manifest:
        """Writes the files and prepares them."""
        config = self.write()
        return prepare(config, out, self.folder, **options)


def prepare(config: DatasetConfig, out: Path, root: Path, **options: Any) -> Manifest:
    """`preprocess` on one thread, refusing nothing but what a test asks for."""
    options = {"beam_options": ONE_WORKER, "max_rejected": 1.0} | options
    return preprocess(config, out, root, **options)


def merged(content: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A nested mapping with some values replaced."""
    result = dict(content)
    for key, value in change.items():
        old = result.get(key)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        result[key] = merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)


def records(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Records of TFRecord files: each feature a list, by TensorFlow's parser."""
    found = []
    for path in paths:
        # A dataset takes 20 ms to build, and hundreds are read; both check the checksums.
        for raw in tf.compat.v1.io.tf_record_iterator(str(path)):
            example = tf.train.Example.FromString(raw)
            found.append(
                {
                    name: list(getattr(value, value.WhichOneof("kind")).value)
                    for name, value in example.features.feature.items()
                }
            )
    return found


def items_of(out: Path) -> dict[str, dict[str, Any]]:
    """Item records by id, in catalogue order."""
    found = records(DataLayout(out).item_shards())
    return {record["item_id"][0].decode(): record for record in found}


def timelines_of(out: Path, split: Any) -> dict[str, dict[str, Any]]:
    """Timeline records of a split by user."""
    found = records(DataLayout(out).timeline_shards(split))
    return {record["user_id"][0].decode(): record for record in found}


def rejected_of(out: Path, source: str) -> list[dict[str, Any]]:
    """Refused rows of a source."""
    path = DataLayout(out).rejected / f"{source}.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rules_of(out: Path, source: str) -> list[tuple[int, str]]:
    """Line and rule of each refused row."""
    return sorted((row["line"], row["rule"]) for row in rejected_of(out, source))
