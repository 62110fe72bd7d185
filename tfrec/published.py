"""What a model's folder says beside its versions: labels, and digests of a version's files.

    MODELS/NAME/labels.json                      {"canary": 4, "stable": 3}
    MODELS/NAME/4/assets.extra/manifest.json     version, and size and SHA-256 of each file
    MODELS/NAME/4/assets.extra/manifest.sig      HMAC-SHA256 of manifest.json, by a secret key

A manifest proves that a version is whole; its signature, that whoever published it has the key. The
number is signed too, so that an old version can't be passed off as a new one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from pathlib import Path

from tfrec.errors import DescriptionError, ExportError

__all__ = [
    "LABELS_FILE",
    "LATEST",
    "MANIFEST_FILE",
    "SIGNATURE_FILE",
    "check_manifest",
    "read_key",
    "read_labels",
    "write_labels",
    "write_manifest",
]

LABELS_FILE = "labels.json"
# A label that every model has: its greatest number.
LATEST = "latest"
MANIFEST_FILE = Path("assets.extra") / "manifest.json"
SIGNATURE_FILE = Path("assets.extra") / "manifest.sig"

_KEY_BYTES = 16
_BLOCK = 1 << 20


def read_key(path: Path, use: str = "signs versions") -> bytes:
    """A secret for a keyed hash: of manifests, or of user ids in a log.

    Args:
        path: A file of at least 16 bytes; white space at its ends doesn't count.
        use: What the key does, for errors.

    Raises:
        DescriptionError: It can't be read, or is too short.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise DescriptionError(
            str(path),
            f"the key that {use} can be read",
            received=error.strerror or str(error),
            remedy="Make one: head -c 32 /dev/urandom | base64 > FILE",
        ) from error
    if len(key) < _KEY_BYTES:
        raise DescriptionError(
            str(path),
            f"the key that {use} has at least {_KEY_BYTES} bytes",
            received=f"{len(key)} bytes",
            remedy="Make one: head -c 32 /dev/urandom | base64 > FILE",
        )
    return key


def write_manifest(folder: Path, version: int, key: bytes | None = None) -> None:
    """Writes the digests of all files of a version, and their signature.

    Args:
        folder: The version's files.
        version: The number that it is published by.
        key: What it is signed with; not signed unless given.
    """
    for name in (MANIFEST_FILE, SIGNATURE_FILE):
        (folder / name).unlink(missing_ok=True)
    files = {name: _entry(folder / name) for name in _files(folder)}
    content = {"format": 1, "version": version, "files": files}
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    path = folder / MANIFEST_FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if key is not None:
        (folder / SIGNATURE_FILE).write_text(_signature(path.read_bytes(), key) + "\n")


def check_manifest(folder: Path, version: int, key: bytes | None = None) -> bool:
    """Compares a version's files with its manifest.

    Args:
        folder: The version's files.
        version: The number it is found under.
        key: Demands a signature by it; and that the folder holds no other file.

    Returns:
        Whether there is a manifest; without a key there need not be one.

    Raises:
        ExportError: A file differs, is missing or was added; the version is another; or the
            signature is missing or not by this key.
    """
    path = folder / MANIFEST_FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        if key is None and isinstance(error, FileNotFoundError):
            return False
        raise _refused(path, "a version has a manifest of its files", "none") from error
    if key is not None:
        _check_signature(folder, data, key)
    try:
        content = json.loads(data)
        files = {str(name): dict(entry) for name, entry in content["files"].items()}
        number = int(content["version"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refused(path, "a manifest is whole", f"{type(error).__name__}") from error
    if number != version:
        raise _refused(path, f"it is the manifest of version {version}", f"of version {number}")
    for name, entry in files.items():
        if _is_outside(name):
            raise _refused(path, "a manifest names files inside the version", repr(name))
        try:
            # The size first: a file that grew need not be read.
            same = (folder / name).stat().st_size == entry.get("size") and _entry(
                folder / name
            ) == entry
        except OSError:
            raise _refused(path, "every file of a version is there", f"no {name}") from None
        if not same:
            raise _refused(path, "every file of a version is as it was published", f"other {name}")
    if key is not None and (more := sorted(set(_files(folder)) - set(files))):
        raise _refused(path, "a signed version holds no other file", more[0])
    return True


def read_labels(model: Path) -> dict[str, int]:
    """Labels of a model's versions; none where there is no file.

    Args:
        model: `MODELS/NAME`.

    Raises:
        ExportError: The file is damaged.
    """
    path = model / LABELS_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(number, int) for number in content.values()):
            raise ValueError("a label names a version's number")
        return {str(label): number for label, number in content.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise ExportError(
            str(path),
            "it is a JSON object of labels and version numbers",
            received=str(error),
            remedy="Correct it, or remove it and label again by `tfrec versions --label`",
        ) from error


def write_labels(model: Path, labels: Mapping[str, int]) -> None:
    """Replaces the labels of a model's versions, all at once."""
    path = model / LABELS_FILE
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(dict(sorted(labels.items()))) + "\n", encoding="utf-8")
    partial.replace(path)


def _check_signature(folder: Path, data: bytes, key: bytes) -> None:
    path = folder / SIGNATURE_FILE
    try:
        given = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(path, "the manifest of a version is signed", "no signature") from error
    if not hmac.compare_digest(given, _signature(data, key)):
        raise _refused(path, "a manifest is signed with the key that is asked for", "another")


def _signature(data: bytes, key: bytes) -> str:
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def _files(folder: Path) -> list[str]:
    own = {MANIFEST_FILE.as_posix(), SIGNATURE_FILE.as_posix()}
    found = [
        Path(place, name).relative_to(folder).as_posix()
        for place, _, names in os.walk(folder)
        for name in names
    ]
    return sorted(set(found) - own)


def _entry(path: Path) -> dict[str, object]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return {"sha256": digest.hexdigest(), "size": size}


def _is_outside(name: str) -> bool:
    return os.path.isabs(name) or ".." in Path(name).parts


def _refused(path: Path, rule: str, received: str) -> ExportError:
    return ExportError(
        str(path),
        rule,
        received=received,
        remedy="Publish the version again; the ones before serve on",
    )
