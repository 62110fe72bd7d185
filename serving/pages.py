"""The demonstration page: three files of the package and a list of models, all from this server."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from serving.predict import DEFAULT_SIGNATURE
from serving.repository import ModelRepository
from serving.rest_server import Page
from serving.status import StatusError

__all__ = ["demonstration_pages"]

_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/ui.css": ("page.css", "text/css; charset=utf-8"),
    "/ui.js": ("page.js", "text/javascript; charset=utf-8"),
}
RECOMMEND_INPUTS = {"user_id", "history", "exclude", "k"}


def demonstration_pages(repository: ModelRepository) -> dict[str, Page]:
    """Answers by path for `tfrec serve --ui`.

    Args:
        repository: The models that the page offers.
    """
    pages: dict[str, Page] = {}
    for path, (name, media_type) in _FILES.items():
        content = resources.files("serving").joinpath("ui", name).read_bytes()
        pages[path] = (media_type, lambda content=content: content)  # type: ignore[misc]
    pages["/ui/models.json"] = ("application/json", lambda: _models(repository))
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
            "similar_items": "similar_items" in signatures,
        }
    return json.dumps({"models": found}).encode()
