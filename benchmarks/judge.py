"""Judges: an endpoint with latency and faults, its ledger and budget; a local judge against one generate a question.

The server is a process of its own on the loopback address; its answers are right or wrong in a known way, so that each
verdict can be checked.
"""

import asyncio
import dataclasses
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from kohai.bench import Row
from kohai.config import EndpointConfig, ModelConfig
from kohai.judge import Case, Criterion, injections
from kohai.judge.endpoint import EndpointJudge
from kohai.judge.rubric import load_rubric
from kohai.ledger import Ledger
from kohai.records import Completion, Execution, Task, Verdict

CONCURRENCY = 64
LATENCY = 0.2  # seconds
FAULTS = {"429": 0.05, "500": 0.05, "hang": 0.03, "garbage": 0.03, "cut": 0.01}
HANG = 30.0
SWAYED = 0.1  # of a probability
DOES_TASK = Criterion("does_task", "Does the program do what the instruction asks?", ("llm",))
DOCS = "\n".join(f"shop.items.sell_{i}(name: str, *, count: int = 1) -> Receipt: sells an item." for i in range(4))


def run() -> list[Row]:
    """All rows; about four minutes."""
    return [rate(), remembered(), *chaos(), killed(), local(), *spoken_to()]


def cases(n: int) -> list[Case]:
    """Different programs; the server says yes to those with an odd number."""
    execution = Execution("ok", "none", stdout="done")
    static = [Verdict(name, "yes", "static") for name in ("parses", "names_bound", "api_exists")]
    return [
        Case(
            Task(f"t{i}", f"Sell {i} pieces of the brass hinge and print the receipt."),
            Completion(
                f"t{i}", 0, "", f"import shop\n\nreceipt = shop.items.sell_1('brass hinge', count={i})\nprint(receipt)"
            ),
            DOCS,
            execution,
            static,
        )
        for i in range(n)
    ]


def judge_at(url: str, ledger: Ledger | None = None, **settings: Any) -> EndpointJudge:
    """A judge that asks the server."""
    config = {"base_url": url, "model": "bench", "concurrency": CONCURRENCY, "max_tokens": 200} | settings
    return EndpointJudge("bench", EndpointConfig(**config), ledger, backoff_seconds=0.1)


def rate() -> Row:
    """Verdicts a second at 64-fold concurrency and 200 ms latency, against the ideal 64 / 0.2."""
    asked = cases(50 * CONCURRENCY)
    with server(LATENCY) as url, tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "l.sqlite") as ledger:
        judge = judge_at(url, ledger)
        judge.answer([DOES_TASK], cases(CONCURRENCY)[:8])
        started = time.perf_counter()
        check(judge.answer([DOES_TASK], asked))
        ours = (len(asked) - 8) / (time.perf_counter() - started)
    ideal = CONCURRENCY / LATENCY
    return Row(
        "endpoint, 64 at a time, 200 ms", "verdicts/s", ours, ideal, ours / ideal, goal="0.9 of the ideal rate",
        holds=ours >= 0.9 * ideal,
    )  # fmt: skip


def remembered() -> Row:
    """Verdicts a second from the ledger."""
    asked = cases(5000)
    with server(0.0) as url, tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "l.sqlite") as ledger:
        judge_at(url, ledger).answer([DOES_TASK], asked)
        judge = judge_at(url, ledger)
        started = time.perf_counter()
        check(judge.answer([DOES_TASK], asked))
        value = len(asked) / (time.perf_counter() - started)
        if judge.n_calls:
            raise RuntimeError(f"{judge.n_calls} remembered verdicts were asked for again")
    return Row("remembered", "verdicts/s", value=value, goal="5,000/s", holds=value >= 5000)


def chaos() -> list[Row]:
    """10,000 verdicts from a server that fails: each is right or unscored with a reason, and every call is counted."""
    asked = cases(10_000)
    with server(0.02, faults=True) as url, tempfile.TemporaryDirectory() as folder:
        with Ledger(Path(folder) / "l.sqlite") as ledger:
            judge = judge_at(url, ledger, timeout_seconds=2.0)
            rows = judge.answer([DOES_TASK], asked)
            spent = judge.report()["calls"]
        received = stats(url)
    unscored = check(rows)
    reasons = Counter(re.sub(r"\d+", "N", row[0].evidence)[:60] for row in rows if row[0].answer == "unscored")
    print(f"unscored: {dict(reasons)}; the server's faults: {received['faults']}", file=sys.stderr)
    return [
        Row(
            "10,000 with faults: ended as a verdict or unscored with its reason", "verdicts", value=float(len(rows)),
            goal="10,000, none wrong", holds=len(rows) == 10_000,
        ),
        Row("of these unscored", "share", value=unscored / len(rows)),
        Row(
            "calls counted", "calls", float(spent), float(received["requests"]), spent / received["requests"],
            goal="exactly the server's own count", holds=spent == received["requests"],
        ),
    ]  # fmt: skip


def killed() -> Row:
    """Share of the calls that a run repeats after a kill -9 halfway."""
    n = 10_000
    with server(0.02) as url, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "ask", url, str(Path(folder) / "l.sqlite"), str(n)]
        child = subprocess.Popen(command)
        while stats(url)["requests"] < n // 2 and child.poll() is None:
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
        child.wait()
        subprocess.run(command, check=True)
        found = stats(url)
    repeated = found["repeated"] / n
    return Row("calls repeated after kill -9", "share", value=repeated, goal="under 0.01", holds=repeated < 0.01)


