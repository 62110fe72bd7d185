"""The gallery of a version, read for the page: names, labels and pictures of its items."""

from __future__ import annotations

import json
import threading
import zipfile
from pathlib import Path
from typing import Any

__all__ = ["Gallery"]

FILE = Path("assets.extra") / "gallery.zip"
# A picture is some kilobytes; what is larger once unpacked isn't one that an export wrote.
_PICTURE_BYTES = 1_000_000
_LIST_BYTES = 200_000_000
_FOUND = 20


class Gallery:
    """Reads `assets.extra/gallery.zip`; without one, every answer is empty.

    Args:
        version: The version's folder.
    """

    def __init__(self, version: Path) -> None:
        self._lock = threading.Lock()
        self._archive: zipfile.ZipFile | None = None
        try:
            self._archive = zipfile.ZipFile(version / FILE)
            items = json.loads(self._read("items.json", _LIST_BYTES) or b"{}")
            self.about: dict[str, Any] = json.loads(self._read("about.json", _LIST_BYTES) or b"{}")
            rows = zip(items["ids"], items["titles"], items["labels"], strict=True)
            self._rows = [(str(item), str(title), list(labels)) for item, title, labels in rows]
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            # Made for looks: a version without it, or with a damaged one, still answers requests.
            self.about, self._rows = {}, []
        self._place = {item: place for place, (item, _, _) in enumerate(self._rows)}
        self._pictures = set(self._archive.namelist()) if self._archive and self._rows else set()

    def items(self, ids: list[str]) -> dict[str, Any]:
        """Title, labels and whether there is a picture, by id, of the items that are known."""
        return {item: self._item(self._place[item]) for item in ids if item in self._place}

    def search(self, text: str) -> list[dict[str, Any]]:
        """The first items whose id is the text or whose title holds it, in any case."""
        wanted = text.casefold()
        exact = [self._place[text]] if text in self._place else []
        places = (
            place
            for place, (item, title, _) in enumerate(self._rows)
            if wanted in title.casefold() and item != text
        )
        found = exact + [place for place, _ in zip(places, range(_FOUND), strict=False)]
        return [{"id": self._rows[place][0], **self._item(place)} for place in found]

    def picture(self, item: str) -> bytes | None:
        """JPEG of an item, if there is one."""
        place = self._place.get(item)
        return None if place is None else self._read(f"pictures/{place}.jpg", _PICTURE_BYTES)

    def close(self) -> None:
        """Closes the file."""
        if self._archive is not None:
            self._archive.close()

    def _item(self, place: int) -> dict[str, Any]:
        _, title, labels = self._rows[place]
        picture = f"pictures/{place}.jpg" in self._pictures
        return {"title": title, "labels": labels, "picture": picture}

    def _read(self, name: str, most: int) -> bytes | None:
        assert self._archive is not None
        with self._lock:
            try:
                if self._archive.getinfo(name).file_size > most:
                    return None
                return self._archive.read(name)
            except (KeyError, OSError, zipfile.BadZipFile):
                return None
