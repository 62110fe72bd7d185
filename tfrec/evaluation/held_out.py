"""The question that every system is asked: who, what they did before, what they did then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tfrec.config.dataset import MEDIA
from tfrec.errors import DataError
from tfrec.evaluation.candidates import read_candidates
from tfrec.evaluation.compressed_rows import CompressedRows
from tfrec.fingerprint import fingerprint64
from tfrec.input import ItemTable, Timelines
from tfrec.schema import DataLayout, Split

__all__ = ["HeldOut", "histories_before", "seen_items"]


@dataclass(frozen=True)
class HeldOut:
    """Users of a split with something relevant to find.

    An item is relevant for a user who has a positive event on it in the split and no event of any
    kind before. All parts before the split are the user's past: what they hold is never listed.

    Attributes:
        split: `validation` or `test`.
        items: The catalogue, N items; media without an encoding are left out.
        train: The train part, which systems are fitted on.
        targets: The U users' events of the split.
        past: The same users' events before it, in the same order, with their profiles.
        at: int64 [U], Unix seconds of the user's first event of the split: when they are asked.
        seen: Items of the past, a row a user.
        relevant: Relevant items, a row a user; none is empty.
        users_total: Users of the split, also those with nothing relevant or left out by sampling.
        candidates: int64 [n], the only items that may be listed or count as relevant, ascending;
            `None` for the whole catalogue.
    """

    split: Split
    items: ItemTable
    train: Timelines
    targets: Timelines
    past: Timelines
    at: NDArray[np.int64]
    seen: CompressedRows
    relevant: CompressedRows
    users_total: int
    candidates: NDArray[np.int64] | None = None

    @classmethod
    def load(
        cls,
        data: str | Path,
        split: Split,
        *,
        max_users: int | None = None,
        seed: int = 0,
        candidates: str | Path | None = None,
    ) -> HeldOut:
        """Reads a split of prepared data.

        Args:
            data: The directory.
            split: `validation` or `test`.
            max_users: Takes a sample of the users, the same one for a seed.
            seed: Of the sample.
            candidates: Text file with an item id a line; all items unless given.

        Raises:
            DataError: The data is missing, the split has nobody with something relevant, or a
                candidate is no item.
        """
        manifest = DataLayout(data).read_manifest()
        plain = [
            spec.name
            for spec in manifest.item_features
            if spec.modality not in MEDIA or spec.encoded_dim is not None
        ]
        items = ItemTable.load(data, features=plain, raw=False)
        train = Timelines.load(data, "train")
        history = train
        if split == "test":
            history = Timelines.concatenate(train, Timelines.load(data, "validation"))
        targets = Timelines.load(data, split)
        return cls.build(
            split,
            items,
            train,
            history,
            targets,
            max_users=max_users,
            seed=seed,
            candidates=None if candidates is None else read_candidates(candidates, items.ids),
            where=str(data),
        )

    @classmethod
    def build(
        cls,
        split: Split,
        items: ItemTable,
        train: Timelines,
        history: Timelines,
        targets: Timelines,
        *,
        max_users: int | None = None,
        seed: int = 0,
        candidates: NDArray[np.int64] | None = None,
        where: str = "data",
    ) -> HeldOut:
        """As `load`, from arrays; `history` is everything before the split."""
        total = len(targets)
        past = histories_before(history, targets)
        seen = seen_items(past)
        positive = targets.positives()
        relevant = CompressedRows.from_pairs(
            positive.rows, positive.item_index, rows=len(targets)
        ).without(seen)
        if candidates is not None:
            allowed = np.zeros(len(items), bool)
            allowed[candidates] = True
            relevant = relevant.keep(allowed)
        users = np.flatnonzero(relevant.counts)
        if not len(users):
            raise DataError(
                where,
                f"the {split} part needs a user with a positive event on an item new to them"
                + ("" if candidates is None else ", among the candidates"),
                received="none" if total else "an empty part",
                remedy="Check the label rule and the split in the dataset description",
            )
        if max_users is not None and len(users) > max_users:
            # By fingerprint of the user, so that a growing data set keeps most of its sample.
            order = [fingerprint64(str(name), seed=seed) for name in targets.user_ids[users]]
            users = np.sort(users[np.argsort(np.array(order, np.uint64))[:max_users]])
        chosen = targets.select(targets.user_index[users])
        return cls(
            split=split,
            items=items,
            train=train,
            targets=chosen,
            past=histories_before(history, chosen),
            at=chosen.timestamp[chosen.offsets[:-1]],
            seen=seen.take(users),
            relevant=relevant.take(users),
            users_total=total,
            candidates=candidates,
        )

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def listed(self) -> NDArray[np.int64]:
        """Items that may be listed, int64 [n], ascending."""
        return np.arange(len(self.items)) if self.candidates is None else self.candidates

    @property
    def warm(self) -> NDArray[np.bool_]:
        """Which items had a positive event in the train part, bool [N]."""
        return self.items.warm


def histories_before(history: Timelines, targets: Timelines) -> Timelines:
    """The past of the users of `targets`, in their order; the profile is that of `targets`.

    A user who is new in the split has an empty past, but a profile all the same.
    """
    past = history.select(targets.user_index)
    return replace(
        past,
        user_ids=targets.user_ids,
        profile=targets.profile,
        profile_present=targets.profile_present,
    )


def seen_items(past: Timelines) -> CompressedRows:
    """Items of every event, positive or not, a row a user."""
    return CompressedRows.from_pairs(past.rows, past.item_index, rows=len(past))
