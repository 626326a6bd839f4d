"""Calls to an OpenAI-compatible chat endpoint: patient with what passes, clear at once about what does not.

Retried with jittered back-off, honouring Retry-After: 408, 425, 429, 5xx, time-outs, broken connections. Settings that
a server refuses by name are left out from then on. The key comes from the environment only and is masked in all texts.
Every request passes the breaker, the rates and the budget of `judge/limits.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from kohai.config import EndpointConfig
from kohai.errors import EndpointError
from kohai.http import Endpoint, backoff, passes, retry_after
from kohai.judge.limits import Breaker, Budget, Rates
from kohai.ledger import Ledger, Usage

Messages = list[dict[str, str]]

_ABOUT_ONE_CASE = frozenset({400, 413, 422})  # or about all of them: then the calls fail one after another
_TEMPLATE_BYTES = 64  # what a chat template adds to a message, at most
_BYTES_PER_TOKEN = 3  # a low estimate for code and English; no token is shorter than a byte
_PAUSES = 8  # the breaker's first pause, in back-offs
# Settings that a server may refuse, with the words by which its message shows that it does.
_REFUSABLE = {
    "response_format": ("response_format", "json_schema"),
    "seed": ("seed",),
    "temperature": ("temperature",),
    "max_completion_tokens": ("max_completion_tokens",),
    "max_tokens": ("max_tokens",),
    "top_logprobs": ("top_logprobs",),
    "logprobs": ("logprobs",),
}


_TOO_LONG = ("too large", "too long", "context length", "maximum context", "exceed the context")


class CallError(Exception):
    """One call got no answer; the text says why. Other calls may fare better."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a reply, and the likeliest tokens at its place with their log-probabilities."""

    text: str
    likeliest: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote; `is_cut` where it hit the length limit; `tokens` where the server gives log-probabilities.

    `seconds` from the request to the reply, waits aside.
    """

    text: str
    is_cut: bool = False
    tokens: tuple[Token, ...] = ()
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0


class ChatClient:
    """One endpoint; what was learned about it (that it answers, what it refuses) is kept from call to call."""

    def __init__(
        self, name: str, config: EndpointConfig, ledger: Ledger | None = None, backoff_seconds: float = 0.5
    ) -> None:
        self.name = name
        self.config = config
        self.refused: set[str] = set()
        self._is_reachable = False
        self._backoff_seconds = backoff_seconds
        self._not_before = 0.0
        self._breaker = Breaker(_PAUSES * backoff_seconds)
        self._endpoint = Endpoint(config.base_url, config.key_env, f"feedback.endpoints.{name}")
        self._calls_at = self._endpoint.at("chat/completions")
        self.budget = Budget(name, f"{config.model} {self.shown_url}", config, ledger)
        self.is_known = ledger is not None and len(ledger) > 0  # it answers: it has, or an earlier process was answered

    def __repr__(self) -> str:
        return f"ChatClient({self.shown_url}, model={self.config.model!r}, key from {self.config.key_env})"

    @property
    def shown_url(self) -> str:
        """The base URL without what it may hide: user, password, query."""
        return self._endpoint.shown_url

    def begin(self) -> None:
        """To be called once in each event loop, before its connections."""
        self._rates = Rates(self.config)
        self.budget.begin()
        self._tls = httpx2.create_ssl_context()

    def connections(self, n: int) -> AbstractAsyncContextManager[httpx2.AsyncClient]:
        """A pool of n connections."""
        return self._endpoint.connections(n, self._tls)

    async def complete(self, http: httpx2.AsyncClient, messages: Messages, options: Mapping[str, Any]) -> Reply:
        """The model's reply.

        Raises:
            CallError: no answer after all retries, or one that is no chat completion.
            EndpointError: nobody listens there, or the endpoint refuses all calls.
            BudgetError: no call may be made any more.
        """
        failure = ""
        for attempt in range(self.config.retries + 1):
            if attempt:
                await asyncio.sleep(backoff(self._backoff_seconds, attempt))
            await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
            is_probe = await self._breaker.ready()
            is_well: bool | None = None
            try:
                response = await self._post(http, messages, options)
                is_well = response.status_code < 500 and response.status_code != 408
            except (TimeoutError, httpx2.TimeoutException):
                is_well = False
                failure = f"no answer within {self.config.timeout_seconds:g} s"
                continue
            except httpx2.TransportError as error:
                is_well = False
                failure = self._endpoint.masked(f"{type(error).__name__}: {error}")
                if isinstance(error, httpx2.ConnectError | httpx2.UnsupportedProtocol) and not self._is_reachable:
                    raise EndpointError(
                        f"{self.shown_url}: cannot connect ({failure}); start the judge's server, or mend "
                        f"{self._endpoint.field}.base_url"
                    ) from None
                continue
            finally:
                self._breaker.report(is_well, is_probe)
            self._is_reachable = True
            if response.status_code == httpx2.codes.OK:
                reply = self._reply(response)
                self.is_known = True
                return reply
            failure = f"status {response.status_code}: {self._endpoint.message(response)}"
            if not passes(response.status_code):
                raise self._refusal(response)
            self._not_before = max(self._not_before, time.monotonic() + retry_after(response))
        raise CallError(f"{failure} ({self.config.retries + 1} tries)")

    def expected(self, messages: Messages) -> Usage:
        """About what a call uses: tokens by the length of the texts, a reply of a quarter of what is allowed."""
        return Usage(1, _bytes(messages) // _BYTES_PER_TOKEN, self.config.max_tokens // 4)

    def most(self, messages: Messages) -> Usage:
        """What a call uses at most."""
        return Usage(1, _bytes(messages), self.config.max_tokens)

    async def _post(self, http: httpx2.AsyncClient, messages: Messages, options: Mapping[str, Any]) -> httpx2.Response:
        """One request, and again without each setting that the server refuses."""
        while True:
            is_renamed = "max_tokens" in options and "max_tokens" in self.refused  # as OpenAI's newer models have it
            known = {**options, "max_completion_tokens": options["max_tokens"]} if is_renamed else options
            sent = {name: value for name, value in known.items() if name not in self.refused}
            response = await self._send(http, messages, sent)
            refused = _refused_setting(response, sent)
            if refused is None:
                return response
            self.refused.add(refused)

    async def _send(self, http: httpx2.AsyncClient, messages: Messages, options: Mapping[str, Any]) -> httpx2.Response:
        """One request within rates and budget."""
        expected, most = self.expected(messages), self.most(messages)
        async with self._rates.call(expected.input_tokens + expected.output_tokens) as paced:
            await self.budget.take(most)
            used = Usage(0, expected.input_tokens, most.output_tokens)  # of one without an answer: it may be billed
            try:
                async with asyncio.timeout(self.config.timeout_seconds):
                    response = await http.post(
                        self._calls_at, json={"model": self.config.model, "messages": messages, **options}
                    )
                used = _usage(response, expected)
                return response
            finally:
                paced.append(used.input_tokens + used.output_tokens)
                await self.budget.settle(most, used)

    def _reply(self, response: httpx2.Response) -> Reply:
        try:
            data = response.json()
            choice = data["choices"][0]
            content = choice["message"]["content"]
        except (ValueError, RecursionError, LookupError, TypeError):
            raise CallError(f"not a chat completion: {self._endpoint.message(response)}") from None
        if isinstance(content, list):  # some servers send parts
            content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        if not isinstance(content, str):
            raise CallError("a chat completion without text")
        return Reply(
            text=self._endpoint.masked(content),
            is_cut=choice.get("finish_reason") == "length",
            tokens=_tokens(choice.get("logprobs")),
            usage=_usage(response, Usage()),
            seconds=response.elapsed.total_seconds(),
        )

    def _refusal(self, response: httpx2.Response) -> Exception:
        """What a status that no retry mends means."""
        status = response.status_code
        what = f"{self.shown_url}: status {status}: {self._endpoint.message(response)}"
        if status in (401, 403):
            return EndpointError(f"{what}; {self._endpoint.about_key}")
        if status == 404:
            return EndpointError(
                f"{what}; check {self._endpoint.field}.base_url (most end in /v1) and model {self.config.model!r}"
            )
        if 300 <= status < 400:
            target = self._endpoint.masked(response.headers.get("location", "elsewhere"))
            return EndpointError(f"{what}; it redirects to {target}: set {self._endpoint.field}.base_url accordingly")
        if status in _ABOUT_ONE_CASE:
            return CallError(f"status {status}: {self._endpoint.message(response)}")
        return EndpointError(f"{what}; the endpoint refuses such calls: check {self._endpoint.field}")


def _bytes(messages: Messages) -> int:
    return sum(len(message["content"].encode()) + _TEMPLATE_BYTES for message in messages)


def _usage(response: httpx2.Response, expected: Usage) -> Usage:
    """Tokens that an answer has cost: the server's own count; without one, what was expected of an answered call.

    A refusal costs none.
    """
    if response.status_code != httpx2.codes.OK:
        return Usage()
    try:
        found = response.json()["usage"]
        return Usage(0, max(0, int(found["prompt_tokens"])), max(0, int(found.get("completion_tokens") or 0)))
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return Usage(0, expected.input_tokens, expected.output_tokens)


def _tokens(logprobs: Any) -> tuple[Token, ...]:
    """The reply's tokens, where the server gives them in the shape of OpenAI's API; else none."""
    try:
        return tuple(
            Token(
                str(item["token"]),
                tuple((str(other["token"]), float(other["logprob"])) for other in item.get("top_logprobs") or ()),
            )
            for item in logprobs["content"]
        )
    except (LookupError, TypeError, ValueError, AttributeError):
        return ()


def _is_too_long(response: httpx2.Response) -> bool:
    """The server says of the case, not of a setting, that it is more than it can read."""
    text = response.text.lower()
    return any(words in text for words in _TOO_LONG)


def _refused_setting(response: httpx2.Response, sent: Mapping[str, Any]) -> str | None:
    """The setting that the server's message names as refused, if it was sent."""
    if response.status_code not in (400, 422):
        return None
    if _is_too_long(response):
        return None  # of this case, not of the setting
    text = response.text.lower()
    for name, words in _REFUSABLE.items():
        if name in sent and any(word in text for word in words):
            return name
    return None
