"""`tfrec versions`: what is published, labels, and the stock server's models.config for them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tfrec.errors import DescriptionError, ExportError

SUMMARY = "List the versions of a model, label them, check their files, remove old ones."
EXAMPLES = [
    "tfrec versions models/music",
    "tfrec versions models/music --label stable=4",
    "tfrec versions models/music --keep 5",
    "tfrec versions models/music --check --signature-key key",
    "tfrec versions models/music --models-config models.config --base-path /models/music",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("model", metavar="MODELS/NAME", type=Path, help="folder of the versions")
    add("--label", action="append", default=[], metavar="LABEL=VERSION", help="name a version")
    add("--keep", type=int, metavar="N", help="remove all but the newest N and labelled ones")
    add("--check", action="store_true", help="compare every file with what was published")
    add("--signature-key", type=Path, metavar="FILE", help="demand signatures by this key")
    add("--models-config", type=Path, metavar="FILE", help="write a models.config with the labels")
    add("--base-path", metavar="PATH", help="of the model where that server runs (here)")
    add("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Does what is asked, then lists."""
    from tfrec.export import publish
    from tfrec.published import read_labels

    model = arguments.model
    if not model.is_dir():
        raise DescriptionError(
            str(model),
            "a model's folder must exist",
            received="no such folder",
            remedy="Run `tfrec export RUN MODELS/NAME` first",
        )
    for text in arguments.label:
        label, _, number = text.partition("=")
        if not number.isdecimal():
            raise DescriptionError(
                "--label",
                "a label is given as LABEL=VERSION",
                received=text,
                remedy="Write --label stable=3",
            )
        publish.set_label(model, label, int(number))
    removed = publish.prune(model, arguments.keep) if arguments.keep is not None else ()
    labels = read_labels(model)
    versions = publish.list_versions(model)
    rows: list[dict[str, Any]] = [
        {"version": number, "labels": [n for n, v in sorted(labels.items()) if v == number]}
        for number in versions
    ]
    if versions:
        rows[-1]["labels"].append("latest")
    good = _check(arguments, rows) if arguments.check or arguments.signature_key else True
    if arguments.models_config is not None:
        base_path = arguments.base_path or str(model.absolute())
        text = _models_config(model.absolute().name, base_path, labels, versions)
        arguments.models_config.write_text(text, encoding="utf-8")
    withdrawn = publish.withdrawn_versions(model)
    if arguments.json:
        print(json.dumps({"versions": rows, "withdrawn": withdrawn, "removed": removed}))
    else:
        if not rows:
            print(f"no version is published here; `tfrec export RUN {model}` publishes one")
        for row in rows:
            words = [str(row["version"]), *row["labels"], row.get("files", "")]
            print("  ".join(word for word in words if word))
        for name, numbers in (("withdrawn", withdrawn), ("removed", removed)):
            if numbers:
                print(f"{name}: {', '.join(map(str, numbers))}")
    return 0 if good else 1


def _check(arguments: argparse.Namespace, rows: list[dict[str, Any]]) -> bool:
    from tfrec.published import check_manifest, read_key

    key = read_key(arguments.signature_key) if arguments.signature_key else None
    good = True
    for row in rows:
        number = row["version"]
        try:
            has = check_manifest(arguments.model / str(number), number, key)
            row["files"] = "as published" if has else "no manifest"
        except ExportError as error:
            row["files"], good = str(error), False
    return good


def _models_config(name: str, base_path: str, labels: dict[str, int], versions: list[int]) -> str:
    wanted = sorted({*labels.values(), *versions[-1:]} & {*versions})
    policy = " ".join(f"versions: {number}" for number in wanted)
    named = {**labels, "latest": versions[-1]} if versions else {}
    lines = [
        f'    version_labels {{ key: "{label}" value: {number} }}'
        for label, number in sorted(named.items())
        if number in wanted
    ]
    return "\n".join(
        [
            "model_config_list {",
            "  config {",
            f"    name: {json.dumps(name)}",
            f"    base_path: {json.dumps(base_path)}",
            '    model_platform: "tensorflow"',
            f"    model_version_policy {{ specific {{ {policy} }} }}",
            *lines,
            "  }",
            "}",
            "",
        ]
    )
