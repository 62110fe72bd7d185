"""Draft a dataset description from files: `tfrec infer`. A person reads and corrects it.

files and folders ─ group those with equal columns ─ guess each table ─ look for media by id
  ─▶ dataset.yaml, each guess with its reason as a comment
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from preprocessing.cells import as_identifier
from preprocessing.guessing import MEDIA_SUFFIXES, Column, Table, guess_table
from preprocessing.paths import SUFFIXES, DataRoot, SourceFile
from preprocessing.ranges import file_columns
from preprocessing.sampling import sample_rows
from tfrec.config import DatasetConfig
from tfrec.config.loading import validate
from tfrec.errors import DescriptionError

__all__ = ["draft_description"]

_POSITIVE = re.compile(
    r"(click|like|love|buy|purchase|order|share|save|play|watch|complete|cart)", re.I
)
_MOST_FILES = 100_000
_SOME = 200


def draft_description(sources: Sequence[Path], root: Path | None, name: str | None) -> str:
    """Drafts a description.

    Args:
        sources: Files and folders.
        root: What paths are to be relative to; what all sources share unless given.
        name: The data set's; the root's unless given.

    Returns:
        YAML that loads, with comments.

    Raises:
        DescriptionError: A source doesn't exist, or nothing in them looks like behaviour and a
            catalogue.
        DataError: A file is damaged.
    """
    for source in sources:
        if not source.exists():
            raise DescriptionError(
                str(source), "a source must exist", received="no such file", remedy="Check the path"
            )
    base = root or Path(os.path.commonpath([s.resolve() for s in sources]))
    base = base.parent if base.is_file() else base
    files, media = _walk(sources, base)
    tables, samples = _guess_tables(DataRoot(base), files)
    behaviour = [table for table in tables if table.kind == "interactions"]
    items = [table for table in tables if table.kind == "items"]
    if not behaviour or not items:
        told = "; ".join(f"{t.pattern}: {t.kind} ({t.reason})" for t in tables) or "no table at all"
        lacking = "behaviour" if not behaviour else "a catalogue"
        raise DescriptionError(
            ", ".join(map(str, sources)),
            f"the sources hold {lacking}: "
            + (
                "rows with a user, an item and a moment"
                if not behaviour
                else "one row an item with an id"
            ),
            received=told,
            remedy="Name the missing file, or write the description by hand: see docs/guide.md",
        )
    patterns = _media_patterns(media, items[0], samples[items[0].pattern])
    chosen = name or re.sub(r"[^A-Za-z0-9._-]+", "-", base.resolve().name).strip("-._") or "data"
    text = "\n".join(_lines(chosen, tables, patterns)) + "\n"
    validate(yaml.safe_load(text), DatasetConfig, where="the draft")
    return text


def _walk(sources: Sequence[Path], base: Path) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Tables below the sources, and folders and tars with media: (prefix, names)."""
    tables: list[str] = []
    media: dict[str, list[str]] = {}
    seen = 0
    for source in sources:
        walked = os.walk(source) if source.is_dir() else [(str(source.parent), [], [source.name])]
        for folder, _, names in walked:
            seen += len(names)
            if seen > _MOST_FILES:
                break
            prefix = PurePosixPath(os.path.relpath(os.path.abspath(folder), base.resolve()))
            for name in sorted(names):
                relative = str(prefix / name)
                if name.startswith("."):
                    continue
                if name.lower().endswith(tuple(SUFFIXES)):
                    tables.append(relative)
                elif PurePosixPath(name).suffix.lower() in MEDIA_SUFFIXES:
                    media.setdefault(str(prefix), []).append(name)
                elif name.lower().endswith(".tar"):
                    for inside, members in _members(Path(folder) / name):
                        media.setdefault(str(PurePosixPath(relative) / inside), []).extend(members)
    return tables, sorted(media.items())


def _members(tar: Path) -> Iterator[tuple[str, list[str]]]:
    folders: dict[str, list[str]] = {}
    try:
        with tarfile.open(tar, "r:") as archive:
            for member, _ in zip(archive, range(_MOST_FILES), strict=False):
                path = PurePosixPath(member.name)
                if member.isreg() and path.suffix.lower() in MEDIA_SUFFIXES:
                    folders.setdefault(str(path.parent), []).append(path.name)
    except (tarfile.TarError, OSError):
        return
    yield from folders.items()


