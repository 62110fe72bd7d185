"""Which versions of which models are loaded, and how one replaces another.

A poll lists each model's base path, asks its version policy which versions are wanted, loads the
missing ones, and only then unloads the others: requests always find a version. A version that
fails to load or to answer its warm-up requests is reported with its error, doesn't count for the
policy, and is tried again when its files change; so the newest *good* version serves, also after
a restart. A request holds its version until it is answered; unloading waits for it.

The stock server differs in one point: it doesn't fall back to an older version at start-up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import grpc

from serving.predict import Runner
from serving.status import StatusError, invalid
from serving.version_files import fingerprint, list_versions
from tfrec.errors import ExportError
from tfrec.published import LATEST, read_labels

__all__ = ["ModelRepository", "Servable", "State"]

_LOG = logging.getLogger("serving")


class State:
    """Numbers of `ModelVersionStatus.State`."""

    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class _Closeable(Runner, Protocol):
    def close(self) -> None:
        """Frees what the version holds."""


Loader = Callable[[str, int, Path, Path], _Closeable]


@dataclass(frozen=True)
class Servable:
    """A version that answers the request that holds it."""

    name: str
    version: int
    runner: Runner


@dataclass
class _Version:
    state: int = State.LOADING
    error: StatusError | None = None
    runner: _Closeable | None = None
    users: int = 0
    failed_as: tuple[Any, ...] = ()


@dataclass
class _Model:
    config: Any
    versions: dict[int, _Version] = field(default_factory=dict)
    last_error: str = ""

    def available(self) -> list[int]:
        return [n for n, entry in self.versions.items() if entry.state == State.AVAILABLE]


class ModelRepository:
    """The models of a server.

    Args:
        load: Makes a ready version from name, number, version folder and base path; raises
            `StatusError` when it can't. Everything else here knows nothing of TensorFlow.
        allow_labels_for_unavailable: Whether a label may name a version that isn't loaded yet.
        model_root: Folder that base paths given over the network must stay inside; `None` lets
            only base paths beside those of the first configuration in.
    """

    def __init__(
        self,
        load: Loader,
        *,
        allow_labels_for_unavailable: bool = False,
        model_root: Path | None = None,
    ) -> None:
        self._load = load
        self._allow_labels = allow_labels_for_unavailable
        self._model_root = model_root
        self._roots: set[Path] = set()
        self._models: dict[str, _Model] = {}
        self._labels: dict[str, dict[str, int]] = {}
        # Of `labels.json`, for models whose configuration has none.
        self._own_labels: dict[str, dict[str, int]] = {}
        # `_changing` is held by whoever loads or unloads; `_lock` guards the tables and is never
        # held while TensorFlow works.
        self._changing = threading.Lock()
        self._lock = threading.Condition()

    def configure(self, config: Any, *, trusted: bool = True) -> None:
        """Serves the models of a `ModelConfigList`, and unloads those it doesn't name.

        Args:
            config: The list.
            trusted: Whether the operator gave it; one that came over the network may only name
                base paths inside the model root.

        Raises:
            StatusError: The list is wrong, or one of its new models has no version that loads.
        """
        with self._changing:
            self._validate(config, trusted=trusted)
            labels = self._checked_labels(config)
            with self._lock:
                fresh = [entry.name for entry in config.config if entry.name not in self._models]
                gone = set(self._models) - {entry.name for entry in config.config}
                for entry in config.config:
                    self._models.setdefault(entry.name, _Model(entry)).config = entry
                self._labels = labels
            for name in sorted(gone):
                self._unload(name, self._models[name].available())
                with self._lock:
                    del self._models[name]
            for name in list(self._models):
                self._sync(name)
            missing = [name for name in fresh if not self._models[name].available()]
            if missing:
                raise StatusError(grpc.StatusCode.UNKNOWN, self._unavailable_text(missing))

    def poll(self) -> None:
        """Looks at the disk once, and loads and unloads what has changed."""
        with self._changing:
            for name in list(self._models):
                self._sync(name)

    def close(self) -> None:
        """Unloads everything, waiting for the requests under way."""
        with self._changing:
            for name, model in self._models.items():
                self._unload(name, model.available())

    def models(self) -> list[str]:
        """Names of the configured models."""
        with self._lock:
            return sorted(self._models)

    def folder(self, name: str, version: int) -> Path:
        """Where a version's files are.

        Raises:
            StatusError: There is no such model or version.
            OSError: The model's folder can't be read.
        """
        with self._lock:
            model = self._models.get(name)
            base_path = None if model is None else Path(model.config.base_path)
        found = {} if base_path is None else list_versions(base_path)
        if version not in found:
            text = f"Servable not found for request: Specific({name}, {version})"
            raise StatusError(grpc.StatusCode.NOT_FOUND, text)
        return found[version]

    @contextmanager
    def acquire(self, spec: Any) -> Iterator[Servable]:
        """The version that a `ModelSpec` names, kept loaded until the block ends.

        Raises:
            StatusError: No name, an unknown label, or no such version is available.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        with self._lock:
            if choice == "version":
                number: int | None = spec.version.value
                text = f"Specific({spec.name}, {number})"
            elif choice == "version_label":
                number = self._version_of_label(spec.name, spec.version_label)
                text = f"Specific({spec.name}, {number})"
            else:
                model = self._models.get(spec.name)
                number = max(model.available(), default=None) if model else None
                text = f"Latest({spec.name})"
            entry = self._available(spec.name, number)
            if entry is None or number is None or entry.runner is None:
                raise StatusError(
                    grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {text}"
                )
            entry.users += 1
            runner = entry.runner
        try:
            yield Servable(spec.name, number, runner)
        finally:
            with self._lock:
                entry.users -= 1
                self._lock.notify_all()

    def statuses(self, spec: Any) -> list[tuple[int, int, StatusError | None]]:
        """Version, state and error of a model's versions, newest first.

        Raises:
            StatusError: No such model or version was ever seen.
        """
        with self._lock:
            model = self._models.get(spec.name)
            versions = model.versions if model else {}
            if spec.WhichOneof("version_choice") == "version":
                wanted = [spec.version.value]
                if wanted[0] not in versions:
                    raise StatusError(
                        grpc.StatusCode.NOT_FOUND,
                        f"Could not find version {wanted[0]} of model {spec.name}",
                    )
            else:
                wanted = sorted(versions, reverse=True)
                if not wanted:
                    raise StatusError(
                        grpc.StatusCode.NOT_FOUND,
                        f"Could not find any versions of model {spec.name}",
                    )
            return [(n, versions[n].state, versions[n].error) for n in wanted]

    def _available(self, name: str, number: int | None) -> _Version | None:
        model = self._models.get(name)
        entry = model.versions.get(number) if model and number is not None else None
        return entry if entry and entry.state == State.AVAILABLE else None

    def _version_of_label(self, name: str, label: str) -> int:
        configured = self._labels.get(name)
        known = configured if configured else self._own_labels.get(name, {})
        if label in known:
            return known[label]
        model = self._models.get(name)
        if label == LATEST and not configured and model and model.available():
            return max(model.available())
        raise invalid(f"Unrecognized servable version label: {label}")

    def _validate(self, config: Any, *, trusted: bool) -> None:
        seen = set()
        for entry in config.config:
            if entry.name in seen:
                raise invalid(f"Illegal to list model {entry.name} multiple times in config list")
            seen.add(entry.name)
            path = Path(entry.base_path)
            if not path.is_absolute():
                raise invalid(
                    f"Expected model {entry.name} to have an absolute path or URI; "
                    f"got base_path()={entry.base_path}"
                )
            if entry.model_platform != "tensorflow":
                raise invalid(
                    f"Model {entry.name} requests unsupported platform {entry.model_platform}"
                    if entry.model_platform
                    else "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
                    f"ModelServerConfig::model_platform, model name is {entry.name}"
                )
            if trusted and self._model_root is None:
                self._roots.add(path.resolve().parent)
        roots = {self._model_root.resolve()} if self._model_root else self._roots
        for entry in config.config:
            path = Path(entry.base_path)
            if ".." in path.parts or not any(path.resolve().is_relative_to(root) for root in roots):
                raise StatusError(
                    grpc.StatusCode.PERMISSION_DENIED,
                    f"The base path {entry.base_path} of model {entry.name} is outside of "
                    f"{', '.join(sorted(map(str, roots)))}",
                )

    def _checked_labels(self, config: Any) -> dict[str, dict[str, int]]:
        labels: dict[str, dict[str, int]] = {}
        for entry in config.config:
            for label, number in entry.version_labels.items():
                known = self._labels.get(entry.name, {}).get(label, number)
                # A label that is in use may only move to a version that can answer.
                free = self._allow_labels and known == number
                if not free and self._available(entry.name, number) is None:
                    raise StatusError(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {number} of model {entry.name}, "
                        "which is not currently available for inference",
                    )
                labels.setdefault(entry.name, {})[label] = number
        return labels

    def _unavailable_text(self, names: list[str]) -> str:
        parts = []
        for name in names:
            model = self._models[name]
            number = max(model.versions, default=None)
            error = model.versions[number].error if number is not None else None
            why = f" due to error: {error.code.name}: {error.message}" if error else ""
            if number is None:
                why = f" due to error: {model.last_error}" if model.last_error else ""
            parts.append(f"{{{{name: {name} version: {number}}}{why}}}")
        return f"{len(names)} model(s) did not become available: {{{', '.join(parts)}}}"

    def _sync(self, name: str) -> None:
        model = self._models[name]
        base_path = Path(model.config.base_path)
        try:
            found = list_versions(base_path)
        except OSError as error:
            # A volume that is away for a moment must not unload what serves.
            message = f"Could not find base path {base_path} for servable {name}: {error.strerror}"
            if message != model.last_error:
                _LOG.warning("%s", message)
            model.last_error = message
            return
        model.last_error = (
            "" if found else (f"No versions of servable {name} found under base path {base_path}")
        )
        labels = self._labels_on_disk(name, model, base_path)
        while True:
            refused = {
                number
                for number, entry in model.versions.items()
                if number in found and entry.error and entry.failed_as == fingerprint(found[number])
            }
            candidates = set(found) - refused
            wanted = _wanted(model.config.model_version_policy, candidates)
            wanted |= candidates & set(labels.values())
            missing = sorted(wanted - set(model.available()), reverse=True)
            if not missing:
                break
            self._load_version(name, model, missing[0], found[missing[0]], base_path)
        available = set(model.available())
        with self._lock:
            # A label that is in use only moves to a version that can answer.
            previous = self._own_labels.get(name, {})
            moved = {n: v if v in available else previous.get(n, v) for n, v in labels.items()}
            self._own_labels[name] = {n: v for n, v in moved.items() if v in available}
            wanted |= set(self._own_labels[name].values())
        if available & wanted or not found:
            self._unload(name, sorted(available - wanted))

    def _labels_on_disk(self, name: str, model: _Model, base_path: Path) -> dict[str, int]:
        """Labels beside the versions; none where the configuration chooses for itself."""
        policy = model.config.model_version_policy
        if model.config.version_labels or policy.WhichOneof("policy_choice") is not None:
            return {}
        try:
            return read_labels(base_path)
        except ExportError as error:
            _LOG.warning("%s", error)
            return self._own_labels.get(name, {})

    def _load_version(
        self, name: str, model: _Model, number: int, path: Path, base_path: Path
    ) -> None:
        entry = _Version()
        mark = fingerprint(path)
        with self._lock:
            model.versions[number] = entry
        started = time.monotonic()
        try:
            runner = self._load(name, number, path, base_path)
        except StatusError as error:
            with self._lock:
                entry.state, entry.failed_as = State.END, mark
                # Without its traceback, whose frames would keep the half-loaded graph in memory.
                entry.error = StatusError(error.code, error.message)
            _LOG.error("refused %s version %d: %s", name, number, error.message)
            return
        with self._lock:
            entry.runner, entry.state = runner, State.AVAILABLE
        _LOG.info("serving %s version %d (%.1f s)", name, number, time.monotonic() - started)

    def _unload(self, name: str, numbers: list[int]) -> None:
        for number in numbers:
            with self._lock:
                entry = self._models[name].versions[number]
                entry.state = State.UNLOADING
                self._lock.notify_all()
                self._lock.wait_for(lambda entry=entry: entry.users == 0)  # type: ignore[misc]
                runner, entry.runner = entry.runner, None
            if runner is not None:
                runner.close()
            with self._lock:
                entry.state = State.END
            _LOG.info("unloaded %s version %d", name, number)


def _wanted(policy: Any, candidates: set[int]) -> set[int]:
    """The versions that a `ServableVersionPolicy` asks for; the latest one by default."""
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return candidates
    if choice == "specific":
        return candidates & set(policy.specific.versions)
    count = max(policy.latest.num_versions, 1)
    return set(sorted(candidates)[-count:])
