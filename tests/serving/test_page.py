"""The demonstration page: complete, offline, and working in a browser where one is installed."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

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
        assert not re.search(r"(https?:)?//[a-z]", content.replace("// ", ""))
    assert "http" not in text


def test_every_element_that_the_script_uses_is_on_the_page(page: Server) -> None:
    html, script = get(page, "/")[2], get(page, "/ui.js")[2]
    used = set(re.findall(r'byId\("([\w-]+)"\)', script))
    assert used <= set(re.findall(r'id="([\w-]+)"', html))


def test_ids_are_never_written_as_html(page: Server) -> None:
    script = get(page, "/ui.js")[2]
    for danger in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("):
        assert danger not in script


def test_the_models_are_listed(page: Server) -> None:
    models = json.loads(get(page, "/ui/models.json")[2])["models"]
    assert models == {"songs": {"recommend": True, "similar_items": True}}


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