def _guess_tables(
    root: DataRoot, files: Sequence[str]
) -> tuple[list[Table], dict[str, dict[str, Any]]]:
    """One table for each group of files with equal columns in one folder."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[SourceFile]] = {}
    for relative in files:
        (file,) = root.sources(_escaped(relative), "source")
        columns, _ = file_columns(file)
        suffix = next(s for s in sorted(SUFFIXES, key=len)[::-1] if relative.lower().endswith(s))
        folder = str(PurePosixPath(relative).parent)
        groups.setdefault((folder, suffix, columns), []).append(file)
    shared = {(f, s): sum(k[:2] == (f, s) for k in groups) for f, s, _ in groups}
    tables, samples = [], {}
    for (folder, suffix, columns), group in groups.items():
        # A glob only where it would catch nothing else.
        if len(group) > 1 and shared[folder, suffix] == 1:
            found = [(str(PurePosixPath(folder) / f"*{suffix}"), group[0])]
        else:
            found = [(file.name, file) for file in group]
        for pattern, file in found:
            rows = sample_rows(file, columns)
            samples[pattern] = rows.columns
            tables.append(guess_table(pattern, rows.columns))
    return tables, samples


def _escaped(path: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", path)


def _media_patterns(
    media: Sequence[tuple[str, list[str]]], items: Table, sample: dict[str, Any]
) -> list[tuple[str, str, str]]:
    """(feature, modality, pattern) of folders whose files are named by the items' ids."""
    assert items.item is not None
    ids = set(as_identifier(sample[items.item].slice(0, _SOME))[0].to_pylist())
    found: dict[str, tuple[str, str, str]] = {}
    for prefix, names in media:
        by_suffix: dict[str, int] = {}
        for name in names:
            path = PurePosixPath(name)
            if path.stem in ids:
                by_suffix[path.suffix] = by_suffix.get(path.suffix, 0) + 1
        if not by_suffix:
            continue
        suffix = max(by_suffix, key=lambda s: by_suffix[s])
        modality = MEDIA_SUFFIXES[suffix.lower()]
        folder = "" if prefix == "." else f"{prefix}/"
        feature = modality
        while feature in found:
            feature += "_more"
        found[feature] = (feature, modality, f"{folder}{{{items.item}}}{suffix}")
    return list(found.values())


def _lines(
    name: str, tables: Sequence[Table], patterns: Sequence[tuple[str, str, str]]
) -> Iterator[str]:
    by_kind: dict[str, list[Table]] = {}
    for table in tables:
        by_kind.setdefault(table.kind, []).append(table)
    yield "# A draft by `tfrec infer`, from the first rows of each file. Read every line: what"
    yield "# stands after # says why it was guessed. docs/guide.md explains the keys."
    yield f"name: {_scalar(name)}"
    yield ""
    first, *others = by_kind["interactions"]
    # Files of other folders are often parts or copies of the first: no row is to count twice.
    folder = PurePosixPath(first.pattern).parent
    more = [table for table in others if PurePosixPath(table.pattern).parent == folder]
    yield f"interactions: # {first.reason}"
    yield from _behaviour(first, "  ")
    context = [c for c in first.columns if _is_context(first, c)]
    if context:
        yield "  # context: # only what is known before recommending; take the # away where it is"
        for column in context:
            yield f"  #   {_feature(_key(column.name), column)}"
    if more:
        yield "  also:"
        for table in more:
            lines = list(_behaviour(table, "      "))
            yield f"    - {lines[0].strip()} # {table.reason}"
            yield from lines[1:]
    yield ""
    yield from _entity("items", by_kind["items"][0], patterns)
    if "users" in by_kind:
        yield ""
        yield from _entity("users", by_kind["users"][0], ())
    if "comments" in by_kind:
        table = by_kind["comments"][0]
        assert table.said is not None
        yield ""
        yield f"comments: # {table.reason}; their sentiment becomes features"
        yield f"  path: {_scalar(table.pattern)}"
        for key, column_name in (
            ("user", table.user),
            ("item", table.item),
            ("text", table.said.name),
            ("timestamp", table.time),
        ):
            yield f"  {key}: {_scalar(column_name)}"
        yield "  # encoder: minilm # sentence vectors of what is said about an item"
    yield ""
    yield "split: # everyone is cut at the same moments, as a service would meet it"
    yield "  method: global_time"
    yield "  validation: 0.1"
    yield "  test: 0.1"
    for table in others:
        if table not in more:
            yield f"# not used: {table.pattern} also looks like behaviour; add it to"
            yield "# `interactions.also` unless its rows are in the first file already"
    for kind in ("items", "users", "comments"):
        for table in by_kind.get(kind, [])[1:]:
            yield f"# not used: {table.pattern} also looks like {kind}: {table.reason}"
    for table in by_kind.get("unknown", []):
        yield f"# not used: {table.pattern}: {table.reason}"


