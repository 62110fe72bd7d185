"""The demonstration page: complete, offline, and working in a browser where one is installed."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.gallery import Gallery
from serving.options import ServerOptions
from serving.server import Server

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def page(models: Path) -> Iterator[Server]:
    options = ServerOptions(
        model_name="songs",
        model_base_path=models / "songs",
        port=0,
        rest_api_port=0,
        ui=True,
        file_system_poll_wait_seconds=0,
    )
    with Server(options) as server:
        yield server


def get(server: Server, path: str) -> tuple[int, http.client.HTTPMessage, str]:
    assert server.rest_port is not None
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, response.headers, text


def test_the_page_and_what_it_names_are_served_from_here(page: Server) -> None:
    status, headers, text = get(page, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    for name in re.findall(r'(?:src|href)="(/[^"]+)"', text):
        status, _, content = get(page, name)
        assert status == 200
        # Works offline: nothing comes from elsewhere.
        assert not re.search(r"(https?:)?//[a-z]", re.sub(r"(?m)^\s*// .*$", "", content))
    assert "http" not in text


def scripts(page: Server) -> str:
    return "\n".join(
        get(page, f"/{name}.js")[2] for name in ("ui-parts", "ui-results", "ui-filters", "ui")
    )


def test_every_element_that_the_script_uses_is_on_the_page(page: Server) -> None:
    """A renamed id is noticed here, not by who clicks."""
    html, script = get(page, "/")[2], scripts(page)
    used = set(re.findall(r'byId\("([\w-]+)"\)', script))
    assert used <= set(re.findall(r'id="([\w-]+)"', html))


def test_ids_are_never_written_as_html(page: Server) -> None:
    """Titles and ids come from data that anybody may have written."""
    script = scripts(page)
    for danger in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("):
        assert danger not in script


def test_the_models_are_listed(page: Server) -> None:
    models = json.loads(get(page, "/ui/models.json")[2])["models"]
    assert models == {
        "songs": {
            "recommend": True,
            "similar_items": True,
            "explain": False,
            "recommend_filtered": False,
            "embed_item": False,
            "similar_to_content": False,
            "search": False,
        }
    }


@pytest.fixture
def version_with_gallery(tmp_path: Path) -> Path:
    path = tmp_path / "1" / "assets.extra" / "gallery.zip"
    path.parent.mkdir(parents=True)
    items = {
        "ids": ["a", "b/../c", "train"],
        "titles": ["Night Train", "Bread", ""],
        "labels": [["jazz"], [], []],
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("about.json", json.dumps({"users": ["u1"]}))
        archive.writestr("items.json", json.dumps(items))
        archive.writestr("pictures/0.jpg", b"JPEG")
        archive.writestr("pictures/1.jpg", bytes(2_000_000), zipfile.ZIP_DEFLATED)
    return tmp_path / "1"


def test_a_gallery_tells_what_it_holds(version_with_gallery: Path) -> None:
    """By id, by part of a title in any case, an exact id first; a bomb of a picture is none."""
    gallery = Gallery(version_with_gallery)
    assert gallery.about == {"users": ["u1"]}
    assert gallery.items(["a", "zz"]) == {
        "a": {"title": "Night Train", "labels": ["jazz"], "picture": True}
    }
    assert [found["id"] for found in gallery.search("TRAIN")] == ["a"]
    assert [found["id"] for found in gallery.search("train")] == ["train", "a"]
    assert gallery.picture("a") == b"JPEG"
    assert gallery.picture("b/../c") is None and gallery.picture("../items") is None
    gallery.close()


@pytest.mark.parametrize("damage", [b"", b"PK no zip", None])
def test_a_missing_or_damaged_gallery_is_an_empty_one(tmp_path: Path, damage: bytes | None) -> None:
    """It is for looks; the version still answers."""
    path = tmp_path / "assets.extra" / "gallery.zip"
    path.parent.mkdir()
    if damage is not None:
        path.write_bytes(damage)
    gallery = Gallery(tmp_path)
    assert gallery.about == {} and gallery.search("a") == [] and gallery.picture("a") is None


def test_a_model_without_a_gallery_still_has_a_page(page: Server) -> None:
    assert get(page, "/ui/about.json?model=songs")[::2] == (200, "{}")
    assert get(page, "/ui/items.json?model=songs&id=a")[::2] == (200, "{}")
    assert get(page, "/ui/search.json?model=songs&text=a")[::2] == (200, "[]")
    for path in ("picture.jpg?model=songs&id=a", "about.json?model=nope", "picture.jpg"):
        assert get(page, f"/ui/{path}")[0] == 404


def test_without_the_flag_there_is_no_page(server: Server) -> None:
    assert get(server, "/")[0] == 404
    assert get(server, "/ui/models.json")[0] == 404


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_a_browser_runs_the_page(page: Server, tmp_path: Path) -> None:
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path}",
            "--virtual-time-budget=5000",
            "--dump-dom",
            f"http://127.0.0.1:{page.rest_port}/",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert 'role="status">version 1<' in done.stdout
    assert '<option value="songs">songs</option>' in done.stdout
