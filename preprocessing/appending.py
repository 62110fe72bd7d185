"""`tfrec append`: add new events to prepared data without reading the old ones again.

    OUT/past/*.arrow     validated rows of before  ─┐
    NEW_EVENTS           read and validated        ─┴▶ assemble, prepare, encode, write: as ever

Only reading is spared; everything that looks at several events is done over all of them, so that
OUT is what `tfrec preprocess` makes of the description that its manifest then holds. The catalogue
and profiles are read as they are now, media decoded and encoded unless `cache` knows them.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from preprocessing.past import Past, read_past
from preprocessing.paths import DataRoot
from preprocessing.pipeline import carry_out
from preprocessing.planning import make_plan
from tfrec.config import DatasetConfig, InteractionsConfig, InteractionsSource
from tfrec.errors import DataError, DescriptionError
from tfrec.schema import DataLayout, Manifest

__all__ = ["append"]


def append(
    out: str | Path,
    events: Sequence[str | Path],
    *,
    data_root: str | Path | None = None,
    source: int = 0,
    beam_options: Sequence[str] = (),
    max_rejected: float = 0.05,
    resume: bool = False,
    cache: str | Path | None = None,
    stream: TextIO | None = None,
) -> Manifest:
    """Adds files of events to prepared data, which is replaced only when the new one is whole.

    Args:
        out: Data prepared with `appendable`.
        events: Files or globs below the data root; none of them read before.
        data_root: Where the data root is now; where it was, unless given.
        source: Which of the description's united sources of interactions tells their columns.
        beam_options: Options of Apache Beam.
        max_rejected: Largest share of a source's rows, old and new, to be refused.
        resume: Whether to go on with what an equal run left when it was broken off.
        cache: Folder for decoded and encoded media by content.
        stream: Where progress goes; `None` is silent.

    Returns:
        The manifest, as written.

    Raises:
        DescriptionError: The new files don't fit the description, or are no new ones.
        DataError: `out` can't be added to, or a full run would differ from what can be done here.
        RejectedRowsError: More was refused than allowed.
    """
    layout = DataLayout(out)
    manifest = layout.read_manifest()
    past = read_past(layout.root)
    root = Path(past.root if data_root is None else data_root)
    if not root.is_dir():
        raise DataError(
            str(root),
            "the data root is where it was, or is given",
            received="no such folder",
            remedy="Name it: --data-root",
        )
    past.check_unchanged(root)
    patterns = [_below(root, name) for name in events]
    config, past = _extended(manifest.dataset, past, DataRoot(root), patterns, source)
    digest = hashlib.sha256(layout.manifest_path.read_bytes()).hexdigest()
    plan = make_plan(config, root, past.encode, keep=True, past=past, mark=digest)
    return carry_out(
        plan,
        layout.root,
        beam_options=beam_options,
        max_rejected=max_rejected,
        resume=resume,
        cache=cache,
        stream=stream,
    )


def _below(root: Path, name: str | Path) -> str:
    """The path relative to the root; relative ones are looked for there, then here."""
    path = Path(name)
    if not path.is_absolute() and (glob.glob(str(root / path)) or not glob.glob(str(path))):
        return path.as_posix()
    relative = os.path.relpath(os.path.abspath(path), os.path.abspath(root))
    if relative.startswith(".."):
        raise DescriptionError(
            str(name),
            f"new events lie below the data root {root}",
            received="a path outside",
            remedy="Put the file there, or name another root by --data-root",
        )
    return Path(relative).as_posix()


def _extended(
    config: DatasetConfig, past: Past, root: DataRoot, patterns: Sequence[str], source: int
) -> tuple[DatasetConfig, Past]:
    """The description of a full run over old and new, and the past in its terms."""
    rows = config.interactions
    if not 0 <= source < len(rows.united):
        raise DescriptionError(
            "--source",
            f"the description unites {len(rows.united)} sources, counted from 0",
            received=source,
            remedy="Leave it out, or look under `interactions.also` in the manifest",
        )
    before = {file.name for file in past.files["interactions"]}
    new: set[str] = set()
    for pattern in patterns:
        names = {file.name for file in root.sources(pattern, "NEW_EVENTS")}
        for name in sorted((before | new) & names):
            raise DescriptionError(
                name,
                "events are added once",
                received="a file that was read before" if name in before else "it twice",
                remedy="Name new files only",
            )
        new |= names
    united = list(rows.united)
    grown = [place for place, one in enumerate(united) if new & _matching(root, one.path)]
    if grown:
        # The pattern would find the new files too, and in another order: name each old one.
        files = past.files["interactions"]
        explicit = [_at(united[file.source], glob.escape(file.name)) for file in files]
        renumbered = tuple(f.model_copy(update={"source": n}) for n, f in enumerate(files))
        past = past.model_copy(update={"files": past.files | {"interactions": renumbered}})
        added = [_at(united[source], pattern) for pattern in patterns]
        united = [*explicit, *added]
    else:
        united += [_at(united[source], pattern) for pattern in patterns]
    first = {name: getattr(united[0], name) for name in InteractionsSource.model_fields}
    changed = rows.model_copy(update=first | {"also": tuple(united[1:])})
    whole = InteractionsConfig.model_validate(changed.model_dump())
    return config.model_copy(update={"interactions": whole}), past


def _matching(root: DataRoot, pattern: str) -> set[str]:
    base = str(root.root)
    found = glob.glob(os.path.join(glob.escape(base), pattern), recursive=True)
    return {os.path.relpath(path, base) for path in found}


def _at(source: InteractionsSource, path: str) -> InteractionsSource:
    """A plain source with the columns of another."""
    fields = {name: getattr(source, name) for name in InteractionsSource.model_fields}
    return InteractionsSource.model_validate(fields | {"path": path})
