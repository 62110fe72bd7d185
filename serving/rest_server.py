"""The HTTP side of the REST port: connections, limits, and the pages beside the API."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tfrec.errors import ServingError

__all__ = ["Page", "RestServer"]

_LOG = logging.getLogger("serving")
# A path's answer: its media type, and what makes its content from the query; None is not found.
Page = tuple[str, Callable[[str], bytes | None]]
Respond = Callable[[str, str, bytes], tuple[int, bytes]]
MAX_CONNECTIONS = 256
# A browser that shows the page may load nothing from elsewhere and nobody may frame it.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class RestServer:
    """Serves `respond` for paths below `/v1/`, and pages for some others.

    Args:
        host, port: Where to listen; port 0 takes a free one.
        respond: Answers a method, path and body with a status and a JSON body.
        pages: Answers to `GET` by path.
        max_bytes: Longest body that is read; longer ones are answered 413.
        timeout: Seconds that a client may be silent in the middle of a request.

    Raises:
        ServingError: The port is taken.
    """

    def __init__(
        self,
        host: str,
        port: int,
        respond: Respond,
        pages: Mapping[str, Page],
        *,
        max_bytes: int,
        timeout: float,
    ) -> None:
        handler = type(
            "Handler",
            (_Handler,),
            {
                "respond": staticmethod(respond),
                "pages": pages,
                "limit": max_bytes,
                "timeout": timeout,
            },
        )
        try:
            self._server = _Server((host, port), handler)
        except OSError as error:
            raise ServingError(
                f"{host}:{port}",
                "the REST port must be free and the address one of this machine",
                received=error.strerror or "it can't be bound",
                remedy="Choose another with --rest-port, or stop what listens there",
            ) from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="rest"
        )

    def start(self) -> None:
        """Takes connections."""
        self._thread.start()

    def stop(self) -> None:
        """Takes no more connections, and finishes the requests under way."""
        self._server.shutdown()
        self._server.end_connections()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self._connections: set[Any] = set()
        self._guard = threading.Lock()
        self.stopping = False
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            full = len(self._connections) >= MAX_CONNECTIONS
            if not full:
                self._connections.add(request)
        if full:
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._connections.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """Ends reading, so that a connection closes once its answer is written."""
        self.stopping = True
        with self._guard:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RD)
                except OSError as error:
                    _LOG.debug("a client had left: %s", error)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that leaves in the middle is no news.
        _LOG.debug("a connection broke", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "tfrec"
    sys_version = ""
    disable_nagle_algorithm = True
    respond: Respond
    pages: Mapping[str, Page]
    limit: int

    def handle_one_request(self) -> None:
        super().handle_one_request()
        if isinstance(self.server, _Server) and self.server.stopping:
            self.close_connection = True

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_GET  # noqa: N815

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        body = self._body()
        if body is None:
            return
        if path.lower().startswith("/v1/"):
            status, answer = self.respond(self.command, path, body)
            self._send(status, "application/json", answer)
        elif path in self.pages and self.command in ("GET", "HEAD"):
            media_type, make = self.pages[path]
            content = make(query)
            if content is None:
                self._refuse(404, f"Nothing is served at {path} for this query")
            else:
                self._send(200, media_type, content)
        else:
            self._refuse(404, f"Nothing is served at {path}")

    def _body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            self._refuse(411, "Send a Content-Length, not chunks")
            return None
        text = self.headers.get("Content-Length", "0")
        if not (text.isascii() and text.isdigit()):
            self._refuse(400, "Content-Length must be a number")
            return None
        length = int(text[:20])
        if length > self.limit:
            self._refuse(413, f"A request may have {self.limit} bytes, not {length}")
            return None
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return None
        return body

    def _refuse(self, status: int, text: str) -> None:
        self.close_connection = status != 404
        self._send(status, "application/json", json.dumps({"error": text}).encode())

    def _send(self, status: int, media_type: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are counted, not printed: a path may hold a user id."""
