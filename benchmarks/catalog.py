"""10,000 new films in a served model: is each found by its title, and does a removed one stay away?

A published model of MovieLens films is copied, and takes in new films made of real ones: the title
joins the halves of two real titles (so every title has neighbours that share half of it), genres
and year are a real film's, and with `--plots` so are plot, director and actors. They go in by
`tfrec catalog add`'s own function; nothing is trained: every file and variable of the towers is
compared with the base's. The embedded server then answers over gRPC:

- `search` with each new film's title: its place gives `found_at_1` and `found_at_10`; `plot_at_10`
  asks with the last sentence of a film's plot, of old films.
- `similar_to_content` with the title alone, other inputs missing: `placed_at_1`, `placed_at_10`.
  This places a film by all that it has, of which the title is a part; `placed_whole` asks with all.
- `search`, `similar_to_content` and `recommend` after a tenth of the new films and as many old ones
  were removed: `removed_seen` counts those that came back; wanted: 0.

    python benchmarks/catalog.py models/films ml/items.csv

Prints counts; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

K, BATCH, PLOTS = 10, 64, 500


def made_of(films: list[dict[str, str]], count: int, plots: bool) -> list[dict[str, str]]:
    """New films with distinct titles, none of which is a real film's."""
    rng = random.Random(7)
    titles = {film["title"].lower() for film in films}
    new: list[dict[str, str]] = []
    while len(new) < count:
        base, other = rng.sample(films, 2)
        first, second = base["title"].split(), other["title"].split()
        words = first[: (len(first) + 1) // 2] + second[len(second) // 2 :]
        title = " ".join(words)
        if title.lower() in titles:
            continue
        titles.add(title.lower())
        kept = {name: cell for name, cell in base.items() if plots or name in ("genres", "year")}
        blank = dict.fromkeys(base, "")
        new.append({**blank, **kept, "item_id": f"new-{len(new)}", "title": title})
    return new


def table(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def content_inputs(served: Any, film: dict[str, str], file: Any, whole: bool) -> dict[str, Any]:
    """One film as `similar_to_content` takes it: all that it has, or its title alone."""
    inputs: dict[str, Any] = {}
    for name, info in served.inputs.items():
        if name == "k":
            continue
        feature = file.features[name]
        columns = [feature.column] if isinstance(feature.column, str) else feature.column or [name]
        cells = [film.get(column, "") for column in columns if whole or column == "title"]
        width = [dim.size for dim in info.tensor_shape.dim][1:]
        if feature.modality == "tags":
            inputs[name] = [tag.encode() for cell in cells for tag in cell.split("|") if tag]
        elif info.dtype == 1:  # DT_FLOAT
            number = float(cells[0]) if feature.modality == "numeric" and any(cells) else np.nan
            inputs[name] = np.full([max(size, 1) for size in width], number, np.float32)
        else:
            text = " ".join(cell for cell in cells if cell) if feature.modality == "text" else ""
            inputs[name] = np.full(width, text.encode(), object) if width else text.encode()
    return inputs


def stacked(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    batch: dict[str, np.ndarray] = {}
    for name, first in rows[0].items():
        if isinstance(first, list):
            wide = max(1, *(len(row[name]) for row in rows))
            filled = [row[name] + [b""] * (wide - len(row[name])) for row in rows]
            batch[name] = np.array(filled, object)
        elif isinstance(first, bytes):
            batch[name] = np.array([row[name] for row in rows], object)
        else:
            batch[name] = np.stack([row[name] for row in rows])
    return batch


def searched(client: Any, queries: Sequence[str], items: Sequence[str]) -> list[int]:
    """The place of each item among the ten best for its query, 10 where it isn't."""
    places = []
    for start in range(0, len(queries), BATCH):
        part = list(queries[start : start + BATCH])
        inputs = {
            "query": np.array([query.encode() for query in part], object),
            "exclude": np.empty((len(part), 0), object),
            "k": np.full(len(part), K, np.int32),
        }
        answer = client.predict(inputs, signature="search")["item_ids"].tolist()
        for item, ids in zip(items[start:], answer, strict=False):
            places.append(ids.index(item.encode()) if item.encode() in ids else K)
    return places


def asked(
    client: Any, served: Any, films: list[dict[str, str]], file: Any, whole: bool = False
) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Each film with the ids of the items most like it, best first."""
    for start in range(0, len(films), BATCH):
        part = films[start : start + BATCH]
        inputs = stacked([content_inputs(served, film, file, whole) for film in part])
        inputs["k"] = np.full(len(part), K, np.int32)
        answer = client.predict(inputs, signature="similar_to_content")
        for film, ids in zip(part, answer["item_ids"], strict=True):
            yield film, [item.decode() for item in ids]


def towers_changed(before: Path, after: Path) -> list[str]:
    """Files and variables beside the catalogue's that differ."""
    import tensorflow as tf

    same = [Path("saved_model.pb")]
    same += [path.relative_to(before) for path in (before / "assets").rglob("*") if path.is_file()]
    changed = [
        str(path) for path in same if (before / path).read_bytes() != (after / path).read_bytes()
    ]
    readers = [
        tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        for folder in (before, after)
    ]
    for key in readers[0].get_variable_to_shape_map():
        if "catalogue/" not in key and key != "_CHECKPOINTABLE_OBJECT_GRAPH":
            one, other = (reader.get_tensor(key) for reader in readers)
            if not np.array_equal(one, other):
                changed.append(key)
    return changed


def main() -> None:
    """Adds, asks, removes, asks, and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, metavar="MODELS/NAME")
    parser.add_argument("items", type=Path, help="the real films: item_id, title, genres, ...")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--plots", action="store_true", help="new films have plots and people, too")
    parser.add_argument("--users", type=int, default=500)
    arguments = parser.parse_args()

    from serving.client import CallOptions, Client
    from serving.options import ServerOptions
    from serving.server import Server
    from tfrec.catalog import add_items, remove_items
    from tfrec.catalog.catalogue import Catalogue
    from tfrec.export import ServedModel
    from tfrec.export.publish import list_versions

    with arguments.items.open(newline="", encoding="utf-8") as stream:
        films = list(csv.DictReader(stream))
    new = made_of(films, arguments.count, arguments.plots)
    report: dict[str, Any] = {"benchmark": "catalog", "new": len(new), "plots": arguments.plots}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        base = arguments.model / str(list_versions(arguments.model)[-1])
        model = scratch / arguments.model.name
        shutil.copytree(base, model / "1")
        begun = time.perf_counter()
        done = add_items(model, [table(scratch / "new.csv", new)], root=scratch)
        report["add_seconds"] = round(time.perf_counter() - begun, 1)
        report["added"], report["items"] = done.added, done.items
        report["kept_scores_differ"] = done.largest_difference
        report["towers_changed"] = towers_changed(model / "1", model / "2")
        print(report, flush=True)
        catalogue = Catalogue(model / "2")
        with ServedModel(model / "2") as served:
            signature = served.signatures["similar_to_content"]
        options = ServerOptions(
            model_name=model.name, model_base_path=model, port=0, file_system_poll_wait_seconds=0
        )
        call = CallOptions(timeout=600)
        with (
            Server(options) as server,
            Client(f"127.0.0.1:{server.port}", model=model.name, call=call) as client,
        ):
            places = [
                ids.index(film["item_id"]) if film["item_id"] in ids else K
                for film, ids in asked(client, signature, new, catalogue.file)
            ]
            report["placed_at_1"] = places.count(0)
            report["placed_at_10"] = len(places) - places.count(K)
            names = [film["item_id"] for film in new]
            begun = time.perf_counter()
            places = searched(client, [film["title"] for film in new], names)
            report["search_seconds"] = round(time.perf_counter() - begun, 1)
            report["found_at_1"] = places.count(0)
            report["found_at_10"] = len(places) - places.count(K)
            plots = [film for film in films if film.get("plot", "").count(". ") > 1][:PLOTS]
            last = [film["plot"].rstrip(". ").rpartition(". ")[2] for film in plots]
            places = searched(client, last, [film["item_id"] for film in plots])
            report["plot_at_10"] = f"{len(places) - places.count(K)} of {len(places)}"
            whole = asked(client, signature, new[::10], catalogue.file, whole=True)
            found = [film["item_id"] in ids for film, ids in whole]
            report["placed_whole"] = f"{sum(found)} of {len(found)}"
            print(report, flush=True)

            known = [film for film in films if catalogue.holds(film["item_id"])]
            old = random.Random(9).sample(known, min(len(new) // 10, len(known) // 2))
            gone = [*new[:: len(new) // max(len(new) // 10, 1)], *old]
            removed = remove_items(
                model, [table(scratch / "gone.csv", [{"item_id": f["item_id"]} for f in gone])]
            )
            server.repository.poll()
            away = {film["item_id"] for film in gone}
            seen = sum(
                len(away & set(ids)) for _, ids in asked(client, signature, gone, catalogue.file)
            )
            for film in gone:
                answer = client.search(film["title"], K)
                seen += len(away & set(answer.item_ids))
                assert answer.model_version == 3
            lists = 0
            for user in range(1, arguments.users + 1):
                answer = client.recommend(str(user), 100)
                seen += len(away & set(answer.item_ids))
                lists += 1
                assert answer.model_version == 3
            report |= {"removed": removed.removed, "lists_of_100": lists, "removed_seen": seen}
            report["version"] = client.versions()[0].version
    print(json.dumps(report))


if __name__ == "__main__":
    main()