def local() -> Row:
    """The local judge's verdicts a second against one `generate` of one token a question, same model, interleaved."""
    import torch

    from kohai.judge.prompt import ask, describe
    from kohai.models.base import load_base
    from kohai.models.yes_no import YesNo

    criteria = load_rubric("configs/rubric.yaml").criteria
    base = load_base(ModelConfig())
    judge = YesNo(base, base.model)
    asked = cases(6)
    judge.answer(criteria, asked[:1])
    seconds = {"ours": 0.0, "peer": 0.0}
    for case in asked[1:]:
        started = time.perf_counter()
        judge.answer(criteria, [case])
        seconds["ours"] += time.perf_counter() - started
        started = time.perf_counter()
        for criterion in criteria:
            ids = torch.tensor([base.render(f"{describe(case)}\n\n{ask(criterion)}")], device=base.device)
            with torch.inference_mode():
                base.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=1, do_sample=False)
        seconds["peer"] += time.perf_counter() - started
    n = len(criteria) * (len(asked) - 1)
    ours, peer = n / seconds["ours"], n / seconds["peer"]
    return Row(
        "local judge", "verdicts/s", ours, peer, ours / peer, goal="3x one generate a question", holds=ours >= 3 * peer
    )


def spoken_to() -> list[Row]:
    """What programs that speak to the local judge gain, beside the same wrong program without it."""
    from kohai.models.base import load_base
    from kohai.models.yes_no import YesNo

    base = load_base(ModelConfig())
    [wrong] = cases(1)
    execution = Execution("bad_arguments", "program", "TypeError: sell_1() got an unexpected keyword argument 'amount'")
    code = wrong.completion.code.replace("count=", "amount=")
    versions = [code, *(attack.code for attack in injections(code, [DOES_TASK.id], wrong.task.instruction))]
    asked = [
        dataclasses.replace(wrong, completion=Completion("t0", i, "", text), execution=execution)
        for i, text in enumerate(versions)
    ]
    found = [verdict for [verdict] in YesNo(base, base.model).answer([DOES_TASK], asked)]
    before = found[0]
    gains = [(verdict.probability or 0.0) - (before.probability or 0.0) for verdict in found[1:]]
    moved = sum(gain > SWAYED for gain in gains)
    return [
        Row(
            f"injections that added more than {SWAYED} to the local judge's probability of yes",
            f"of {len(gains)}",
            value=float(moved),
            goal="0",
            holds=not moved,
        ),
        Row("most that one added to its probability of yes", "probability", value=max(gains)),
        Row("its probability of yes without one", "probability", value=before.probability),
    ]


def check(rows: Sequence[Sequence[Verdict]]) -> int:
    """The number of unscored verdicts; every other one must be right, every unscored one have a reason."""
    unscored = 0
    for number, (verdict,) in enumerate(rows):
        if verdict.answer == "unscored":
            unscored += 1
            if not verdict.evidence:
                raise RuntimeError(f"verdict {number} is unscored without a reason")
        elif verdict.answer != ("yes" if number % 2 else "no"):
            raise RuntimeError(f"verdict {number} is another program's")
    return unscored


def stats(url: str) -> dict[str, Any]:
    """What the server has seen."""
    found: dict[str, Any] = httpx2.get(url.removesuffix("/v1") + "/stats", trust_env=False).json()
    return found


@contextmanager
def server(latency: float, faults: bool = False) -> Iterator[str]:
    """A server process; gives its base URL."""
    command = [sys.executable, __file__, "serve", str(latency), str(int(faults))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.wait()


class Server:
    """Answers by the number in the program; with `faults` some requests fail, the same ones for the same order."""

    def __init__(self, latency: float, faults: bool) -> None:
        self.latency = latency
        self.rng = random.Random(7) if faults else None
        self.seen: Counter[str] = Counter()
        self.n_faults: Counter[str] = Counter()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while line := await reader.readline():
                length = 0
                while (header := await reader.readline()).strip():
                    name, _, value = header.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                body = await reader.readexactly(length)
                if not await self.answer(line.split()[1].decode(), body, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; False ends the connection."""
        if path == "/stats":
            requests, answered = sum(self.seen.values()), len(self.seen)
            self.send(writer, 200, {"requests": requests, "repeated": requests - answered, "faults": self.n_faults})
            return True
        found = re.search(r"count=(\d+)", body.decode())
        assert found is not None
        self.seen[found[1]] += 1
        fault = self.fault()
        self.n_faults[fault] += 1
        await asyncio.sleep(HANG if fault == "hang" else self.latency)
        if fault == "cut":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
            return False
        if fault in ("429", "500"):
            self.send(writer, int(fault), {"error": {"message": "busy"}})
            return True
        answer = {"does_task": {"reason": "so", "answer": "yes" if int(found[1]) % 2 else "no"}}
        text = "I would rather not say." if fault == "garbage" else json.dumps(answer)
        message = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        self.send(writer, 200, {"choices": [message], "usage": {"prompt_tokens": 700, "completion_tokens": 30}})
        return True

    def fault(self) -> str:
        """What goes wrong with this request."""
        if self.rng is None:
            return "none"
        return self.rng.choices([*FAULTS, "none"], [*FAULTS.values(), 1 - sum(FAULTS.values())])[0]

    @staticmethod
    def send(writer: asyncio.StreamWriter, status: int, data: Any) -> None:
        """A JSON response."""
        body = json.dumps(data).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)


async def serve(latency: float, faults: bool) -> None:
    """Serves until it is killed, or the process that started it is gone."""
    found = await asyncio.start_server(Server(latency, faults).handle, "127.0.0.1", 0)
    print(found.sockets[0].getsockname()[1], flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1.0)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(float(sys.argv[2]), sys.argv[3] == "1"))
    else:
        with Ledger(sys.argv[3]) as kept:
            check(judge_at(sys.argv[2], kept).answer([DOES_TASK], cases(int(sys.argv[4]))))
