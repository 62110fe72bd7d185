"""`tfrec catalog`: a new version of a model with another catalogue and the same towers.

base version ─▶ embed what is new ─▶ rewrite variables ─▶ prove beside the base ─▶ publish
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path

import numpy as np
import tensorflow as tf

from preprocessing.raw_items import RawItems, read_raw_items
from tfrec.catalog.catalogue import PARKED_FILE, Catalogue, Edit
from tfrec.catalog.columns import ItemChange
from tfrec.catalog.embedding import TEXT_ROWS, Embedded, embed, journal_of
from tfrec.catalog.proving import prove_change
from tfrec.catalog.texts import text_vectors
from tfrec.config import FeatureConfig
from tfrec.errors import DataError, ExportError
from tfrec.export.catalogue_file import CATALOGUE_FILE, CatalogueFile
from tfrec.export.item_texts import TITLE, title_config
from tfrec.export.publish import list_versions, publishing
from tfrec.export.session import ServedModel
from tfrec.media import normalize_text
from tfrec.published import MANIFEST_FILE, SIGNATURE_FILE, check_manifest

__all__ = ["CatalogueChange", "add_items", "remove_items", "update_items"]

Say = Callable[[str], None]
# Made anew for each version: everything else is the base's.
_OWN = {
    "variables",
    "fingerprint.pb",
    CATALOGUE_FILE.name,
    PARKED_FILE.name,
    MANIFEST_FILE.name,
    SIGNATURE_FILE.name,
}
_CARD = "model_card.md"
# Refused rows that are told one by one.
_TOLD = 10
_HEADING = "## Catalogue"


@dataclass(frozen=True)
class CatalogueChange:
    """What was published.

    Attributes:
        path: The version; none when there was nothing to change.
        base: The version it was made from.
        added, removed, updated: Items.
        encoded: Items whose vectors were computed; the rest an interrupted run had left.
        unchanged: Items that were there, or weren't, already.
        refused: Rows and media files by rule.
        refused_rows: The first of them, each a JSON object of file, line, rule and what was there.
        items: How many can be found afterwards.
        largest_difference: Of a kept item's score from what it was.
    """

    path: Path | None
    base: int
    added: int = 0
    removed: int = 0
    updated: int = 0
    encoded: int = 0
    unchanged: int = 0
    refused: Mapping[str, int] | None = None
    refused_rows: tuple[str, ...] = ()
    items: int = 0
    largest_difference: float = 0.0


def add_items(
    model: Path,
    files: Sequence[Path],
    *,
    base: int | None = None,
    key: bytes | None = None,
    root: Path | None = None,
    replace: bool = False,
    say: Say = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> CatalogueChange:
    """Embeds items by their content and publishes a version that finds them.

    Args:
        model: `MODELS/NAME`.
        files: Raw items, as the dataset's description has them.
        base: The version to start from; the latest unless given.
        key: Signs the manifest of its files.
        root: What media paths are relative to.
        replace: Embeds items that are there anew; one that was trained loses what its behaviour
            taught. They are left alone otherwise.
        say: Takes a line on each step.
        progress: Takes how many items are embedded, and of how many.

    Raises:
        DataError: No row can be embedded.
        ExportError: The version can't be changed, or the changed one fails its proof.
    """
    number, catalogue = _open(model, base)
    file = catalogue.file
    raw = read_raw_items(files, file.id_column, {**file.features, **_title(file)}, root)
    there = np.array([catalogue.holds(item) for item in raw.ids], bool)
    rows = np.arange(len(raw.ids)) if replace else np.flatnonzero(~there)
    journal = journal_of(model, file)
    found = embed(catalogue.version, file, raw, rows, journal, progress)
    for row in sorted({*rows.tolist()} - {*found.rows.tolist()}):
        raw.refusals.add(str(files[0]), 0, "no_content", raw.ids[row], file.id_column)
    if len(rows) and not len(found.rows):
        raise DataError(
            str(files[0]),
            "a new item has at least one of the features " + ", ".join(file.embedded),
            received=f"{len(rows)} items without any",
            remedy="Give their columns the names that the dataset's description has",
        )
    said = _said(file, raw, found.rows)
    for place, row in enumerate(found.rows):
        change = said[raw.ids[row]]
        if found.parts is not None:
            change = replaced(change, parts=found.parts[place])
        if found.texts is not None:
            change = replaced(change, texts=dict(enumerate(found.texts[place])))
        said[raw.ids[row]] = change
    vectors = {raw.ids[row]: vec for row, vec in zip(found.rows, found.vectors, strict=True)}
    parked = frozenset[str]()
    if raw.available is not None:
        parked = frozenset(raw.ids[row] for row in found.rows if not raw.available[row])
    edit = Edit(vectors, parked=parked, columns=said)
    done = _publish(model, number, catalogue, edit, found, raw, say, key)
    shutil.rmtree(journal, ignore_errors=True)
    return done


def remove_items(
    model: Path,
    files: Sequence[Path],
    *,
    base: int | None = None,
    key: bytes | None = None,
    say: Say = lambda line: None,
) -> CatalogueChange:
    """Publishes a version that never returns some items.

    Args:
        model: `MODELS/NAME`.
        files: Items, of which only the ids are read.
        base: The version to start from; the latest unless given.
        key: Signs the manifest of its files.
        say: Takes a line on each step.

    Raises:
        ExportError: Nothing would be left, or the version can't be changed.
    """
    number, catalogue = _open(model, base)
    raw = read_raw_items(files, catalogue.file.id_column, {})
    going = frozenset(item for item in raw.ids if catalogue.holds(item))
    return _publish(model, number, catalogue, Edit(removed=going), None, raw, say, key)


def update_items(
    model: Path,
    files: Sequence[Path],
    *,
    base: int | None = None,
    key: bytes | None = None,
    say: Say = lambda line: None,
) -> CatalogueChange:
    """Publishes a version with other metadata; nothing but a title that `search` knows is encoded.

    Columns of the file that hold labels, numbers or titles are taken over, an empty cell as
    missing; items are found by their new titles at once. `available` takes items out of all
    answers, or back in with the vectors they had.

    Args:
        model: `MODELS/NAME`.
        files: Items with the columns that changed.
        base: The version to start from; the latest unless given.
        key: Signs the manifest of its files.
        say: Takes a line on each step.

    Raises:
        DataError: The file has none of these columns.
        ExportError: The version can't be changed.
    """
    number, catalogue = _open(model, base)
    file = catalogue.file
    named = {*file.labels, *file.numbers}
    features = {name: config for name, config in file.features.items() if name in named}
    features |= _title(file)
    raw = read_raw_items(files, file.id_column, features)
    if not raw.features and raw.available is None:
        titles = [config.columns(TITLE)[0] for config in _title(file).values()]
        columns = [*sorted({*named, *titles}), "available"]
        raise DataError(
            str(files[0]),
            "an update has at least one of the columns " + ", ".join(columns),
            received="none of them",
            remedy="Other content is embedded: `tfrec catalog add --replace`",
        )
    rows = np.array([row for row, item in enumerate(raw.ids) if catalogue.holds(item)], np.int64)
    parked, unparked = frozenset[str](), frozenset[str]()
    if raw.available is not None:
        parked = frozenset(raw.ids[row] for row in rows if not raw.available[row])
        parked -= catalogue.parked.keys()
        unparked = frozenset(raw.ids[row] for row in rows if raw.available[row])
        unparked &= catalogue.parked.keys()
    said = _said(file, raw, rows)
    if file.texts and TITLE in raw.features:
        place = file.texts.index(TITLE)
        with ServedModel(catalogue.version) as served:
            for part, cells in raw.batches(rows, TEXT_ROWS):
                vectors = text_vectors(served, [TITLE], cells, len(part))[:, 0]
                for row, vector in zip(part, vectors, strict=True):
                    said[raw.ids[row]] = replaced(said[raw.ids[row]], texts={place: vector})
    edit = Edit(parked=parked, unparked=unparked, columns=said)
    return _publish(model, number, catalogue, edit, None, raw, say, key)


def _open(model: Path, base: int | None) -> tuple[int, Catalogue]:
    versions = list_versions(model)
    number = base if base is not None else (versions[-1] if versions else None)
    if number is None or number not in versions:
        raise ExportError(
            str(model),
            "a catalogue is changed in a published version",
            received="none" if number is None else f"no version {number}",
            remedy="Run `tfrec export RUN MODELS/NAME` first"
            + (f"; published: {', '.join(map(str, versions))}" if versions else ""),
        )
    # What was damaged since it was published isn't carried on.
    check_manifest(model / str(number), number)
    return number, Catalogue(model / str(number))


def _title(file: CatalogueFile) -> dict[str, FeatureConfig]:
    """The title's column as a feature of raw files, if there is one."""
    config = title_config(file.features, file.title)
    return {} if config is None else {TITLE: config}


