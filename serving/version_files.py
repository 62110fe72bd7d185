"""What a version folder must look like before TensorFlow is allowed to open it.

A model folder may be written by another team, or by an attacker who got hold of the volume. So a
version stays inside its base path (no link leads out of it), its assets stay inside the version,
and its graph holds no op that reads, writes or runs something on the serving machine. The stock
server doesn't check these.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving.status import StatusError, invalid
from tfrec.published import MANIFEST_FILE, SIGNATURE_FILE

__all__ = ["fingerprint", "list_versions", "ops_of", "read_saved_model"]

_VERSION = re.compile(r"\s*[+-]?[0-9]+\s*", flags=re.ASCII)
_INT64 = range(-(2**63), 2**63)
WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"

_MARKED = (
    "saved_model.pb",
    "variables/variables.index",
    "variables/variables.data-00000-of-00001",
    str(WARMUP_FILE),
    str(MANIFEST_FILE),
    str(SIGNATURE_FILE),
)

# Ops that touch the machine they run on. Restoring and saving variables is part of any
# SavedModel and only reached by names that no client can send.
FORBIDDEN_OPS = frozenset(
    {
        "EagerPyFunc",
        "FixedLengthRecordReader",
        "FixedLengthRecordReaderV2",
        "MatchingFiles",
        "PyFunc",
        "PyFuncStateless",
        "ReadFile",
        "TFRecordReader",
        "TFRecordReaderV2",
        "TextLineReader",
        "TextLineReaderV2",
        "WholeFileReader",
        "WholeFileReaderV2",
        "WriteFile",
    }
)


def list_versions(base_path: Path) -> dict[int, Path]:
    """Children of a base path whose names parse as int64; others (`tmp-7`, `.swp`) are ignored.

    Raises:
        OSError: The base path can't be read.

    Example:
        >>> import tempfile
        >>> base = Path(tempfile.mkdtemp())
        >>> for name in ("2", "10", "11.tmp", "latest"):
        ...     (base / name).mkdir()
        >>> sorted(list_versions(base))
        [2, 10]
    """
    found = {}
    for name in sorted(os.listdir(base_path)):
        if _VERSION.fullmatch(name) and int(name) in _INT64:
            found[int(name)] = base_path / name
    return found


def fingerprint(version: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, times and sizes of a version's main files: whether a refused one has changed."""
    marks = []
    for name in _MARKED:
        try:
            status = (version / name).stat()
        except OSError:
            continue
        marks.append((name, status.st_mtime_ns, status.st_size))
    return tuple(marks)


def read_saved_model(version: Path, base_path: Path) -> Any:
    """Reads `saved_model.pb` after checking where the version's files really are.

    Args:
        version: The version folder.
        base_path: The folder that every file of it must stay inside, links resolved.

    Returns:
        The `SavedModel` message.

    Raises:
        StatusError: A file is missing, damaged, outside of `base_path`, or holds an op of
            `FORBIDDEN_OPS`.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    _check_links(version, base_path.resolve())
    path = version / "saved_model.pb"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StatusError(
            grpc.StatusCode.NOT_FOUND,
            f"Could not find SavedModel .pb at supplied export directory path: {version}. "
            "Check that the directory exists and that you have the right permissions",
        ) from error
    message = saved_model_pb2.SavedModel()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise StatusError(grpc.StatusCode.DATA_LOSS, f"Can't parse {path}") from error
    if not message.meta_graphs:
        raise StatusError(grpc.StatusCode.DATA_LOSS, f"{path} holds no graph")
    for graph in message.meta_graphs:
        _check_assets(graph, version)
    forbidden = sorted(ops_of(message) & FORBIDDEN_OPS)
    if forbidden:
        raise StatusError(
            grpc.StatusCode.PERMISSION_DENIED,
            f"{path} holds ops that touch the serving machine: {', '.join(forbidden)}",
        )
    return message


def ops_of(saved_model: Any) -> set[str]:
    """Names of all ops of a `SavedModel`, those of its function library included."""
    ops = set()
    for graph in saved_model.meta_graphs:
        ops |= {node.op for node in graph.graph_def.node}
        for function in graph.graph_def.library.function:
            ops |= {node.op for node in function.node_def}
    return ops


def _check_links(version: Path, base: Path) -> None:
    for folder, folders, files in os.walk(version):
        for name in ("", *folders, *files):
            place = Path(folder, name)
            if not place.resolve().is_relative_to(base):
                raise StatusError(
                    grpc.StatusCode.PERMISSION_DENIED,
                    f"{place} leads out of the model folder {base}",
                )


def _check_assets(graph: Any, version: Path) -> None:
    assets = version / "assets"
    for asset in graph.asset_file_def:
        name = Path(os.path.normpath(assets / asset.filename))
        if not name.is_relative_to(os.path.normpath(assets)):
            raise invalid(f"The asset {asset.filename!r} of {version} leads out of its folder")
