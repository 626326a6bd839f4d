"""A stand-in for a few web sites: whatever address below them one asks for, there is a small file of that kind.

Runs in the image's interpreter: standard library only, imports nothing of Kohai.
"""

from __future__ import annotations

import urllib.parse

from kohai.sandbox import sample_files
from kohai.sandbox.child import http
from kohai.sandbox.child.http import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

TLS_PORT = 443
PAGE = b"<!doctype html><title>Example</title><h1>Example</h1><p>%s</p>" % sample_files.PROSE.encode()


class Web:
    """Files by the ending of their address: pictures, sound, tables, documents; a page where there is none."""

    def __init__(self, key: str) -> None:
        self.key = key  # a file; empty = plain HTTP
        sound, table = sample_files.wav(), sample_files.csv(("text", "label", "value"))
        self._files = {
            "jpg": ("image/jpeg", sample_files.JPEG),
            "jpeg": ("image/jpeg", sample_files.JPEG),
            "png": ("image/png", sample_files.png()),
            "wav": ("audio/wav", sound),
            "flac": ("audio/flac", sound),
            "mp3": ("audio/mpeg", sound),
            "csv": ("text/csv", table),
            "txt": ("text/plain", sample_files.PROSE.encode()),
            "pdf": ("application/pdf", sample_files.pdf()),
        }

    def answer(self, method: str, target: str, body: bytes = b"") -> Answer:
        """The file, or a page; nothing can be sent."""
        if method == "POST":
            return Answer(405, {"error": f"{len(body)} bytes that nobody takes"})
        path = urllib.parse.urlsplit(target).path
        kind, content = self._files.get(path.rpartition(".")[2].lower(), ("text/html", PAGE))
        return Answer(200, content, {"Content-Type": kind})


def load(service: dict[str, Any]) -> Web:
    """The same for all sites."""
    return Web(service["key"] if service["port"] == TLS_PORT else "")


def serve(web: Web, listener: socket.socket, log: Callable[[str], None]) -> None:
    """Serves until killed."""
    if web.key:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(web.key)
        listener = context.wrap_socket(listener, server_side=True)
    http.serve(web, listener, log)
