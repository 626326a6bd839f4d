"""Runs untrusted programs, many at a time, each in a process of its own, and says what happened.

A program is forked from a worker that has imported the image's modules once (`child/worker.py`). In force on every
system: an environment of a few variables; a folder of its own, removed afterwards; limits on CPU time, waiting, memory
of each process, file size, open files; output kept to a bound. What else is in force is the tier (`layers.py`,
`Sandbox.describe()`), and stands in every execution.
Not covered: faults of the kernel, side channels; where no control group can be had (`cgroup.py`), the memory of all
processes of a program together; in T1 the names and metadata of what the user can read; in T0 whatever the user may do.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import os
import queue
import random
import threading
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from kohai import machine
from kohai.config import SandboxConfig
from kohai.errors import ConfigError, DataError, ToolError
from kohai.ledger import Ledger
from kohai.records import Execution, Task
from kohai.sandbox import scratch
from kohai.sandbox.classify import EVIDENCE_LIMIT, Sighting, classify
from kohai.sandbox.hub import Replicas, asked_in_vain
from kohai.sandbox.image import Image, open_image
from kohai.sandbox.inputs import offered
from kohai.sandbox.layers import Layers, is_root, probe
from kohai.sandbox.layout import Layout
from kohai.sandbox.worker import Worker, WorkerError

if TYPE_CHECKING:
    from kohai.sandbox.cluster import Cluster

TRIES = 2  # of a program whose environment failed
NOT_SKEWED = frozenset({"syntax_error", "timeout", "tampering", "nonzero_exit", "crash"})  # no version mends these
AHEAD = 64  # programs that wait for each one that runs
HARNESS = 5  # raised when the same program may get another outcome
Workers = queue.LifoQueue[Worker]


@dataclass(frozen=True, slots=True)
class Program:
    """Code to run.

    `fixture` (a `*.sql`, a file or a folder) is what it finds in its folder, under `files` (name: content); `stdin` is
    what it may read; `limits` replace those of the sandbox, by the names of `SandboxConfig`.
    """

    code: str
    fixture: Path | None = None
    stdin: str = ""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of_task(cls, code: str, task: Task, folder: Path) -> Program:
        """Code that answers a task, started from the task's fixture; `folder` is what fixtures are relative to."""
        return cls(code, folder / task.fixture if task.fixture else None)


