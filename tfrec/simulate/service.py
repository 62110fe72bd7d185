"""Write a simulated service: every source of a dataset description as real files.

::

    OUT/dataset.yaml       ready for `tfrec preprocess OUT/dataset.yaml DATA`
    OUT/items.csv          item_id,title,artist,lyrics,genres,year,price
    OUT/covers/ID.jpg      OUT/clips/ID.wav      OUT/videos/ID.mp4
    OUT/users.csv          user_id,age_band,country,preferred_genres,description
    OUT/interactions.csv   user_id,item_id,timestamp,event,seconds_listened,device; in time order
    OUT/comments.csv       user_id,item_id,text,timestamp; in time order
    OUT/truth.npz          latents and affinities; see `Truth`

OUT appears whole: everything is written beside it and renamed at the end. The same configuration
gives the same bytes on the same versions of NumPy, Pillow and PyAV.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfrec.config.presets import find_dataset_config
from tfrec.errors import DataError, DescriptionError
from tfrec.simulate.behaviour import Behaviour, simulate_behaviour
from tfrec.simulate.catalogue import Catalogue, item_id, user_id
from tfrec.simulate.config import SimulationConfig
from tfrec.simulate.people import comments, profiles
from tfrec.simulate.truth import Truth
from tfrec.simulate.video import require_pyav
from tfrec.simulate.vocabulary import DEVICES, EVENTS
from tfrec.simulate.world import World

__all__ = ["Report", "SimulationSummary", "simulate"]

Report = Callable[[str, int, int], None]
_VIDEO_NOTE = "    # For a service written with `--video`:\n    # video:"


@dataclass(frozen=True)
class SimulationSummary:
    """What was written, and the truth behind it.

    Attributes:
        out: The service's directory.
        dataset: Its `dataset.yaml`.
        items, users, events, comments: Rows of the files.
        covers, clips, videos: Media files.
        cold_items: Items whose first event lies in the test part of the default split.
        validation_from, test_from: First moments of these parts, Unix seconds.
        truth: What no model may see; also `OUT/truth.npz`.
    """

    out: Path
    dataset: Path
    items: int
    users: int
    events: int
    comments: int
    covers: int
    clips: int
    videos: int
    cold_items: int
    validation_from: int
    test_from: int
    truth: Truth


def simulate(
    out: str | Path, config: SimulationConfig | None = None, report: Report | None = None
) -> SimulationSummary:
    """Simulates a service and writes it.

    Args:
        out: A directory that doesn't exist or is empty.
        config: Sizes, seed and signal; the defaults unless given.
        report: Told what is being done, how much of it is done, and how much there is.

    Raises:
        DescriptionError: `out` is not empty, or videos are wanted and PyAV isn't installed.
        DataError: The files can't be written.
    """
    config = config or SimulationConfig()
    report = report or (lambda stage, done, total: None)
    out = Path(out)
    if config.video > 0:
        require_pyav()
    try:
        _refuse_used(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            summary = _write(partial, out, config, report)
            partial.chmod(0o755)
            partial.replace(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise DataError(
            str(out),
            "the service's files must be writable",
            received=f"{type(error).__name__}: {error}",
            remedy="Choose a directory with enough space that you may write to",
        ) from error
    return summary


def _refuse_used(out: Path) -> None:
    if out.resolve() == Path.cwd():
        raise DescriptionError(
            str(out),
            "a simulated service is written to a directory that is renamed into place",
            received="the current directory",
            remedy="Name one inside it",
        )
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise DescriptionError(
            str(out),
            "a simulated service is written to a new or empty directory",
            received="one with files in it" if out.is_dir() else "a file",
            remedy="Remove it or choose another OUT",
        )


def _write(folder: Path, out: Path, config: SimulationConfig, report: Report) -> SimulationSummary:
    world = World(config)
    behaviour = simulate_behaviour(world, lambda done, total: report("behaviour", done, total))
    _write_interactions(folder, behaviour)
    said = comments(world, behaviour)
    _write_csv(folder / "comments.csv", ("user_id", "item_id", "text", "timestamp"), said)
    names = ("user_id", "age_band", "country", "preferred_genres", "description")
    _write_csv(folder / "users.csv", names, profiles(world))
    covers, clips, videos = _write_catalogue(folder, world, report)
    _write_description(folder, config)
    truth = _truth(world, behaviour)
    truth.save(folder / "truth.npz")
    events = len(behaviour.item)
    return SimulationSummary(
        out=out,
        dataset=out / "dataset.yaml",
        items=config.items,
        users=config.users,
        events=events,
        comments=len(said),
        covers=covers,
        clips=clips,
        videos=videos,
        cold_items=int(behaviour.cold.sum()),
        validation_from=int(behaviour.timestamp[int(0.8 * events)]),
        test_from=int(behaviour.timestamp[int(0.9 * events)]),
        truth=truth,
    )


def _write_interactions(folder: Path, behaviour: Behaviour) -> None:
    names = ("user_id", "item_id", "timestamp", "event", "seconds_listened", "device")
    columns = zip(
        map(user_id, behaviour.user.tolist()),
        map(item_id, behaviour.item.tolist()),
        behaviour.timestamp.tolist(),
        (EVENTS[place] for place in behaviour.event),
        behaviour.seconds.tolist(),
        (DEVICES[place] for place in behaviour.device),
        strict=True,
    )
    _write_csv(folder / "interactions.csv", names, columns)


def _write_catalogue(folder: Path, world: World, report: Report) -> tuple[int, int, int]:
    """Writes items.csv and the media; returns how many covers, clips and videos."""
    catalogue = Catalogue(world)
    folders = {"covers": ".jpg", "clips": ".wav"} | (
        {"videos": ".mp4"} if world.config.video > 0 else {}
    )
    for name in folders:
        (folder / name).mkdir()
    counts = dict.fromkeys(("covers", "clips", "videos"), 0)
    rows = []
    for number in range(world.config.items):
        song = catalogue.song(number)
        media = {"covers": song.cover, "clips": song.clip, "videos": song.video}
        for name, suffix in folders.items():
            content = media[name]
            if content is not None:
                (folder / name / f"{song.item_id}{suffix}").write_bytes(content)
                counts[name] += 1
        rows.append(
            (
                song.item_id,
                song.title,
                song.artist,
                song.lyrics,
                "|".join(song.genres),
                "" if song.year is None else song.year,
                "" if song.price is None else f"{song.price:.2f}",
            )
        )
        report("songs", number + 1, world.config.items)
    names = ("item_id", "title", "artist", "lyrics", "genres", "year", "price")
    _write_csv(folder / "items.csv", names, rows)
    return counts["covers"], counts["clips"], counts["videos"]


def _write_description(folder: Path, config: SimulationConfig) -> None:
    """Copies the shipped description; one with videos has their line switched on."""
    text = find_dataset_config("music-simulated").read_text(encoding="utf-8")
    if config.video > 0:
        text = text.replace(_VIDEO_NOTE, "    video:")
    (folder / "dataset.yaml").write_text(text, encoding="utf-8")


def _truth(world: World, behaviour: Behaviour) -> Truth:
    config = world.config
    everyone = np.arange(config.users)
    # A block of listeners at a time: the whole matrix in float32 would be the largest array here.
    blocks = [
        world.affinity(part, 1.0).astype(np.float16)
        for part in np.array_split(everyone, max(1, config.users // 1_000))
    ]
    return Truth(
        item_ids=np.array([item_id(number) for number in range(config.items)]),
        user_ids=np.array([user_id(number) for number in range(config.users)]),
        item_latents=world.item_latents,
        user_tastes=world.tastes_last,
        scale=world.scale(),
        blocks=np.array([block.name for block in world.blocks for _ in range(block.width)]),
        affinity=np.concatenate(blocks),
        release=behaviour.release,
        cold=behaviour.cold,
    )


def _write_csv(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
