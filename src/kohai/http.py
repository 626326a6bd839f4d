"""What calls to an endpoint share: its address and key, which failures pass by waiting, and the server's own words.

The key comes from the environment only and is masked in all texts. A loopback address is never asked through a proxy.
"""

from __future__ import annotations

import email.utils
import json
import os
import random
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from pydantic import SecretStr

from kohai.errors import EndpointError

MAX_WAIT_SECONDS = 120.0
_PASSING = frozenset({408, 425, 429})
_MAX_MESSAGE = 300


class Endpoint:
    """An endpoint's address, and the key that it may want.

    Raises:
        EndpointError: the address is no URL (`field` names its place in the configuration), or the key cannot be one.
    """

    def __init__(self, base_url: str, key_env: str, field: str) -> None:
        self.url = _url(base_url, field)
        self.field = field
        self.key_env = key_env
        self._key = SecretStr(os.environ.get(key_env, "").strip())
        if not self._key.get_secret_value().isascii() or not self._key.get_secret_value().isprintable():
            raise EndpointError(f"environment variable {key_env} holds signs that no key has; set it again")

    @property
    def shown_url(self) -> str:
        """The base URL without what it may hide: user, password, query."""
        return str(self.url.copy_with(userinfo=b"", query=None, fragment=None))

    @property
    def about_key(self) -> str:
        """Where the key belongs and what is there, for one who was refused."""
        state = "holds a key that is refused" if self._key.get_secret_value() else "is not set"
        return f"the key belongs in environment variable {self.key_env}, which {state}"

    def at(self, path: str) -> httpx2.URL:
        """The URL of a path below the base URL."""
        return self.url.copy_with(path=f"{self.url.path.rstrip('/')}/{path}")

    @asynccontextmanager
    async def connections(self, n: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[httpx2.AsyncClient]:
        """A pool of n connections, without a time limit: each call has one over all of it."""
        key = self._key.get_secret_value()
        async with httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=None,
            verify=tls or httpx2.create_ssl_context(),
            limits=httpx2.Limits(max_connections=n, max_keepalive_connections=n),
            trust_env=self.url.host not in ("127.0.0.1", "::1", "localhost"),
        ) as http:
            yield http

    def message(self, response: httpx2.Response) -> str:
        """The server's own words, on one line, without the key."""
        text = response.text
        try:
            data = json.loads(text)
            error = data.get("error", data)
            text = str(error.get("message") or error.get("detail") or text) if isinstance(error, dict) else str(error)
        except (ValueError, RecursionError, AttributeError):
            pass
        text = " ".join(self.masked(text).split())
        return text[:_MAX_MESSAGE] or "no message"

    def masked(self, text: str) -> str:
        """The text without the key."""
        key = self._key.get_secret_value()
        return text.replace(key, "***") if key else text


def passes(status: int) -> bool:
    """Whether the same call may fare better later."""
    return status in _PASSING or status >= 500


def backoff(first_seconds: float, attempt: int) -> float:
    """Between half and all of a delay that doubles with each attempt, from 1 on."""
    return min(MAX_WAIT_SECONDS, first_seconds * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)


def retry_after(response: httpx2.Response) -> float:
    """Seconds that the server asks to wait, bounded; 0 where it says nothing."""
    text = response.headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError):
            return 0.0
    return min(max(seconds, 0.0), MAX_WAIT_SECONDS) if seconds == seconds else 0.0


def _url(base_url: str, field: str) -> httpx2.URL:
    try:
        url = httpx2.URL(base_url.strip())
    except (httpx2.InvalidURL, ValueError):
        raise EndpointError(f"{field}.base_url: {base_url!r} is not a URL") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise EndpointError(f"{field}.base_url: {base_url!r} does not start with http:// or https://")
    return url