class Sandbox:
    """A place to run programs; use it as a context manager, or let it clean up when it is collected.

    Args:
        config: the limits, and which image.
        paths: packages that the programs may import: the folder of a package itself (it has an `__init__.py`), or a
            folder to put on `sys.path`.
        state: the name of the database file whose final content is a program's state; the image's own by default.
        hub: what programs reach as the Hugging Face hub; the replicas of the image's catalogue by default
            (with `engine: ray` each node has its own of the catalogue).

    Raises:
        DataError: an image or a path that is none.
        ToolError: the image is not built, or `config.engine` is ray and no cluster can be had.
    """

    def __init__(
        self, config: SandboxConfig, paths: Sequence[Path] = (), state: str | None = None, hub: Replicas | None = None
    ) -> None:
        self.image: Image = open_image(config.image, config.images, paths)
        self._config = config
        if hub is None and (config.catalogue or self.image.catalogue):
            hub = Replicas.open(self.image, config.images, config.catalogue)
        self._hub = hub
        self._state = state or self.image.state
        if self._state is not None and (Path(self._state).is_absolute() or ".." in Path(self._state).parts):
            raise ConfigError(f"state: {self._state!r} leads out of a program's folder; give a name inside it")
        self._layout = Layout(self.image, config, self._state, hub.folder if hub else None)
        self._workers: list[Workers] = [queue.LifoQueue() for _ in range(self.image.full + 1)]  # by level
        self._ledger = Ledger(config.cache) if config.cache else None
        self._other: Sandbox | None = None
        if config.other_image is not None:
            plain = config.model_copy(
                update={"image": config.other_image, "other_image": None, "cache": None, "engine": "local"}
            )
            self._other = Sandbox(plain, paths, state)
        self._cluster = _open_cluster(config, self.image, paths, state)
        self._finalizer = weakref.finalize(self, _clear, self._layout, self._workers, self._ledger, self._cluster)
        self._lock = threading.Lock()
        self._layers: Layers | None = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends its workers and removes its folder; using it afterwards is an error."""
        self._finalizer()
        if self._hub is not None:
            self._hub.close()
        if self._other is not None:
            self._other.close()

    def describe(self) -> dict[str, bool | str]:
        """What is really in force here, each layer tried out."""
        return self._in_force().describe()

    def execute(self, programs: Sequence[Program], on_done: Callable[[int], None] | None = None) -> list[Execution]:
        """Runs programs; the outcomes, in the programs' order.

        Args:
            programs: what to run.
            on_done: called with the number of outcomes there are.

        Raises:
            As `stream`.
        """
        outcomes = []
        for outcome in self.stream(programs):
            outcomes.append(outcome)
            if on_done is not None:
                on_done(len(outcomes))
        return outcomes

    async def stream_async(self, programs: Iterable[Program]) -> AsyncIterator[Execution]:
        """As `stream`, for an event loop: waiting is done in a thread."""
        outcomes = self.stream(programs)
        while (outcome := await asyncio.to_thread(next, outcomes, None)) is not None:
            yield outcome

    def stream(self, programs: Iterable[Program]) -> Iterator[Execution]:
        """Runs programs as they come, `config.processes` at a time; each outcome when those before it are there.

        A bounded number of programs is taken ahead, so there may be any number of them.

        Raises:
            DataError: a fixture cannot be made, or a module of the image cannot be imported.
            ToolError: nothing confines programs here, and `config.unsafe` does not allow that.
        """
        self._in_force()
        width = self._cluster.width if self._cluster else self._config.processes or machine.cores()
        pool = ThreadPoolExecutor(max_workers=width)
        ahead: deque[Future[Execution] | Execution] = deque()
        try:
            for program in programs:
                key, found = self._remembered(program)
                ahead.append(self._submit(program, key, pool) if found is None else found)
                while ahead and (len(ahead) > AHEAD * width or _is_there(ahead[0])):
                    yield _outcome(ahead.popleft())
            while ahead:
                yield _outcome(ahead.popleft())
        finally:
            for entry in ahead:
                if isinstance(entry, Future):
                    entry.cancel()
            pool.shutdown(wait=True)

    def _submit(self, program: Program, key: str, pool: ThreadPoolExecutor) -> Future[Execution]:
        if self._cluster is None:
            return pool.submit(self._run_one, program, key)
        fixture = None if program.fixture is None else self._layout.fixtures.ready(program.fixture)
        return self._cluster.submit(program, fixture, functools.partial(self._remember, key))

    def _in_force(self) -> Layers:
        if self._cluster is not None:
            return self._cluster.layers()
        with self._lock:
            if self._layers is None:
                self._layout.prepare()
                self._layers = probe(self._try_layers)
                if self._layers.tier == "T0" and not self._config.unsafe:
                    raise ToolError(
                        "nothing confines programs on this machine: neither user namespaces nor landlock and seccomp "
                        "work here (`kohai doctor`). Run on a Linux that has them, or set sandbox.unsafe: true to run "
                        "programs with nothing but resource limits between them and your files"
                    )
                try:
                    self._workers[-1].put(self._layout.start(self._layers, self.image.full))
                except WorkerError as error:
                    raise DataError(f"the image {self.image.name} cannot be started: {error}") from None
            return self._layers

    def _try_layers(self, layers: Layers) -> bool:
        """Runs a program under these layers; without the image's modules, whose faults are not the layers'."""
        test = "import sqlite3, hashlib, subprocess, sys, datetime\nopen('x', 'w').write('x')\nprint('ok')"
        try:
            worker = self._layout.start(layers, 0, services=False)
        except WorkerError:
            return False
        execution = self._attempt(worker, Program(test), layers)
        worker.close()
        return execution.kind == "ok"

    def _remembered(self, program: Program) -> tuple[str, Execution | None]:
        """The key of all that an outcome depends on, and the outcome where it is known; no key without a cache."""
        if self._ledger is None:
            return "", None
        layers = self._in_force()
        other = self._other.image.digest if self._other else None
        parts = [
            HARNESS,
            self.image.digest,
            other,
            layers.tier,
            layers.landlock,
            self._state,
            program.code,
            program.stdin,
        ]
        files = sorted((name, hashlib.sha256(content).hexdigest()) for name, content in self._files(program).items())
        parts += [files, sorted(self._layout.limits(layers, program.limits).items())]
        if program.fixture is not None:
            parts.append(self._layout.fixtures.ready(program.fixture)[1])
        key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        found = self._ledger.get(key)
        if found is None:
            return key, None
        return key, Execution(**found | {"cached": True, "requests": tuple(found["requests"])})

    def _remember(self, key: str, execution: Execution) -> None:
        """Keeps an outcome that is the program's own, unless a node of a cluster gave another tier than the first."""
        if self._ledger is not None and execution.ran is not None and execution.tier == self._in_force().tier:
            self._ledger.put(key, asdict(execution))

    def _run_one(self, program: Program, key: str) -> Execution:
        """Runs a program as often as it takes: again, cold, in the other image; remembers what is its own."""
        layers = self._in_force()
        level = self.image.level(program.code)
        for _ in range(TRIES):
            execution = self._with_replicas(program, layers, level)
            if execution.kind == "sandbox_failure":
                _let_go(self._workers[level])  # the next one may be as ill
            if execution.blame != "environment":
                break
        if execution.ran and self.image.preload and self._is_checked(program):
            cold = self._on_some_worker(program, layers, 0)
            if cold.ran is False:
                execution = replace(cold, warm_kind=execution.kind)
        if self._other is not None and execution.ran is False and execution.kind not in NOT_SKEWED:
            there = self._other._run_one(program, "")
            if there.ran:
                why = f"runs in {self._other.image.name}; here {execution.kind}: {execution.evidence}"
                execution = replace(execution, kind="version_skew", evidence=why[:EVIDENCE_LIMIT])
        self._remember(key, execution)
        return execution

    def _with_replicas(self, program: Program, layers: Layers, level: int) -> Execution:
        """Runs a program; where the hub lacked models that can be built, builds them and runs it again."""
        tried: set[str] = set()
        while True:
            execution = self._on_some_worker(program, layers, level)
            wanted = asked_in_vain(execution.requests) - tried
            if self._hub is None or not wanted or not any(found.built for found in self._hub.build(sorted(wanted))):
                return execution
            tried |= wanted

    def _is_checked(self, program: Program) -> bool:
        """Whether a program that ran is run again in a fresh interpreter: a fixed share, the same for the same code."""
        return random.Random(program.code).random() < self._config.cold_share

    def _on_some_worker(self, program: Program, layers: Layers, level: int) -> Execution:
        """Takes an idle worker of a level, or starts one; one that failed, or is spent, is not put back."""
        workers = self._workers[level]
        try:
            worker = workers.get_nowait()
        except queue.Empty:
            try:
                worker = self._layout.start(layers, level)
            except (WorkerError, OSError) as error:
                return _failure(f"{error}", layers)
        try:
            execution = self._attempt(worker, program, layers)
        except BaseException:
            worker.close()
            raise
        if execution.kind == "sandbox_failure" or worker.is_spent:
            worker.close()
        else:
            workers.put(worker)
        return execution

    def _attempt(self, worker: Worker, program: Program, layers: Layers) -> Execution:
        job: dict[str, Any] = {
            "code": program.code.encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
            "stdin": program.stdin.encode("utf-8", "surrogateescape"),
            "files": self._files(program),
            "fixture": "",
            "folder": "",
            "limits": self._layout.limits(layers, program.limits),
        }
        layered = [path for path in (program.fixture, self.image.files) if path is not None]  # the upper one first
        fixtures = [self._layout.fixtures.ready(path)[0] for path in layered]
        home: Path | None = None
        try:
            if layers.spaces:
                job["fixture"] = ":".join(f"/fixtures/{fixture.name}" for fixture in fixtures)
            else:
                home = self._layout.home()
                for fixture in reversed(fixtures):
                    scratch.copy(fixture, home)
                if is_root():
                    scratch.give(home, worker.user)
                job["folder"] = str(home)
            found = worker.run(job)
        except (WorkerError, OSError) as error:
            return _failure(f"{error}", layers)
        finally:
            if home is not None:
                scratch.remove(home)
        if "failure" in found:
            return _failure(found["failure"], layers)
        return self._execution(found, job, layers)

    def _files(self, program: Program) -> dict[str, bytes]:
        """What a program finds in its folder, by name."""
        inputs: Mapping[str, str | bytes] = offered(program.code) if self._config.offer_inputs else {}
        return {
            name: content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
            for name, content in {**inputs, **program.files}.items()
        }

    def _execution(self, found: Mapping[str, Any], job: Mapping[str, Any], layers: Layers) -> Execution:
        report, forged = read_report(found["report"], found["nonce"])
        seen = Sighting(
            status=os.waitstatus_to_exitcode(found["status"]),
            late=found["late"],
            full=found["full"],
            starved=found.get("starved", False),
            cpu_ms=found["cpu_ms"],
            peak_bytes=found["peak"],
            report=report,
            forged=forged,
            code=job["code"],
            trusted=self._layout.trusted(layers),
            cpu_limit_ms=int(job["limits"]["cpu_seconds"] * 1000),
            memory_limit_bytes=job["limits"]["memory_bytes"],
            counts_are_own=layers.counts_are_own,
            requests=tuple(found.get("requests", ())),
        )
        kind, blame, evidence = classify(seen)
        told = report or {}
        exception, line = told.get("exception"), told.get("line")
        return Execution(
            kind=kind,
            blame=blame,
            evidence=evidence,
            exception=exception if isinstance(exception, str) else None,
            line=line if isinstance(line, int) else None,
            stdout=found["stdout"].decode("utf-8", "replace"),
            stderr=found["stderr"].decode("utf-8", "replace"),
            state=found["state"],
            cpu_ms=seen.cpu_ms,
            wall_ms=found["wall_ms"],
            peak_bytes=seen.peak_bytes,
            tier=layers.tier,
            image=self.image.digest,
            requests=tuple(seen.requests),
        )


