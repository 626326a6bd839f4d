"""The judge behind an OpenAI-compatible endpoint: one call a completion answers all of its criteria (or one call each).

An answer is remembered in the ledger as soon as it arrives, under a hash of everything that it depends on (model, base
URL, messages, settings, the questions), so a killed run asks nothing twice and a changed weight asks nothing again.
Replies in which no criterion got an answer are not remembered.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx2

from kohai.config import EndpointConfig
from kohai.errors import BudgetError, EndpointError
from kohai.judge import prompt
from kohai.judge.client import CallError, ChatClient, Messages, Reply
from kohai.judge.panel import Case, OnDone
from kohai.judge.reply import read_reply
from kohai.judge.rubric import Criterion
from kohai.judge.soft import probability_of_yes
from kohai.ledger import Ledger, Usage
from kohai.records import Verdict

_SEED = 7
_TOP_LOGPROBS = 8
_SHARERS = 8  # workers that share a pool of connections: it looks through all of them at each request
_FAILURES = 5  # so many failed calls in a row, or more by the concurrency, and the endpoint is given up


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """What an endpoint would be asked, and what that would use: about, and at most (each try counted once)."""

    calls: int
    known: int  # calls whose answer is remembered
    expected: Usage
    most: Usage
    expected_cost: float
    most_cost: float


class EndpointJudge:
    """An `Answerer`; a call that fails after all retries is unscored with the reason, never a no.

    Raises (in `answer`):
        EndpointError: nobody listens, the key is refused, or calls fail one after another.
        BudgetError: what may be spent is spent; answers under way are waited for and kept.
    """

    def __init__(
        self, name: str, config: EndpointConfig, ledger: Ledger | None = None, *, backoff_seconds: float = 0.5
    ) -> None:
        self.name = name
        self.config = config
        self.ledger = ledger
        self.n_calls = 0  # answers that came from the endpoint, not from the ledger
        self.n_asked = self.n_unscored = 0  # verdicts
        self._client = ChatClient(name, config, ledger, backoff_seconds)
        self._started = time.monotonic()
        self._failed_in_a_row = 0
        self._stopped: BudgetError | None = None

    def __repr__(self) -> str:
        return f"EndpointJudge({self._client!r})"

    def answer(
        self,
        criteria: Sequence[Criterion],
        cases: Sequence[Case],
        on_done: OnDone | None = None,
        fresh: bool = False,
    ) -> list[list[Verdict]]:
        """See `Answerer`; equal prompts are asked once. Not to be called from inside an event loop."""
        if not criteria:
            return [[] for _ in cases]
        rounds = self._rounds(criteria)
        found: list[list[Verdict]] = [[] for _ in cases]
        for questions in rounds:
            counted = on_done if questions is rounds[-1] else None
            for verdicts, answered in zip(found, self._round(questions, cases, counted, fresh), strict=True):
                verdicts += answered
        return found

    def note(self) -> str:
        """Unscored share and cost so far, for a progress bar."""
        share = self.n_unscored / self.n_asked if self.n_asked else 0.0
        budget = self._client.budget
        cost = f", cost {budget.cost(budget.spent):.4g}" if self.config.price is not None else ""
        rate = self.n_calls / self._seconds() if self.n_calls else 0.0
        return f"{self.name}: {budget.spent.calls} calls, {rate:.1f}/s{cost}, {share:.1%} unscored"

    def _seconds(self) -> float:
        return max(1e-9, time.monotonic() - self._started)

    def report(self) -> dict[str, Any]:
        """What it was asked and what that used, this run and earlier ones."""
        budget = self._client.budget
        return {
            "model": self.config.model,
            "calls": budget.spent.calls,
            "input_tokens": budget.spent.input_tokens,
            "output_tokens": budget.spent.output_tokens,
            "cost": round(budget.cost(budget.spent), 6) if self.config.price is not None else None,
            "answered_now": self.n_calls,
            "verdicts": self.n_asked,
            "unscored": self.n_unscored,
        }

    def estimate(
        self, criteria: Sequence[Criterion], cases: Sequence[Case], again: Sequence[Case] = (), one_each: bool = False
    ) -> Estimate:
        """What `answer` would ask, of some cases `again` whatever is remembered, and `one_each` of a panel that asks by
        the criterion; asks nothing.
        """
        calls = known = 0
        expected, most = Usage(), Usage()
        for questions in self._rounds(criteria, one_each):
            for asked, is_again in ((cases, False), (again, True)):
                prompts = (prompt.render(questions.criteria, case) for case in asked)
                by_key = {self._cache_key(messages, questions): messages for messages in prompts}
                for key, messages in by_key.items():
                    calls += 1
                    if not is_again and self._remembered(key, questions) is not None:
                        known += 1
                        continue
                    expected += self._client.expected(messages)
                    most += self._client.most(messages)
        cost = self._client.budget.cost
        return Estimate(calls, known, expected, most, cost(expected), cost(most))

    def _rounds(self, criteria: Sequence[Criterion], one_each: bool = False) -> list[_Questions]:
        groups = [(c,) for c in criteria] if one_each or self.config.one_each else [tuple(criteria)]
        return [_Questions(group, self.config) for group in groups if group]

    def _round(
        self, questions: _Questions, cases: Sequence[Case], on_done: OnDone | None, fresh: bool
    ) -> list[list[Verdict]]:
        """The verdicts on all cases of the criteria that one call answers. Prompts are made as they are needed."""
        verdicts: list[list[Verdict]] = [[] for _ in cases]
        indices: dict[str, list[int]] = {}  # of each prompt, until it is answered
        answers: dict[str, list[Verdict]] = {}

        def enter(index: int, answered: list[Verdict]) -> None:
            verdicts[index] = list(answered)
            self.n_asked += len(answered)
            self.n_unscored += sum(verdict.answer == "unscored" for verdict in answered)
            if on_done is not None:
                on_done(1)

        def done(key: str, answered: list[Verdict]) -> None:
            answers[key] = answered
            for index in indices.pop(key):
                enter(index, answered)

        def unknown() -> Iterator[tuple[str, Messages]]:
            for index, case in enumerate(cases):
                messages = prompt.render(questions.criteria, case)
                key = self._cache_key(messages, questions)
                if key in answers:
                    enter(index, answers[key])
                elif key in indices:
                    indices[key].append(index)
                elif not fresh and (known := self._remembered(key, questions)) is not None:
                    answers[key] = known
                    enter(index, known)
                else:
                    indices[key] = [index]
                    yield key, messages

        waiting = unknown()
        first = next(waiting, None)
        if first is not None:
            asyncio.run(self._ask_all(itertools.chain([first], waiting), len(cases), questions, done))
        return verdicts

    async def _ask_all(
        self,
        waiting: Iterator[tuple[str, Messages]],
        most: int,
        questions: _Questions,
        done: Callable[[str, list[Verdict]], None],
    ) -> None:
        """Asks all prompts, at most so many, `concurrency` at a time. A spent budget lets calls under way end; other
        errors end all.
        """
        self._stopped = None
        self._client.begin()

        async def work(http: httpx2.AsyncClient) -> None:
            for key, messages in waiting:
                try:
                    done(key, await self._ask(http, messages, key, questions))
                except BudgetError as error:
                    self._stopped = error
                if self._stopped is not None:
                    return

        try:
            async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
                for number in range(min(self.config.concurrency, most)):
                    if number % _SHARERS == 0:
                        http = await stack.enter_async_context(self._client.connections(_SHARERS))
                    group.create_task(work(http))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        if self._stopped is not None:
            raise self._stopped

    async def _ask(
        self, http: httpx2.AsyncClient, messages: Messages, key: str, questions: _Questions
    ) -> list[Verdict]:
        try:
            reply = await self._client.complete(http, messages, questions.options)
        except CallError as error:
            self._count_failure(str(error))
            why = f"the judge did not answer: {error}"
            return [Verdict(criterion.id, "unscored", self.name, why) for criterion in questions.criteria]
        self.n_calls += 1
        self._failed_in_a_row = 0
        chances = {c.id: p for c in questions.criteria if (p := probability_of_yes(c.id, reply.tokens)) is not None}
        verdicts = self._read(reply, questions, chances)
        if self.ledger is not None and any(verdict.answer != "unscored" for verdict in verdicts):
            self.ledger.put(key, {"text": reply.text, "is_cut": reply.is_cut, "probabilities": chances})
        cost = self._client.budget.cost(reply.usage) / len(verdicts)
        return [dataclasses.replace(v, seconds=round(reply.seconds, 4), cost=cost) for v in verdicts]

    def _count_failure(self, why: str) -> None:
        self._failed_in_a_row += 1
        limit = (3 if self._client.is_known else 1) * self.config.concurrency
        if self._failed_in_a_row >= max(_FAILURES, limit):
            raise EndpointError(
                f"{self._client.shown_url}: {self._failed_in_a_row} calls in a row failed, the last one with: {why}; "
                f"check the endpoint and feedback.endpoints.{self.name}, then run the same command again: answers that "
                "arrived are kept"
            )

    def _read(self, reply: Reply, questions: _Questions, chances: dict[str, float]) -> list[Verdict]:
        verdicts = []
        for verdict in read_reply(reply.text, questions.criteria, self.name):
            if verdict.answer != "unscored":
                chance = chances.get(verdict.criterion)
                verdicts.append(
                    verdict if chance is None else dataclasses.replace(verdict, probability=round(chance, 6))
                )
            elif reply.is_cut:  # an answer that was complete before the cut counts
                why = f"the judge's reply was cut at {self.config.max_tokens} tokens"
                verdicts.append(dataclasses.replace(verdict, evidence=why))
            else:
                verdicts.append(verdict)
        return verdicts

    def _remembered(self, key: str, questions: _Questions) -> list[Verdict] | None:
        value = self.ledger.get(key) if self.ledger is not None else None
        if not isinstance(value, dict) or not isinstance(value.get("text"), str):
            return None
        return self._read(
            Reply(value["text"], value.get("is_cut") is True), questions, value.get("probabilities") or {}
        )

    def _cache_key(self, messages: Messages, questions: _Questions) -> str:
        """Of what is wished for, not of what the server lets pass: a second run asks with the same keys."""
        whole = [self.config.model, self.config.base_url, messages, questions.options, questions.digest]
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


class _Questions:
    """The criteria of one call, and the settings that are wished for; a server may refuse some of these."""

    def __init__(self, criteria: tuple[Criterion, ...], config: EndpointConfig) -> None:
        self.criteria = criteria
        self.digest = hashlib.sha256(
            json.dumps([[c.id, c.question, c.evidence] for c in criteria]).encode()
        ).hexdigest()
        json_schema = {"name": "verdicts", "strict": True, "schema": prompt.schema(criteria)}
        self.options: dict[str, Any] = {
            "temperature": 0,
            "seed": _SEED,
            "max_tokens": config.max_tokens,
            "response_format": {"type": "json_schema", "json_schema": json_schema},
        }
        if config.logprobs:
            self.options |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
