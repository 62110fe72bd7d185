"""The demonstration page: files of the package, and what a version's gallery holds."""

from __future__ import annotations

import json
import threading
from importlib import resources
from typing import Any
from urllib.parse import parse_qs

from serving.gallery import Gallery
from serving.predict import DEFAULT_SIGNATURE
from serving.repository import ModelRepository
from serving.rest_server import Page
from serving.status import StatusError

__all__ = ["demonstration_pages"]

_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/ui.css": ("page.css", "text/css; charset=utf-8"),
    "/ui.js": ("page.js", "text/javascript; charset=utf-8"),
    "/ui-filters.js": ("filters.js", "text/javascript; charset=utf-8"),
    "/ui-results.js": ("results.js", "text/javascript; charset=utf-8"),
    "/ui-parts.js": ("parts.js", "text/javascript; charset=utf-8"),
}
RECOMMEND_INPUTS = {"user_id", "history", "exclude", "k"}
# What the page does more where a model has it.
_EXTRAS = (
    "similar_items",
    "explain",
    "recommend_filtered",
    "embed_item",
    "similar_to_content",
    "search",
)


def demonstration_pages(repository: ModelRepository) -> dict[str, Page]:
    """Answers by path for `tfrec serve --ui`.

    Args:
        repository: The models that the page offers.
    """
    pages: dict[str, Page] = {}
    for path, (name, media_type) in _FILES.items():
        content = resources.files("serving").joinpath("ui", name).read_bytes()
        pages[path] = (media_type, lambda query, content=content: content)  # type: ignore[misc]
    galleries = _Galleries(repository)
    pages["/ui/models.json"] = ("application/json", lambda query: _models(repository))
    pages["/ui/about.json"] = ("application/json", galleries.about)
    pages["/ui/items.json"] = ("application/json", galleries.items)
    pages["/ui/search.json"] = ("application/json", galleries.search)
    pages["/ui/picture.jpg"] = ("image/jpeg", galleries.picture)
    return pages


def _models(repository: ModelRepository) -> bytes:
    from tensorflow_serving.apis import model_pb2

    found: dict[str, Any] = {}
    for name in repository.models():
        try:
            with repository.acquire(model_pb2.ModelSpec(name=name)) as servable:
                signatures = servable.runner.signatures
        except StatusError as error:
            found[name] = {"recommend": False, "error": error.message}
            continue
        default = signatures.get(DEFAULT_SIGNATURE)
        found[name] = {
            "recommend": default is not None and set(default.inputs) == RECOMMEND_INPUTS,
            **{extra: extra in signatures for extra in _EXTRAS},
        }
    return json.dumps({"models": found}).encode()


class _Galleries:
    """The gallery of each model's latest version; queries are `model=NAME&…`."""

    def __init__(self, repository: ModelRepository) -> None:
        self._repository = repository
        self._lock = threading.Lock()
        self._open: dict[str, tuple[int, Gallery]] = {}

    def about(self, query: str) -> bytes | None:
        gallery = self._of(query)
        return None if gallery is None else json.dumps(gallery.about).encode()

    def items(self, query: str) -> bytes | None:
        gallery = self._of(query)
        ids = parse_qs(query).get("id", [])
        return None if gallery is None else json.dumps(gallery.items(ids)).encode()

    def search(self, query: str) -> bytes | None:
        gallery = self._of(query)
        text = parse_qs(query).get("text", [""])[0].strip()
        found = gallery.search(text) if gallery is not None and text else []
        return json.dumps(found).encode()

    def picture(self, query: str) -> bytes | None:
        gallery = self._of(query)
        item = parse_qs(query).get("id", [""])[0]
        return None if gallery is None else gallery.picture(item)

    def _of(self, query: str) -> Gallery | None:
        from tensorflow_serving.apis import model_pb2

        name = parse_qs(query).get("model", [""])[0]
        try:
            with self._repository.acquire(model_pb2.ModelSpec(name=name)) as servable:
                version = servable.version
            folder = self._repository.folder(name, version)
        except (StatusError, OSError):
            return None
        with self._lock:
            kept = self._open.get(name)
            if kept is None or kept[0] != version:
                # A request under way may still read the old one, which its last reference closes.
                kept = self._open[name] = (version, Gallery(folder))
            return kept[1]
