"""Exact top-k over the whole catalogue, without ever holding users × items.

Scores are made a tile at a time (`_TILE_ITEMS` items × `_TILE_USERS` users) into one buffer that
stays in the processor's cache. For each tile:

1. the product of item and query vectors, seen items set to the lowest value;
2. the maximum of each block of `_BLOCK` neighbouring items, for each user;
3. only blocks whose maximum beats the user's k-th best so far are looked into. When more than a
   few times k do (always in the first tile), the k-th greatest of the tile's block maxima is a
   second bar: k different items reach it, so nothing below it can be among the best k;
4. what passes is kept as a 64-bit key, the score in its upper half and the inverted item index in
   its lower, so that keeping the k greatest keys is exact, and equal scores rank by item index.

A worked example, k = 1, blocks of two, one user: scores [3, 1 | 2, 2 | 3, 9]. The maxima are 3, 2
and 9. The bar after the first block is 3: the second is never opened; the third is, and 9 wins. Had
the 9 been a 3, its block would stay closed as well: an equal score of a later item can't win.

The reduction over block maxima runs along the users, who lie next to each other in memory: on two
cores 2,048 users × 200k items × 64 dimensions took 0.37 s up to step 2, where maxima along the
items took 0.68 s. Each processor takes users of its own through all four steps, the product on one
BLAS thread: shared only in the product, the same took 1.3 times as long.
`benchmarks/evaluate.py` measures the whole beside TensorFlow's ways.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tfrec.errors import DataError
from tfrec.evaluation.compressed_rows import CompressedRows

__all__ = ["TopK", "top_k", "top_k_blocks", "top_k_of_scores"]

_TILE_USERS = 1024
_TILE_ITEMS = 4096
_BLOCK = 16
# Fewer users a thread make a product that costs more than it shares.
_LEAST_TILE_USERS = 128
_LOWEST = np.float32(-np.inf)
# Above so many opened blocks a user, as a multiple of k, the second bar pays for itself.
_CROWDED = 2

Floats = NDArray[np.float32]
# Fills the tile [items, users] with the scores of items start … stop - 1.
Fill = Callable[[int, int, Floats], None]


@dataclass(frozen=True)
class TopK:
    """Ranked lists.

    Attributes:
        items: int32 [users, k], best first; -1 where the items ran out.
        scores: float32 [users, k]; -inf where the items ran out.
    """

    items: NDArray[np.int32]
    scores: Floats


def top_k(
    queries: Floats,
    items: Floats,
    k: int,
    *,
    seen: CompressedRows | None = None,
    candidates: NDArray[np.integer] | None = None,
) -> TopK:
    """The k items with the greatest inner product for each query, exactly.

    Equal scores rank by item index, the lower first. Two items with equal vectors may still differ
    in the last bit, since a matrix product sums in an order that depends on the position.

    Args:
        queries: float32 [users, dim].
        items: float32 [items, dim].
        k: Length of the lists, at least 1.
        seen: Items that are never listed, a row a query.
        candidates: Integers [candidates]: the only items that may be listed; all unless given.

    Returns:
        Lists by index into `items`, also when `candidates` are given.

    Raises:
        DataError: Shapes don't fit, a vector is not finite, or a candidate doesn't exist.

    Example:
        >>> vectors = np.array([[1, 0], [0, 1], [2, 0]], np.float32)
        >>> seen = CompressedRows.from_pairs([1], [2], rows=2)
        >>> top_k(np.array([[1, 1], [1, 1]], np.float32), vectors, 2, seen=seen).items.tolist()
        [[2, 0], [0, 1]]
    """
    blocks = list(top_k_blocks(queries, items, k, seen=seen, candidates=candidates))
    return _joined([block for _, block in blocks], k)


def top_k_blocks(
    queries: Floats,
    items: Floats,
    k: int,
    *,
    seen: CompressedRows | None = None,
    candidates: NDArray[np.integer] | None = None,
) -> Iterator[tuple[slice, TopK]]:
    """As `top_k`, handing over some users at a time, so that memory doesn't grow with them.

    Yields:
        The users' positions in `queries`, and their lists.
    """
    if queries.ndim != 2 or items.ndim != 2 or queries.shape[1] != items.shape[1]:
        raise DataError(
            "top_k",
            "`queries` [users, dim] and `items` [items, dim] must have one dim",
            received=f"{queries.shape} and {items.shape}",
        )
    for name, vectors in (("queries", queries), ("items", items)):
        _check_finite(name, vectors)
    chosen = _checked_candidates(candidates, len(items))
    vectors = np.ascontiguousarray(items if chosen is None else items[chosen], dtype=np.float32)
    queries = np.ascontiguousarray(queries, dtype=np.float32)

    def scores(users: slice) -> Fill:
        ours = queries[users].T

        def fill(start: int, stop: int, tile: Floats) -> None:
            # Both sides are finite; some BLAS kernels still raise a flag for lanes they don't use.
            with np.errstate(invalid="ignore"):
                np.matmul(vectors[start:stop], ours, out=tile)

        return fill

    yield from _blocks(scores, len(queries), len(items), k, seen, chosen, _TILE_USERS, _threads())


def top_k_of_scores(
    scores: Callable[[slice], Floats],
    users: int,
    items: int,
    k: int,
    *,
    seen: CompressedRows | None = None,
    candidates: NDArray[np.integer] | None = None,
    users_at_once: int = 256,
) -> TopK:
    """As `top_k`, for models that give scores and not vectors.

    Args:
        scores: From users' positions to their scores of every item, float32 [some users, items].
        users: How many users there are.
        items: How many items there are.
        k: Length of the lists, at least 1.
        seen: Items that are never listed, a row a user.
        candidates: Integers [candidates]: the only items that may be listed; all unless given.
        users_at_once: How many users `scores` is asked for at once.

    Returns:
        Lists by item index.

    Raises:
        DataError: A score is NaN, or a candidate doesn't exist.

    Example:
        >>> table = np.array([[0, 1, 1, 0]], np.float32)
        >>> top_k_of_scores(lambda users: table[users], 1, 4, k=3).items.tolist()
        [[1, 2, 0]]
    """
    chosen = _checked_candidates(candidates, items)

    def filler(at: slice) -> Fill:
        block = scores(at)
        if np.isnan(block).any():
            raise DataError("top_k", "a score must be a number", received="NaN")
        if chosen is not None:
            block = block[:, chosen]

        def fill(start: int, stop: int, tile: Floats) -> None:
            tile[...] = block[:, start:stop].T

        return fill

    # One thread: `scores` is the caller's, and may not bear to be called twice at once.
    blocks = _blocks(filler, users, items, k, seen, chosen, users_at_once, 1)
    return _joined([block for _, block in blocks], k)


def _threads() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _joined(blocks: list[TopK], k: int) -> TopK:
    if not blocks:
        return TopK(np.zeros((0, k), np.int32), np.zeros((0, k), np.float32))
    return TopK(
        np.concatenate([block.items for block in blocks]),
        np.concatenate([block.scores for block in blocks]),
    )


def _check_finite(name: str, vectors: Floats) -> None:
    # A tile at a time: a mask of the whole table would be a quarter of its size.
    for start in range(0, len(vectors), 65_536):
        wrong = ~np.isfinite(vectors[start : start + 65_536]).all(axis=1)
        if wrong.any():
            raise DataError(
                "top_k",
                f"every vector of `{name}` must be finite",
                received=f"NaN or infinity in row {start + int(wrong.argmax())}",
                remedy="Train again with a lower learning rate",
            )


def _checked_candidates(
    candidates: NDArray[np.integer] | None, items: int
) -> NDArray[np.int32] | None:
    if candidates is None:
        return None
    chosen = np.unique(np.asarray(candidates))
    if len(chosen) and (chosen[0] < 0 or chosen[-1] >= items):
        raise DataError(
            "top_k",
            f"a candidate is an item index from 0 to {items - 1}",
            received=int(chosen[0] if chosen[0] < 0 else chosen[-1]),
        )
    return chosen.astype(np.int32)


def _blocks(
    scores: Callable[[slice], Fill],
    users: int,
    items: int,
    k: int,
    seen: CompressedRows | None,
    chosen: NDArray[np.int32] | None,
    users_at_once: int,
    threads: int,
) -> Iterator[tuple[slice, TopK]]:
    if k < 1:
        raise DataError("top_k", "`k` must be at least 1", received=k)
    if seen is not None and len(seen) != users:
        raise DataError("top_k", f"`seen` has a row for each of {users} users", received=len(seen))
    position = None
    if chosen is not None:
        position = np.full(items, -1, np.int64)
        position[chosen] = np.arange(len(chosen))
        items = len(chosen)
    # The second bar needs k blocks in a tile.
    tile_items = max(_TILE_ITEMS, _BLOCK << (_CROWDED * k - 1).bit_length())
    tile_items = min(tile_items, -(-max(items, 1) // _BLOCK) * _BLOCK)
    tile_users = max(32, min(users_at_once, _TILE_USERS * _TILE_ITEMS // tile_items))
    tile_users = min(tile_users, max(_LEAST_TILE_USERS, -(-users // threads)))

    def tile_of(at: slice) -> tuple[slice, TopK]:
        found = _ranked(scores(at), at, items, k, _hidden(seen, at, position), tile_items)
        if chosen is not None:
            # Position -1, no item, picks the -1 at the end.
            found = TopK(np.append(chosen, np.int32(-1))[found.items], found.scores)
        return at, found

    tiles = [slice(start, min(start + tile_users, users)) for start in range(0, users, tile_users)]
    if threads == 1 or len(tiles) < 2:
        yield from map(tile_of, tiles)
        return
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, len(tiles), threads):
            # The limit is the whole process's, so it ends before the caller goes on.
            with threadpool_limits(1, user_api="blas"):
                found = list(pool.map(tile_of, tiles[first : first + threads]))
            yield from found


def _ranked(
    fill: Fill,
    at: slice,
    items: int,
    k: int,
    hidden: tuple[NDArray[np.int64], NDArray[np.int64]],
    tile_items: int,
) -> TopK:
    """Ranks all items for the users of a slice, by position."""
    some = at.stop - at.start
    best = _BestKeys(some, k)
    buffer = np.empty(tile_items * some, np.float32)
    for first in range(0, items, tile_items):
        last = min(first + tile_items, items)
        # Rows up to a whole block; those past the catalogue stay at the lowest value.
        rows = -(-(last - first) // _BLOCK) * _BLOCK
        tile = buffer[: rows * some].reshape(rows, some)
        fill(first, last, tile[: last - first])
        tile[last - first :] = _LOWEST
        cut = slice(*np.searchsorted(hidden[1], (first, last)))
        tile[hidden[1][cut] - first, hidden[0][cut]] = _LOWEST
        best.add(tile, first)
    return best.result()


def _hidden(
    seen: CompressedRows | None, at: slice, position: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Users and items to hide, sorted by item so that each tile takes a slice."""
    if seen is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    ours = seen.take(np.arange(at.start, at.stop))
    user, item = ours.row_of, ours.indices.astype(np.int64)
    if position is not None:
        item = position[item]
        user, item = user[item >= 0], item[item >= 0]
    order = np.argsort(item, kind="stable")
    return user[order], item[order]


