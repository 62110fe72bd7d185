"""Ask decoder processes for odd media, each file under a limit of wall time.

Decoders in C can hang, crash or eat the memory of whoever calls them. Here that is a child: one
that doesn't answer in time is killed, one that died is replaced, and only its file is refused.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from preprocessing.decoder_child import read_message, write_message

__all__ = ["DecoderError", "DecoderPool", "decoder_pool"]

# A photograph of 50 megapixels takes two seconds on a busy core, half a minute of sound less.
WALL_SECONDS = 30.0
# Pixels of 50 megapixels in RGB are 150 MB, and decoders keep several copies.
ADDRESS_SPACE = 4 << 30


class DecoderError(Exception):
    """A file that cost a decoder its life.

    Args:
        rule: `media_too_slow` or `unreadable_media`.
        received: What happened.
    """

    def __init__(self, rule: str, received: str) -> None:
        super().__init__(received)
        self.rule, self.received = rule, received


class DecoderPool:
    """Decoder processes, as many as threads ask at once.

    Args:
        seconds: Wall time of one file.
        command: How a process is started.
    """

    def __init__(self, seconds: float = WALL_SECONDS, command: Sequence[str] | None = None) -> None:
        self._seconds = seconds
        self._command = command or [
            sys.executable,
            "-m",
            "preprocessing.decoder_child",
            str(ADDRESS_SPACE),
        ]
        self._idle: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        atexit.register(self.close)

    def decode(self, kind: str, data: bytes, options: dict[str, Any]) -> Any:
        """Decodes one file; see `preprocessing.decoder_child`.

        Raises:
            DecoderError: The process took too long or died; the next file gets a new one.
        """
        child = self._take()
        assert child.stdin is not None and child.stdout is not None
        killer = threading.Timer(self._seconds, child.kill)
        started = time.monotonic()
        killer.start()
        try:
            write_message(child.stdin, (kind, data, options))
            result = read_message(child.stdout)
        except (EOFError, OSError) as error:
            _end(child)
            spent = time.monotonic() - started
            if spent >= self._seconds:
                told = f"no picture or sound within {self._seconds:g} seconds"
                raise DecoderError("media_too_slow", told) from error
            told = f"a file that ended its decoder with status {child.returncode}"
            raise DecoderError("unreadable_media", told) from error
        except BaseException:
            _end(child)
            raise
        finally:
            killer.cancel()
        with self._lock:
            self._idle.append(child)
        return result

    def close(self) -> None:
        """Ends the processes."""
        with self._lock:
            children, self._idle = self._idle, []
        for child in children:
            _end(child)

    def _take(self) -> subprocess.Popen[bytes]:
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.poll() is None:
                    return child
                _end(child)
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )


_POOL: list[DecoderPool] = []
_POOL_LOCK = threading.Lock()


def decoder_pool() -> DecoderPool:
    """The pool of this process."""
    with _POOL_LOCK:
        if not _POOL:
            _POOL.append(DecoderPool())
        return _POOL[0]


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:
                # What was still to be sent to a dead process.
                continue