def _behaviour(table: Table, indent: str) -> Iterator[str]:
    yield f"{indent}path: {_scalar(table.pattern)}"
    yield f"{indent}user: {_scalar(table.user)}"
    yield f"{indent}item: {_scalar(table.item)}"
    yield f"{indent}timestamp: {_scalar(table.time)}"
    event, rating = table.event, table.rating
    if event is not None:
        yield f"{indent}event: {_scalar(event.name)} # {event.reason}"
        good = [value for value in event.values if _POSITIVE.search(str(value))]
        if good and len(good) < event.different:
            rule = f"{event.name} in {', '.join(good)}"
            yield f"{indent}label: {_scalar(rule)} # of {', '.join(map(str, event.values))}"
    elif rating is not None and rating.modality == "numeric":
        low, high = rating.values
        bound = low + 0.75 * (high - low)
        bound = round(bound) if high - low >= 4 else round(bound, 2)
        rule = f"{rating.name} >= {bound:g}"
        yield f"{indent}label: {_scalar(rule)} # {rating.reason}; lower ones are negatives"
    if table.dwell is not None:
        yield f"{indent}dwell: {_scalar(table.dwell.name)} # seconds? {table.dwell.reason}"
    if table.weight is not None:
        yield f"{indent}# weight: {_scalar(table.weight.name)} # {table.weight.reason}"


def _is_context(table: Table, column: Column) -> bool:
    used = {table.user, table.item, table.time}
    used |= {c.name for c in (table.event, table.rating, table.dwell, table.weight) if c}
    return column.name not in used and column.modality in ("categorical", "numeric")


def _entity(kind: str, table: Table, patterns: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    key = table.item if kind == "items" else table.user
    yield f"{kind}: # {table.reason}"
    yield f"  path: {_scalar(table.pattern)}"
    yield f"  id: {_scalar(key)}"
    allowed = {"categorical", "tags", "numeric", "text"}
    if kind == "items":
        allowed |= {"embedding", "image", "audio", "video"}
    lines, left_out, taken = [], [], set()
    for column in table.columns:
        if column.name == key:
            continue
        if column.modality not in allowed:
            left_out.append(f"  # left out: `{column.name}` is {column.modality}: {column.reason}")
            continue
        feature = _key(column.name)
        while feature in taken:
            feature += "_more"
        taken.add(feature)
        lines.append(f"    {_feature(feature, column)}")
    for feature, modality, pattern in patterns:
        while feature in taken:
            feature += "_file"
        taken.add(feature)
        given = f"{{modality: {modality}, path: {json.dumps(pattern)}}}"
        lines.append(f"    {feature}: {given} # files are named by `{key}`")
    if lines:
        yield "  features:"
        yield from lines
    yield from left_out


def _feature(key: str, column: Column) -> str:
    parts = [f"modality: {column.modality}"]
    if key != column.name:
        parts.append(f"column: {json.dumps(column.name, ensure_ascii=False)}")
    if column.separator is not None:
        parts.append(f"separator: {json.dumps(column.separator)}")
    if column.dimension is not None:
        parts.append(f"dimension: {column.dimension}")
    shown = f", such as {', '.join(map(str, column.values[:3]))}" if column.modality in (
        "categorical", "tags") and column.values else ""  # fmt: skip
    more = "; add `encoder: minilm` for sentence vectors" if column.modality == "text" else ""
    reason = " ".join(f"{column.reason}{shown}{more}".split())
    return f"{key}: {{{', '.join(parts)}}} # {reason}"


def _key(name: str) -> str:
    """A feature's name: lower case letters, digits and `_`, none that records have already."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    key = re.sub(r"[^a-z0-9]+", "_", spaced).strip("_") or "feature"
    if not key[0].isalpha():
        key = f"f_{key}"
    reserved = {
        "item_id", "item_index", "user_id", "user_index", "train_count", "history", "exclude", "k",
        "train_last", "train_weight", "timestamp", "event", "label", "weight", "dwell", "sentiment",
        "comments", "comments_sentiment", "comments_count",
    }  # fmt: skip
    return f"my_{key}" if key in reserved else key


def _scalar(value: str | None) -> str:
    """A YAML scalar, quoted where it needs to be."""
    assert value is not None
    plain = re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./ -]*", value) and yaml.safe_load(value) == value
    return value if plain else json.dumps(value, ensure_ascii=False)
