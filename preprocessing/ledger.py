"""Keep the books of a run: rows read, written and refused; refuse to go on above the limit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from preprocessing.rejecting import BY_REQUEST, Refusals
from tfrec.errors import RejectedRowsError
from tfrec.schema import RowCounts

__all__ = ["Ledger"]

# Above this share of unknown items the ids themselves are looked at.
_MANY_ORPHANS = 0.02
_MEDIA = "media"


class Ledger:
    """Counts rows by source and rule, and writes refused ones to `rejected/<source>.jsonl`.

    Args:
        folder: The folder of refused rows.
        max_rejected: Largest share of a source's rows, or of a feature's files, to be refused.
        kept_at: Where refused rows will be found when nothing is published.
    """

    def __init__(self, folder: Path, max_rejected: float, kept_at: Path) -> None:
        self._folder = folder
        self._max_rejected = max_rejected
        self._kept_at = kept_at
        self._read: Counter[str] = Counter()
        self._rules: dict[str, Counter[str]] = {}
        self._first: dict[tuple[str, str], str] = {}
        self._media: dict[str, RowCounts] = {}

    def count_read(self, source: str, rows: int) -> None:
        """Adds rows that were read."""
        self._read[source] += rows
        self._rules.setdefault(source, Counter())

    def refuse(self, refusals: Refusals, media: bool = False) -> None:
        """Adds refused rows or files."""
        rules = self._rules.setdefault(refusals.source, Counter())
        rules.update(refusals.rules)
        if not refusals.lines:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        name = _MEDIA if media else refusals.source
        with open(self._folder / f"{name}.jsonl", "a", encoding="utf-8") as stream:
            stream.writelines(line + "\n" for line in refusals.lines)
        if len(self._first) < 1000:
            for line in refusals.lines[:1000]:
                row = json.loads(line)
                place = f"{row['file']}:{row['line']} {row['received']!r}"
                self._first.setdefault((refusals.source, row["rule"]), place)

    def count_media(self, feature: str, counts: RowCounts) -> None:
        """Adds files of a feature."""
        before = self._media.get(feature, RowCounts())
        self._media[feature] = RowCounts(
            read=before.read + counts.read,
            written=before.written + counts.written,
            rejected=before.rejected + counts.rejected,
        )

    @property
    def sources(self) -> dict[str, RowCounts]:
        """Rows by source."""
        counts = {}
        for source, read in self._read.items():
            rejected = self._rules[source].total()
            counts[source] = RowCounts(read=read, written=read - rejected, rejected=rejected)
        return counts

    @property
    def media(self) -> dict[str, RowCounts]:
        """Files by feature."""
        return dict(self._media)

    @property
    def rules(self) -> dict[str, int]:
        """Refused rows and files by rule."""
        total: Counter[str] = Counter()
        for rules in self._rules.values():
            total.update(rules)
        return dict(sorted(total.items()))

    def check(self, explain_orphans: Callable[[], str | None] | None = None) -> None:
        """Refuses to go on when too much was refused.

        Args:
            explain_orphans: Looks for the reason why items are unknown.

        Raises:
            RejectedRowsError: More than the limit.
        """
        groups = {source: (counts, "rows") for source, counts in self.sources.items()}
        groups |= {feature: (counts, "files") for feature, counts in self._media.items()}
        for name, (counts, what) in groups.items():
            rules = self._rules.get(name, Counter())
            bad = sum(number for rule, number in rules.items() if rule not in BY_REQUEST)
            if bad <= self._max_rejected * counts.read:
                continue
            worst = [
                f"{number:,} {rule} (first {self._first.get((name, rule), '?')})"
                for rule, number in rules.most_common()
                if rule not in BY_REQUEST
            ]
            reason = None
            if rules["unknown_item"] > _MANY_ORPHANS * counts.read and explain_orphans:
                reason = explain_orphans()
            remedy = f"{reason or 'Correct them'}, or raise --max-rejected; all are in"
            raise RejectedRowsError(
                name,
                f"at most {self._max_rejected:.1%} of the {what} may be refused"
                " (--max-rejected), nothing was published",
                received=f"{bad:,} of {counts.read:,}: {'; '.join(worst[:3])}",
                remedy=f"{remedy} {self._kept_at}",
            )