def _said(file: CatalogueFile, raw: RawItems, rows: np.ndarray) -> dict[str, ItemChange]:
    """What a file says of items beside their vectors."""
    wanted = [name for name in raw.features if name in (*file.labels, *file.numbers, TITLE)]
    cells = {name: raw.table.column(name).to_pylist() for name in wanted}
    said = {}
    for row in rows.tolist():
        numbers, labels, title = {}, {}, None
        for name in wanted:
            cell = cells[name][row]
            if name in file.numbers:
                numbers[name] = float("nan") if cell is None else float(cell)
            elif name in file.labels:
                values = [cell] if isinstance(cell, str) else (cell or [])
                normal = normalize_text(tf.constant(values, tf.string, [len(values)])).numpy()
                labels[name] = [value for value in normal.tolist() if value]
            elif name == TITLE:
                title = cell or ""
        said[raw.ids[row]] = ItemChange(numbers, labels, title)
    return said


def _publish(
    model: Path,
    base: int,
    catalogue: Catalogue,
    edit: Edit,
    found: Embedded | None,
    raw: RawItems,
    say: Say,
    key: bytes | None,
) -> CatalogueChange:
    touched = {*edit.vectors, *edit.removed, *edit.parked, *edit.unparked, *edit.columns}
    refused, rows = dict(raw.refusals.rules), tuple(raw.refusals.lines[:_TOLD])
    unchanged = len(raw.ids) - len(touched)
    if not touched:
        return CatalogueChange(
            None,
            base,
            unchanged=unchanged,
            items=int(catalogue.live.sum()),
            refused=refused,
            refused_rows=rows,
        )
    with publishing(model, key=key) as (number, folder):
        _copy(catalogue.version, folder)
        catalogue.write(folder, edit, base)
        say("variables written; proving them beside the version before")
        difference = prove_change(catalogue, folder, edit)
        items = int(Catalogue(folder).live.sum())
        done = CatalogueChange(
            model / str(number),
            base,
            added=len(edit.vectors),
            removed=len(edit.removed),
            updated=len(touched - edit.vectors.keys() - edit.removed),
            encoded=found.encoded if found else 0,
            unchanged=unchanged,
            items=items,
            largest_difference=difference,
            refused=refused,
            refused_rows=rows,
        )
        _write_card(folder, done)
    return done


def _copy(version: Path, folder: Path) -> None:
    """The base's graph, vocabularies, warm-up requests and card."""

    def own(_: str, names: list[str]) -> set[str]:
        return _OWN & set(names)

    shutil.copytree(version, folder, ignore=own, dirs_exist_ok=True)


def _write_card(folder: Path, done: CatalogueChange) -> None:
    path = folder / _CARD
    text = path.read_text(encoding="utf-8") if path.is_file() else f"# {folder.parent.name}\n"
    text = text.partition(f"\n{_HEADING}\n")[0].rstrip()
    lines = f"""

{_HEADING}

{done.items:,} items. Made from version {done.base} without training: {done.added:,} items added,
{done.removed:,} removed, {done.updated:,} with other metadata. Kept items score as before, to
{done.largest_difference:.0e}. Figures above are of the catalogue that the run was trained with.
"""
    path.write_text(text + lines, encoding="utf-8")
