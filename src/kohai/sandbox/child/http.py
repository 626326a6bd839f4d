"""A small web server for what answers by a function: each request is one call, and one line of the log.

Runs in the image's interpreter: standard library only, imports nothing of Kohai.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    class Site(Protocol):
        """What answers."""

        def answer(self, method: str, target: str, body: bytes = b"") -> Answer:
            """The answer to a request."""


class Answer:
    """Status, headers and body of an answer."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.is_json = not isinstance(body, bytes)
        self.body: bytes = json.dumps(body).encode() if self.is_json else body
        self.headers = dict(headers or {})


class Handler(BaseHTTPRequestHandler):
    """One connection; `site` and `log` are set by `serve`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    site: Site
    log: Callable[[str], None]

    def do_GET(self) -> None:
        """Answers, HEAD and POST too."""
        size = self.headers.get("Content-Length", "0")
        body = self.rfile.read(int(size)) if size.isdigit() else b""
        answer = self.site.answer(self.command, self.path, body)
        content, status = answer.body, answer.status
        wanted = _range(self.headers.get("Range", ""), len(content)) if status == 200 and not answer.is_json else None
        if wanted:
            first, last = wanted
            answer.headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            content, status = content[first : last + 1], 206
        type(self).log(f"{self.command} {self.path} {status}")
        self.send_response(status)
        answer.headers.setdefault("Content-Type", "application/json" if answer.is_json else "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Nothing: `log` has it."""


def _range(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a `bytes=first-last`."""
    unit, _, span = header.partition("=")
    first, _, last = span.partition("-")
    if unit != "bytes" or not first.isdigit() or int(first) >= size:
        return None
    return int(first), min(int(last), size - 1) if last.isdigit() else size - 1


class Server(ThreadingHTTPServer):
    """On a port that is held already."""

    daemon_threads = True


def serve(site: Site, listener: socket.socket, log: Callable[[str], None]) -> None:
    """Serves until killed."""
    Handler.site, Handler.log = site, staticmethod(log)
    server = Server(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.serve_forever()
