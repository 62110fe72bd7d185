"""What lists do to the catalogue and to variety: coverage, concentration, novelty, diversity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.evaluation.compressed_rows import CompressedRows

__all__ = [
    "coverage",
    "entropy",
    "exposure",
    "exposure_by_group",
    "gini",
    "intra_list_diversity",
    "novelty",
    "popularity_lift",
    "popularity_rank",
    "serendipity",
]

Lists = NDArray[np.integer[Any]]
Values = NDArray[np.float64]


def exposure(lists: Lists, items: int) -> NDArray[np.int64]:
    """How often each item is listed.

    Args:
        lists: Integers [users, k]; -1 is no item.
        items: Catalogue size.

    Returns:
        int64 [items].
    """
    listed = lists[lists >= 0]
    return np.bincount(listed, minlength=items).astype(np.int64)


def coverage(counts: NDArray[np.integer[Any]]) -> float:
    """Share of items that are listed for anyone.

    Args:
        counts: Exposure of each item that could be listed [items].

    Example:
        >>> coverage(np.array([0, 3, 1, 0]))
        0.5
    """
    return float((counts > 0).mean()) if len(counts) else 0.0


def gini(counts: NDArray[np.integer[Any]]) -> float:
    """Concentration of exposure: 0 is even, towards 1 a single item takes all (Gini 1912).

    Args:
        counts: Exposure of each item that could be listed [items].

    Example:
        The sum of (2 i - n - 1) c_i over the sorted counts, over n times their sum:
        (-3·0 - 1·0 + 1·1 + 3·3) / (4·4).

        >>> gini(np.array([0, 3, 1, 0]))
        0.625
    """
    ordered = np.sort(counts).astype(np.float64)
    total = ordered.sum()
    if not total:
        return 0.0
    size = len(ordered)
    return float(((2 * np.arange(1, size + 1) - size - 1) * ordered).sum() / (size * total))


def entropy(counts: NDArray[np.integer[Any]]) -> float:
    """Shannon entropy of exposure in bits: log2 of how many items share it evenly.

    Example:
        >>> entropy(np.array([2, 2, 0, 0]))
        1.0
    """
    total = counts.sum()
    share = counts[counts > 0] / total if total else np.zeros(0)
    return float(-(share * np.log2(share)).sum()) + 0.0


def novelty(lists: Lists, train_count: NDArray[np.integer[Any]], users: int) -> Values:
    """Mean self-information of the listed items in bits (Zhou et al. 2010).

    An item that a share p of the users met in training carries -log2(p); one that nobody met counts
    as met by one.

    Args:
        lists: Integers [users, k]; -1 is no item.
        train_count: Users of each item in training [items].
        users: Users in training.

    Returns:
        float64 [users]; NaN for an empty list.
    """
    bits = -np.log2(np.clip(train_count, 1, max(users, 1)) / max(users, 1))
    return _list_mean(bits, lists)


def popularity_rank(lists: Lists, train_count: NDArray[np.integer[Any]]) -> float:
    """Mean rank by training popularity of the listed warm items: 1 is the most popular.

    Ranks of equally popular items are averaged; items without behaviour are left out.

    Returns:
        NaN when no listed item was in training.
    """
    warm = np.flatnonzero(train_count > 0)
    values, inverse, sizes = np.unique(-train_count[warm], return_inverse=True, return_counts=True)
    if not len(values):
        return float("nan")
    last = np.cumsum(sizes)
    rank = np.full(len(train_count), np.nan)
    rank[warm] = (last - (sizes - 1) / 2)[inverse]
    listed = rank[lists[lists >= 0]]
    listed = listed[~np.isnan(listed)]
    return float(listed.mean()) if len(listed) else float("nan")


def popularity_lift(
    lists: Lists, train_count: NDArray[np.integer[Any]], histories: CompressedRows
) -> float:
    """How much more popular the listed items are than those of the users' own histories.

    (GAP of lists - GAP of histories) / GAP of histories, where GAP is the mean over users of the
    mean popularity (Abdollahpouri et al. 2019): 0 keeps users' taste, 1 doubles the popularity.

    Returns:
        NaN without a user that has both.
    """
    popularity = train_count.astype(np.float64)
    ours = _list_mean(popularity, lists)
    sums = np.bincount(histories.row_of, popularity[histories.indices], minlength=len(histories))
    counts = histories.counts
    theirs = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    if not both.any() or not theirs[both].mean():
        return float("nan")
    return float(ours[both].mean() / theirs[both].mean() - 1)


def intra_list_diversity(lists: Lists, vectors: NDArray[np.floating[Any]]) -> Values:
    """Mean cosine distance between the items of a list (Ziegler et al. 2005).

    Args:
        lists: Integers [users, k]; -1 is no item.
        vectors: float [items, dim]: content, or a 0/1 table of tags. Items whose vector is all
            zeros are left out.

    Returns:
        float64 [users]; NaN with fewer than two items.

    Example:
        >>> intra_list_diversity(np.array([[0, 1], [0, 2]]), np.array([[1., 0], [0, 2], [3, 0]]))
        array([1., 0.])
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    kept = (lists >= 0) & (lengths[lists, 0] > 0)
    diversity = np.full(len(lists), np.nan)
    for start in range(0, len(lists), 4096):
        rows = slice(start, start + 4096)
        ours = unit[lists[rows]] * kept[rows, :, None]
        # The sum over pairs of distinct items is |sum|² - n.
        total = np.square(ours.sum(axis=1, dtype=np.float64)).sum(axis=1)
        count = kept[rows].sum(axis=1).astype(np.float64)
        pairs = count * (count - 1)
        similar = np.divide(total - count, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
        diversity[rows] = 1 - similar
    return diversity


def serendipity(
    lists: Lists, relevant: CompressedRows, popularity_order: NDArray[np.integer[Any]]
) -> Values:
    """Share of the list that is relevant and that a popularity list of its length lacks.

    After Ge et al. 2010, with the popularity list as the primitive recommender.

    Args:
        lists: Integers [users, k]; -1 is no item.
        relevant: Relevant items, a row a user.
        popularity_order: Items by descending popularity [at least k].
    """
    obvious = np.isin(lists, popularity_order[: lists.shape[1]])
    return (relevant.contains(lists) & ~obvious).sum(axis=1) / max(lists.shape[1], 1)


def exposure_by_group(lists: Lists, group: NDArray[np.integer[Any]], groups: int) -> Values:
    """Share of the exposure that each group of items (provider, label, category) gets.

    Each place counts 1 / log2(rank + 1), as attention falls with rank (Singh & Joachims 2018).

    Args:
        lists: Integers [users, k]; -1 is no item.
        group: Group of each item [items].
        groups: How many groups there are.

    Returns:
        float64 [groups], summing to 1 unless all lists are empty.
    """
    weight = np.broadcast_to(1 / np.log2(np.arange(2, lists.shape[1] + 2)), lists.shape)
    listed = lists >= 0
    sums = np.bincount(group[lists[listed]], weight[listed], minlength=groups)
    return sums / max(sums.sum(), np.finfo(float).tiny)


def _list_mean(values: Values, lists: Lists) -> Values:
    listed = lists >= 0
    count = listed.sum(axis=1)
    total = (values[lists] * listed).sum(axis=1)
    return np.divide(total, count, out=np.full(len(lists), np.nan), where=count > 0)
