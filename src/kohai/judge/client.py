"""Calls to an OpenAI-compatible chat endpoint: patient with what passes, clear at once about what does not.

Retried with jittered back-off, honouring Retry-After: 408, 425, 429, 5xx, time-outs, broken connections. Settings that
a server refuses by name are left out from then on. The key comes from the environment only and is masked in all texts.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import os
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from kohai.config import EndpointConfig
from kohai.errors import EndpointError

_RETRIED = frozenset({408, 425, 429})
_ABOUT_ONE_CASE = frozenset({400, 413, 422})
_MAX_WAIT_SECONDS = 120.0
_MAX_MESSAGE = 300
# Settings that a server may refuse, with the words by which its message shows that it does.
_REFUSABLE = {
    "response_format": ("response_format", "json_schema"),
    "seed": ("seed",),
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens",),
}


class CallError(Exception):
    """One call got no answer; the text says why. Other calls may fare better."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote; `is_cut` where it hit the length limit."""

    text: str
    is_cut: bool = False


class ChatClient:
    """One endpoint; what was learned about it (that it answers, what it refuses) is kept from call to call."""

    def __init__(self, config: EndpointConfig, backoff_seconds: float = 0.5) -> None:
        self.config = config
        self.has_answered = False  # it sent a model's reply at least once
        self.refused: set[str] = set()
        self._is_reachable = False
        self._backoff_seconds = backoff_seconds
        self._not_before = 0.0
        self._url = _url(config.base_url)
        self._key = SecretStr(os.environ.get(config.key_env, "").strip())
        if not self._key.get_secret_value().isascii() or not self._key.get_secret_value().isprintable():
            raise EndpointError(f"environment variable {config.key_env} holds signs that no key has; set it again")

    def __repr__(self) -> str:
        return f"ChatClient({self.shown_url}, model={self.config.model!r}, key from {self.config.key_env})"

    @property
    def shown_url(self) -> str:
        """The base URL without what it may hide: user, password, query."""
        return str(self._url.copy_with(userinfo=b"", query=None, fragment=None))

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[httpx.AsyncClient]:
        """The connections of one event loop; a loopback address is never asked through a proxy."""
        key = self._key.get_secret_value()
        async with httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=None,  # noqa: S113 - each call has one over all of it
            limits=httpx.Limits(max_connections=self.config.concurrency),
            trust_env=self._url.host not in ("127.0.0.1", "::1", "localhost"),
        ) as http:
            yield http

    async def complete(
        self, http: httpx.AsyncClient, messages: list[dict[str, str]], options: Mapping[str, Any]
    ) -> Reply:
        """The model's reply.

        Raises:
            CallError: no answer after all retries, or one that is no chat completion.
            EndpointError: nobody listens there, or the endpoint refuses such calls.
        """
        failure = ""
        for attempt in range(self.config.retries + 1):
            if attempt:
                await asyncio.sleep(self._backoff(attempt))
            await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
            try:
                response = await self._post(http, messages, options)
            except (TimeoutError, httpx.TimeoutException):
                failure = f"no answer within {self.config.timeout_seconds:g} s"
                continue
            except httpx.TransportError as error:
                failure = self._masked(f"{type(error).__name__}: {error}")
                if isinstance(error, httpx.ConnectError | httpx.UnsupportedProtocol) and not self._is_reachable:
                    raise EndpointError(
                        f"{self.shown_url}: cannot connect ({failure}); start the judge's server, or mend "
                        "feedback.endpoint.base_url"
                    ) from None
                continue
            self._is_reachable = True
            if response.status_code == httpx.codes.OK:
                reply = self._reply(response)
                self.has_answered = True
                return reply
            failure = f"status {response.status_code}: {self._message(response)}"
            if not (response.status_code in _RETRIED or response.status_code >= 500):
                raise self._refusal(response)
            self._not_before = max(self._not_before, time.monotonic() + _retry_after(response))
        raise CallError(f"{failure} ({self.config.retries + 1} tries)")

    async def _post(
        self, http: httpx.AsyncClient, messages: list[dict[str, str]], options: Mapping[str, Any]
    ) -> httpx.Response:
        """One request, and again without each setting that the server refuses."""
        url = self._url.copy_with(path=self._url.path.rstrip("/") + "/chat/completions")
        while True:
            sent = {name: value for name, value in options.items() if name not in self.refused}
            async with asyncio.timeout(self.config.timeout_seconds):
                response = await http.post(url, json={"model": self.config.model, "messages": messages, **sent})
            refused = _refused_setting(response, sent)
            if refused is None:
                return response
            self.refused.add(refused)

    def _reply(self, response: httpx.Response) -> Reply:
        try:
            choice = response.json()["choices"][0]
            content = choice["message"]["content"]
        except (ValueError, RecursionError, LookupError, TypeError):
            raise CallError(f"not a chat completion: {self._message(response)}") from None
        if isinstance(content, list):  # some servers send parts
            content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        if not isinstance(content, str):
            raise CallError("a chat completion without text")
        return Reply(content, choice.get("finish_reason") == "length")

    def _refusal(self, response: httpx.Response) -> Exception:
        """What a status that no retry mends means."""
        status = response.status_code
        what = f"{self.shown_url}: status {status}: {self._message(response)}"
        if status in (401, 403):
            state = "holds a key that is refused" if self._key.get_secret_value() else "is not set"
            return EndpointError(
                f"{what}; the key belongs in environment variable {self.config.key_env}, which {state}"
            )
        if status == 404:
            return EndpointError(
                f"{what}; check feedback.endpoint.base_url (most end in /v1) and model {self.config.model!r}"
            )
        if 300 <= status < 400:
            target = self._masked(response.headers.get("location", "elsewhere"))
            return EndpointError(f"{what}; it redirects to {target}: set feedback.endpoint.base_url accordingly")
        if status in _ABOUT_ONE_CASE and self.has_answered:
            return CallError(f"status {status}: {self._message(response)}")
        return EndpointError(f"{what}; the endpoint refuses such calls: check feedback.endpoint")

    def _message(self, response: httpx.Response) -> str:
        """The server's own words, on one line, without the key."""
        text = response.text
        try:
            data = json.loads(text)
            error = data.get("error", data)
            text = str(error.get("message") or error.get("detail") or text) if isinstance(error, dict) else str(error)
        except (ValueError, RecursionError, AttributeError):
            pass
        text = " ".join(self._masked(text).split())
        return text[:_MAX_MESSAGE] or "no message"

    def _masked(self, text: str) -> str:
        key = self._key.get_secret_value()
        return text.replace(key, "***") if key else text

    def _backoff(self, attempt: int) -> float:
        """Between half and all of a delay that doubles."""
        return min(_MAX_WAIT_SECONDS, self._backoff_seconds * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)


def _url(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url.strip())
    except (httpx.InvalidURL, ValueError):
        raise EndpointError(f"feedback.endpoint.base_url: {base_url!r} is not a URL") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise EndpointError(f"feedback.endpoint.base_url: {base_url!r} does not start with http:// or https://")
    return url


def _refused_setting(response: httpx.Response, sent: Mapping[str, Any]) -> str | None:
    """The setting that the server's message names as refused, if it was sent."""
    if response.status_code not in (400, 422):
        return None
    text = response.text.lower()
    for name, words in _REFUSABLE.items():
        if name in sent and any(word in text for word in words):
            return name
    return None


def _retry_after(response: httpx.Response) -> float:
    """Seconds that the server asks to wait, bounded; 0 where it says nothing."""
    text = response.headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError):
            return 0.0
    return min(max(seconds, 0.0), _MAX_WAIT_SECONDS) if seconds == seconds else 0.0
