"""Which index an export gets, and how much it finds of what scoring every item finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tfrec.errors import DescriptionError
from tfrec.export.reference import Reference
from tfrec.export.source import ServingSource
from tfrec.index import ExactIndex, Index
from tfrec.index.newcomers import tune_newcomers
from tfrec.index.similar import tune_similar
from tfrec.index.tuning import Tuning, tune

__all__ = [
    "AUTO",
    "INDEXES",
    "ChosenIndex",
    "IndexOptions",
    "choose_index",
    "newcomer_queries",
    "sampled_queries",
]

AUTO = "auto"
INDEXES = (AUTO, "exact", "ivf", "ivf-int8", "ivf-pq")
# Up to so many items scoring all of them stays well below a millisecond (0.6 of width 64, where an
# inverted file took 0.24), and nothing is missed: see the table in docs/serving.md.
EXACT_ITEMS = 50_000
_QUERIES = 512


@dataclass(frozen=True)
class IndexOptions:
    """What is wanted of an export's index.

    Attributes:
        kind: One of `INDEXES`.
        recall: Least recall of an approximate one.
        k: Items that a request usually asks for.
    """

    kind: str = AUTO
    recall: float = 0.98
    k: int = 10


@dataclass(frozen=True)
class ChosenIndex:
    """The index of an export.

    Attributes:
        index: It.
        tuning: What was measured; none for an exact one.
        similar: Recall of `similar_items`; 1 for an exact one.
        newcomers: Recall for users without a history; 1 for an exact one.
    """

    index: Index
    tuning: Tuning | None = None
    similar: float = 1.0
    newcomers: float = 1.0

    @property
    def summary(self) -> str:
        """One line for people and the model card."""
        if self.tuning is None:
            return f"{self.index.kind}: every item is scored"
        tuning, chosen = self.tuning, self.tuning.chosen
        return (
            f"{tuning.kind}: {chosen.probes} of {chosen.cells} cells probed; recall@{tuning.k}"
            f" {chosen.recall:.4f} against exact on held-out queries (wanted {tuning.target:g}),"
            f" {self.similar:.4f} of `similar_items`, {self.newcomers:.4f} for users without a"
            " history;"
            f" {chosen.milliseconds:.2f} ms a query where exact took"
            f" {tuning.exact_milliseconds:.2f}; memory {tuning.memory:.2f} of the vectors'"
        )


def choose_index(
    source: ServingSource,
    options: IndexOptions,
    say: Callable[[str], None] = lambda line: None,
) -> ChosenIndex:
    """Builds the index, an approximate one for the recall that is wanted.

    Args:
        source: The model, its catalogue and users.
        options: What is wanted.
        say: Takes a line on each step.

    Raises:
        DescriptionError: The kind is unknown, or it can't reach the recall; `auto` takes the exact
            index then.
    """
    if options.kind not in INDEXES:
        raise DescriptionError(
            "--index",
            f"it is one of {', '.join(INDEXES)}",
            received=options.kind,
            remedy=f"Leave it out for `{AUTO}`",
        )
    small = options.kind == AUTO and len(source.item_vectors) <= EXACT_ITEMS
    if options.kind == "exact" or small:
        return ChosenIndex(ExactIndex(source.item_vectors))
    queries, seen = sampled_queries(source)
    index, tuning = tune(
        source.item_vectors,
        queries,
        seen,
        kind="ivf" if options.kind == AUTO else options.kind,
        target=options.recall,
        k=min(options.k, len(source.item_vectors)),
        say=say,
    )
    if options.kind == AUTO and tuning.chosen.milliseconds > tuning.exact_milliseconds:
        say("exact is faster here")
        return ChosenIndex(ExactIndex(source.item_vectors))
    similar = tune_similar(index, source.item_vectors, target=options.recall, k=options.k)
    say(f"similar items: {index.cosine_probes} cells probed, recall {similar:.4f}")
    queries = newcomer_queries(source)
    newcomers = tune_newcomers(
        index, source.item_vectors, queries, target=options.recall, k=tuning.k
    )
    say(f"users without a history: {index.newcomer_probes} cells probed, recall {newcomers:.4f}")
    return ChosenIndex(index, tuning, similar, newcomers)


def newcomer_queries(source: ServingSource, seed: int = 0) -> np.ndarray:
    """Query vectors of users without a history or an id, with profiles that users have, or none.

    Args:
        source: The model and its users.
        seed: Of the sample.

    Returns:
        float32 [q, D].
    """
    users = source.users
    random = np.random.default_rng(seed)
    count = min(_QUERIES, len(users.ids)) if users.profile else 0
    rows = random.choice(len(users.ids), count, replace=False) if count else np.zeros(0, int)
    return Reference(source).newcomer_vectors([str(users.ids[row]) for row in rows])


def sampled_queries(source: ServingSource, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Query vectors of known users and the items that each may not get again.

    Args:
        source: The model, its catalogue and users.
        seed: Of the sample.

    Returns:
        float32 [q, D], and int32 [q, e] padded with -1.

    Raises:
        DescriptionError: Fewer than two users are known.
    """
    users = source.users
    if len(users.ids) < 2:
        raise DescriptionError(
            "--index",
            "the recall of an approximate index is measured on at least two users",
            received=f"{len(users.ids)} users",
            remedy="Take `exact`",
        )
    random = np.random.default_rng(seed)
    count = min(_QUERIES, len(users.ids))
    rows = random.choice(len(users.ids), count, replace=False)
    empty: list[list[str]] = [[] for _ in rows]
    queries = Reference(source).user_vectors([str(users.ids[row]) for row in rows], empty)
    lists = [users.seen[users.seen_offsets[row] : users.seen_offsets[row + 1]] for row in rows]
    seen = np.full((count, max(1, *map(len, lists))), -1, np.int32)
    for place, items in enumerate(lists):
        seen[place, : len(items)] = items
    return queries, seen