def execute(programs: Iterable[Program | str], config: SandboxConfig | None = None) -> list[Execution]:
    """Runs one batch of programs; the outcomes, in order. Who has several keeps a `Sandbox`, whose workers stay warm.

    Raises:
        As `Sandbox` and its `stream`.
    """
    with Sandbox(config or SandboxConfig()) as box:
        return list(box.stream(program if isinstance(program, Program) else Program(program) for program in programs))


def read_report(data: bytes, nonce: bytes) -> tuple[dict[str, object] | None, bool]:
    """The program's report, and whether the channel held anything that only a forger writes.

    The last statement that was compiled into the code writes the nonce's second half; the report follows the nonce.
    """
    token = nonce[len(nonce) // 2 :]
    came_to_its_end = data.startswith(token)
    rest = data[len(token) :] if came_to_its_end else data
    if not rest:
        return None, False
    if not rest.startswith(nonce):
        return None, True
    try:
        report = json.loads(rest[len(nonce) :])
    except ValueError:
        return None, True
    if not isinstance(report, dict):
        return None, True
    phase = report.get("phase")
    return report, phase == "forged" or (phase == "end" and not came_to_its_end)


def _is_there(entry: Future[Execution] | Execution) -> bool:
    return isinstance(entry, Execution) or entry.done()


def _outcome(entry: Future[Execution] | Execution) -> Execution:
    return entry if isinstance(entry, Execution) else entry.result()


def _failure(why: str, layers: Layers) -> Execution:
    return Execution(kind="sandbox_failure", blame="environment", evidence=why[:300], tier=layers.tier)


def _let_go(workers: Workers) -> None:
    """Closes the workers that are idle."""
    with suppress(queue.Empty):
        while True:
            workers.get_nowait().close()


def _open_cluster(config: SandboxConfig, image: Image, paths: Sequence[Path], state: str | None) -> Cluster | None:
    if config.engine == "local":
        return None
    from kohai.sandbox.cluster import Cluster

    return Cluster(config, image.digest, paths, state)


def _clear(layout: Layout, pools: Sequence[Workers], ledger: Ledger | None, cluster: Cluster | None) -> None:
    if cluster is not None:
        cluster.close()
    for pool in pools:
        _let_go(pool)
    layout.remove()
    if ledger is not None:
        ledger.close()
