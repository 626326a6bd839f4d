"""A service that is an ASGI application, served by uvicorn; both stand in the image's environment.

Runs in the image's interpreter, imports nothing of Kohai.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any


def load(service: dict[str, Any]) -> Any:
    """The application, `package.module:attribute`; uvicorn and what it loads are imported too."""
    importlib.import_module("uvicorn")
    module, _, attribute = service["app"].partition(":")
    found: Any = importlib.import_module(module)
    for name in (attribute or "app").split("."):
        found = getattr(found, name)
    return found


def serve(app: Any, listener: socket.socket, log: Callable[[str], None]) -> None:
    """Serves until killed; a line `GET /path 200` for each request goes to the log before its answer starts."""
    import uvicorn

    async def logged(scope: Any, receive: Any, send: Any) -> None:
        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                query = scope["query_string"].decode("latin-1")
                log(f"{scope['method']} {scope['path']}{'?' + query if query else ''} {message['status']}")
            await send(message)

        await app(scope, receive, noted if scope["type"] == "http" else send)

    uvicorn.Server(uvicorn.Config(logged, log_config=None, access_log=False, ws="none")).run(sockets=[listener])
