"""Stable hashes for splits, shuffles and shards: equal in every process and on every machine.

`hash()` is salted by process for text, so it decides nothing here.
"""

from __future__ import annotations

import hashlib

__all__ = ["fingerprint64", "unit_interval"]


def fingerprint64(*parts: str | int, seed: int = 0) -> int:
    """Hashes the parts to an unsigned 64-bit integer by BLAKE2b.

    Args:
        *parts: Text or integers; their boundaries count, so ("ab", "c") differs from ("a", "bc").
        seed: Another seed gives an independent hash.

    Example:
        >>> fingerprint64("user", 7) == fingerprint64("user", 7) != fingerprint64("user7")
        True
    """
    digest = hashlib.blake2b(digest_size=8, salt=seed.to_bytes(16, "little", signed=True))
    for part in parts:
        data = str(part).encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return int.from_bytes(digest.digest(), "little")


def unit_interval(*parts: str | int, seed: int = 0) -> float:
    """Hashes the parts to a number in [0, 1)."""
    return (fingerprint64(*parts, seed=seed) >> 11) / (1 << 53)
