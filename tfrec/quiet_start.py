"""TensorFlow's first import without the notices of its libraries.

They are written before TensorFlow has read `TF_CPP_MIN_LOG_LEVEL`, so that no setting silences
them: at each command two screens' worth of oneDNN's rounding and of CUDA that isn't there. What
isn't one of these notices is passed on.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["QuietStart"]

_NOTICE = re.compile(r"I\d{4} |WARNING: All log messages before absl::InitializeLog\(\)")


class QuietStart(MetaPathFinder):
    """Goes before the other finders until TensorFlow, or the module given, is imported.

    Args:
        module: The module.
    """

    def __init__(self, module: str = "tensorflow") -> None:
        self._module = module

    def install(self) -> None:
        """Does nothing where the module is imported already."""
        if self._module not in sys.modules:
            sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own spec, with a loader that listens."""
        if fullname != self._module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Listening(spec.loader)
        return spec


class _Listening(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # The module keeps its own loader, which knows of its source and resources.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with _without_notices():
            self._loader.exec_module(module)


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # There is no standard error to write to.
        yield
        return
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            heard.seek(0)
            for line in heard.read().splitlines(keepends=True):
                if not _NOTICE.match(line.decode(errors="replace")):
                    os.write(2, line)
