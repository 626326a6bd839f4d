"""The judge behind an OpenAI-compatible endpoint: one call a completion answers all of its criteria.

An answer is remembered in the ledger as soon as it arrives, under a hash of everything that it depends on (model, base
URL, messages, settings, the questions), so a killed run asks nothing twice and a changed weight asks nothing again.
Replies in which no criterion got an answer are not remembered. Leaves out ensembles of judges.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from kohai.config import EndpointConfig
from kohai.errors import EndpointError
from kohai.judge import prompt
from kohai.judge.client import CallError, ChatClient, Reply
from kohai.judge.panel import Case, OnDone
from kohai.judge.reply import read_reply
from kohai.judge.rubric import Criterion
from kohai.ledger import Ledger
from kohai.records import Verdict

Messages = list[dict[str, str]]

_SEED = 7
_MAX_REPLY_TOKENS = 2048
_FAILURES_AT_START = 5  # so many failed calls before the first answer, and the endpoint is given up


class EndpointJudge:
    """An `Answerer`; a call that fails after all retries is unscored with the reason, never a no.

    Raises (in `answer`):
        EndpointError: nobody listens, the key or the call is refused, or calls fail one after another.
    """

    name = "endpoint"

    def __init__(self, config: EndpointConfig, ledger: Ledger | None = None, *, backoff_seconds: float = 0.5) -> None:
        self.config = config
        self.ledger = ledger
        self.n_calls = 0  # answers that came from the endpoint, not from the ledger
        self._client = ChatClient(config, backoff_seconds)
        self._failed_in_a_row = 0

    def __repr__(self) -> str:
        return f"EndpointJudge({self._client!r})"

    def answer(
        self, criteria: Sequence[Criterion], cases: Sequence[Case], on_done: OnDone | None = None
    ) -> list[list[Verdict]]:
        """See `Answerer`; equal prompts are asked once. Not to be called from inside an event loop."""
        if not criteria:
            return [[] for _ in cases]
        questions = _Questions(tuple(criteria))
        messages_by_key: dict[str, Messages] = {}
        indices_by_key: dict[str, list[int]] = defaultdict(list)
        for index, case in enumerate(cases):
            messages = prompt.render(criteria, case)
            key = self._cache_key(messages, questions)
            messages_by_key[key] = messages
            indices_by_key[key].append(index)
        verdicts: list[list[Verdict]] = [[] for _ in cases]

        def done(key: str, answered: list[Verdict]) -> None:
            for index in indices_by_key[key]:
                verdicts[index] = list(answered)
            if on_done is not None:
                on_done(len(indices_by_key[key]))

        unknown = {}
        for key, messages in messages_by_key.items():
            known = self._remembered(key, questions)
            if known is None:
                unknown[key] = messages
            else:
                done(key, known)
        if unknown:
            asyncio.run(self._ask_all(unknown, questions, done))
        return verdicts

    async def _ask_all(
        self, messages_by_key: dict[str, Messages], questions: _Questions, done: Callable[[str, list[Verdict]], None]
    ) -> None:
        """Asks all prompts, `concurrency` at a time; the first error ends it."""
        waiting = iter(messages_by_key.items())
        try:
            async with self._client.connection() as http, asyncio.TaskGroup() as group:

                async def work() -> None:
                    for key, messages in waiting:
                        done(key, await self._ask(http, key, messages, questions))

                for _ in range(min(self.config.concurrency, len(messages_by_key))):
                    group.create_task(work())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _ask(self, http: httpx.AsyncClient, key: str, messages: Messages, questions: _Questions) -> list[Verdict]:
        try:
            reply = await self._client.complete(http, messages, questions.options)
        except CallError as error:
            self._count_failure(str(error))
            why = f"the judge did not answer: {error}"
            return [Verdict(criterion.id, "unscored", self.name, why) for criterion in questions.criteria]
        self.n_calls += 1
        self._failed_in_a_row = 0
        verdicts = self._read(reply, questions)
        if self.ledger is not None and any(verdict.answer != "unscored" for verdict in verdicts):
            self.ledger.put(key, {"text": reply.text, "is_cut": reply.is_cut})
        return verdicts

    def _count_failure(self, why: str) -> None:
        self._failed_in_a_row += 1
        limit = 3 * self.config.concurrency if self._client.has_answered else 0
        if self._failed_in_a_row >= max(_FAILURES_AT_START, limit):
            raise EndpointError(
                f"{self._client.shown_url}: {self._failed_in_a_row} calls in a row failed, the last one with: {why}; "
                "check the endpoint, then run the same command again: answers that arrived are kept"
            )

    def _read(self, reply: Reply, questions: _Questions) -> list[Verdict]:
        verdicts = read_reply(reply.text, questions.criteria, self.name)
        if not reply.is_cut:
            return verdicts
        why = f"the judge's reply was cut at {_MAX_REPLY_TOKENS} tokens"
        return [  # an answer that was complete before the cut counts
            dataclasses.replace(verdict, evidence=why) if verdict.answer == "unscored" else verdict
            for verdict in verdicts
        ]

    def _remembered(self, key: str, questions: _Questions) -> list[Verdict] | None:
        value = self.ledger.get(key) if self.ledger is not None else None
        if not isinstance(value, dict) or not isinstance(value.get("text"), str):
            return None
        return self._read(Reply(value["text"], value.get("is_cut") is True), questions)

    def _cache_key(self, messages: Messages, questions: _Questions) -> str:
        """Of what is wished for, not of what the server lets pass: a second run asks with the same keys."""
        whole = [self.config.model, self.config.base_url, messages, questions.options, questions.digest]
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


class _Questions:
    """The criteria of one round, and the settings that are wished for; a server may refuse some of these."""

    def __init__(self, criteria: tuple[Criterion, ...]) -> None:
        self.criteria = criteria
        self.digest = hashlib.sha256(json.dumps([[c.id, c.question] for c in criteria]).encode()).hexdigest()
        json_schema = {"name": "verdicts", "strict": True, "schema": prompt.schema(criteria)}
        self.options: dict[str, Any] = {
            "temperature": 0,
            "seed": _SEED,
            "max_tokens": _MAX_REPLY_TOKENS,
            "response_format": {"type": "json_schema", "json_schema": json_schema},
        }