class _BestKeys:
    """The k greatest keys of each user, so far."""

    def __init__(self, users: int, k: int) -> None:
        self._k = k
        self._keys = np.zeros((users, k), np.uint64)
        self._bar = np.full(users, _LOWEST, np.float32)
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.uint64]]] = []
        self._waiting_count = 0

    def add(self, tile: Floats, first: int) -> None:
        """Takes in the scores [items, users] of items from `first` on."""
        users = len(self._bar)
        blocks = tile.reshape(-1, _BLOCK, users)
        maxima = np.maximum.reduce(blocks, axis=1)
        opened = maxima > self._bar
        level = self._bar
        if len(maxima) > self._k and np.count_nonzero(opened) > _CROWDED * self._k * users:
            level = np.partition(maxima, -self._k, axis=0)[-self._k]
            opened &= maxima >= level
        block, user = np.divmod(np.flatnonzero(opened), users)
        if not len(user):
            return
        # [_BLOCK, pairs]: each row a gather, and the pairs stay next to each other in memory.
        flat = tile.reshape(-1)
        start = block * (_BLOCK * users) + user
        scores = np.empty((_BLOCK, len(start)), np.float32)
        for offset in range(_BLOCK):
            np.take(flat[offset * users :], start, out=scores[offset], mode="clip")
        passed = scores > self._bar[user]
        if level is not self._bar:
            passed &= scores >= level[user]
        row, pair = np.divmod(np.flatnonzero(passed), len(start))
        item = first + block[pair] * _BLOCK + row
        self._waiting.append((user[pair], _key(scores[row, pair], item)))
        self._waiting_count += len(pair)
        if self._waiting_count > users * self._k // 2:
            self._merge()

    def _merge(self) -> None:
        users = len(self._bar)
        user = np.concatenate([user for user, _ in self._waiting])
        keys = np.concatenate([keys for _, keys in self._waiting])
        # A tile's users fit 16 bits, which NumPy sorts by radix.
        order = np.argsort(user.astype(np.int16), kind="stable")
        user, keys = user[order], keys[order]
        counts = np.bincount(user, minlength=users)
        within = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
        table = np.zeros((users, self._k + int(counts.max(initial=0))), np.uint64)
        table[:, : self._k] = self._keys
        table[user, self._k + within] = keys
        table.partition(table.shape[1] - self._k, axis=1)
        self._keys = np.ascontiguousarray(table[:, -self._k :])
        self._bar = _scores(self._keys.min(axis=1))
        self._waiting, self._waiting_count = [], 0

    def result(self) -> TopK:
        """Everything taken in, best first."""
        if self._waiting:
            self._merge()
        keys = np.sort(self._keys, axis=1)[:, ::-1]
        items = np.uint64(0xFFFFFFFF) - (keys & np.uint64(0xFFFFFFFF))
        return TopK(np.where(keys > 0, items.astype(np.int64), -1).astype(np.int32), _scores(keys))


def _key(scores: Floats, items: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Keys that sort by score, then by lower item index."""
    # Adding zero turns -0.0 into 0.0: equal scores must have equal bits.
    bits = (scores + np.float32(0)).view(np.uint32)
    negative = bits >> np.uint32(31) == 1
    ordered = np.where(negative, ~bits, bits | np.uint32(0x80000000)).astype(np.uint64)
    return (ordered << np.uint64(32)) | (np.uint64(0xFFFFFFFF) - items.astype(np.uint64))


def _scores(keys: NDArray[np.uint64]) -> Floats:
    """The scores inside keys; the empty key 0 stands for -inf."""
    ordered = (keys >> np.uint64(32)).astype(np.uint32)
    positive = ordered >> np.uint32(31) == 1
    bits = np.where(positive, ordered & np.uint32(0x7FFFFFFF), ~ordered)
    return np.where(keys > 0, bits.view(np.float32), _LOWEST).astype(np.float32)
