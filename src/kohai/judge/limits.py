"""What keeps calls to an endpoint within bounds: a budget, rates, and a breaker for an endpoint that fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiolimiter import AsyncLimiter

from kohai.config import EndpointConfig
from kohai.errors import BudgetError
from kohai.ledger import Ledger, Usage

_MINUTE = 60.0
_FAILURES = 5  # in a row, and the breaker opens
_LONGEST_PAUSE = 60.0  # seconds
_GLANCE = 0.05  # seconds between looks at an open breaker


class Budget:
    """What may still be spent at an endpoint. A call is counted when it is sent, its tokens when they are known.

    Until then the most that it may cost is held back, so that no limit is passed, whatever comes of the calls under
    way; with the ledger, what earlier processes spent counts too, and of calls that a kill cut off the most they may
    have cost.
    """

    def __init__(self, name: str, account: str, config: EndpointConfig, ledger: Ledger | None = None) -> None:
        self.name = name
        self.spent = Usage()
        self._config = config
        self._ledger = ledger
        self._account = account  # in the ledger: free of secrets
        self._held = Usage()
        self.begin()
        if ledger is not None:
            self.spent = ledger.spent(self._account)

    def begin(self) -> None:
        """To be called once in each event loop."""
        self._settled = asyncio.Condition()

    def cost(self, usage: Usage) -> float:
        """In the currency of the price; 0 without one."""
        price = self._config.price
        if price is None:
            return 0.0
        return (usage.input_tokens * price.input + usage.output_tokens * price.output) / 1e6

    async def take(self, most: Usage) -> None:
        """Counts a call that is about to be sent and holds back the `most` that it may use; waits where calls under way
        may leave room.

        Raises:
            BudgetError: no call under way can make room for it.
        """
        async with self._settled:
            while (limit := self._passed(self.spent + self._held + most)) is not None:
                if self._held == Usage():
                    raise BudgetError(self._used_up(limit))
                await self._settled.wait()
            held = Usage(0, most.input_tokens, most.output_tokens)
            self._write(Usage(1) + held)
            self._held += held
            self.spent += Usage(1)

    async def settle(self, most: Usage, used: Usage) -> None:
        """Ends a call that was taken: what it used is spent, the rest is free again."""
        async with self._settled:
            held = Usage(0, most.input_tokens, most.output_tokens)
            self._held -= held
            self.spent += used
            self._settled.notify_all()
            self._write(used - held)

    def _write(self, usage: Usage) -> None:
        if self._ledger is not None:
            self._ledger.spend(self._account, usage)

    def _passed(self, usage: Usage) -> str | None:
        """The limit that so much would pass."""
        budget = self._config.budget
        found = {"calls": usage.calls, "tokens": usage.input_tokens + usage.output_tokens, "cost": self.cost(usage)}
        limits = {"calls": budget.calls, "tokens": budget.tokens, "cost": budget.cost}
        return next((name for name, limit in limits.items() if limit is not None and found[name] > limit), None)

    def _used_up(self, limit: str) -> str:
        spent = self.spent
        return (
            f"judge {self.name}: its budget has no room for another call ({spent.calls} calls, "
            f"{spent.input_tokens + spent.output_tokens} tokens, cost {self.cost(spent):.4g} so far); raise "
            f"feedback.endpoints.{self.name}.budget.{limit} and run the same command again: what arrived is kept"
        )


class Rates:
    """At most so many requests and tokens a minute; made anew for each event loop."""

    def __init__(self, config: EndpointConfig) -> None:
        self._requests = AsyncLimiter(config.requests_per_minute, _MINUTE) if config.requests_per_minute else None
        self._tokens = AsyncLimiter(config.tokens_per_minute, _MINUTE) if config.tokens_per_minute else None
        self._owed = 0  # tokens that calls used beyond what was expected of them

    @asynccontextmanager
    async def call(self, expected: int) -> AsyncIterator[list[int]]:
        """Waits for room for a call of `expected` tokens; the block appends what it really used.

        What that is more, later calls wait for: an answer that came is not held back.
        """
        used: list[int] = []
        if self._requests is not None:
            await self._requests.acquire()
        if self._tokens is not None:
            due = expected + self._owed
            now = min(due, int(self._tokens.max_rate))
            self._owed = due - now
            await self._tokens.acquire(now)
        yield used
        self._owed += max(0, sum(used) - expected)


class Breaker:
    """Opens after failures in a row: for a while no call goes out, then a single one that tells whether to go on.

    Each time that one fails too the pause doubles.
    """

    def __init__(self, pause_seconds: float) -> None:
        self._first_pause = self._pause = pause_seconds
        self._failures = 0
        self._closed_at = 0.0
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """No call goes out but the one that tries."""
        return self._failures >= _FAILURES

    async def ready(self) -> bool:
        """Returns when a call may go out; whether it is the one that tries."""
        while self.is_open:
            if not self._is_probing and time.monotonic() >= self._closed_at:
                self._is_probing = True
                return True
            await asyncio.sleep(_GLANCE if self._is_probing else max(0.0, self._closed_at - time.monotonic()))
        return False

    def report(self, succeeded: bool | None, is_probe: bool) -> None:
        """How a call ended, and what `ready` said of it; None = neither answered nor failed by the endpoint."""
        was_open = self.is_open
        if is_probe:
            self._is_probing = False
        if succeeded:
            self._failures, self._pause = 0, self._first_pause
        elif succeeded is False:
            self._failures += 1
            if self.is_open and (is_probe or not was_open):  # not a call of before it opened
                self._closed_at = time.monotonic() + self._pause
                self._pause = min(_LONGEST_PAUSE, 2 * self._pause)
