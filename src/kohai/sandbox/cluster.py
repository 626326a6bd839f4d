"""The sandbox on a Ray cluster: an actor for each core, each with a local sandbox of one worker.

No file system is shared: fixtures, packages and an image's files travel through Ray's object store, and each actor
writes them once. A node needs Kohai, Ray and the driver's Python; an image with a lock is built there where it is not.
Outcomes are remembered by the driver alone.

An actor that dies is replaced, and what it ran goes to whoever is free, a program at a time, so that one that kills its
actor takes no other with it; after `TRIES` actors its outcome is `sandbox_failure`. Ray's own restarts are not used: an
actor that waits for the core of a lost node would keep its programs waiting; here it holds none.
Not covered: who reaches Ray's ports may run anything on the cluster (programs of T1 and T2 have no network).
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kohai import machine
from kohai.config import SandboxConfig
from kohai.errors import KohaiError, ToolError
from kohai.records import Execution
from kohai.sandbox.actor import Runner
from kohai.sandbox.layers import Layers
from kohai.sandbox.parcel import pack, prepare
from kohai.sandbox.sandbox import Program

BATCH = 8  # programs that an actor gets at a time
TRIES = 3  # actors that a program may be lost with, and that may die one after another at their start
START_SECONDS = 600.0  # until the first actor is ready: nodes may have to be started, an image to be built
CLOSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Job:
    """A program on its way: `fixture` is a digest, `keep` takes its outcome, `tries` counts lost actors."""

    program: Program
    fixture: str | None
    keep: Callable[[Execution], None]
    future: Future[Execution]
    tries: int = 0


class Cluster:
    """Runs programs on `width` actors of a Ray cluster; `close` it at the end.

    Args:
        config: of the sandbox; `processes` is the number of actors, 0 = one for each core that the cluster has now.
        digest: of the image as the driver has it; an actor that has another is an error.
        paths: packages that the programs may import.
        state: the name of the database file whose final content is a program's state.

    Raises:
        ToolError: Ray is not installed, or no cluster answers.
    """

    def __init__(self, config: SandboxConfig, digest: str, paths: Sequence[Path], state: str | None) -> None:
        setup = prepare(config, digest, paths, state)
        self._ray = connect(config)
        self._setup = self._ray.put(setup)
        self._fixtures: dict[str, Any] = {}
        self._changed = threading.Condition()  # guards what follows
        self._jobs: deque[Job] = deque()
        self._actors: list[Any] = []
        self._layers: Layers | None = None
        self._error: BaseException | None = None
        self._closed = False
        self.width = config.processes or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        for number in range(self.width):
            threading.Thread(target=self._attend, daemon=True, name=f"kohai-actor-{number}").start()

    def layers(self) -> Layers:
        """What is in force on the actor that was ready first.

        Raises:
            DataError, ToolError: an actor cannot be started; says why, and on which node.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._layers or self._error, START_SECONDS)
            if self._error is not None:
                raise self._error
            if self._layers is None:
                raise ToolError(
                    f"no actor was ready on the Ray cluster after {START_SECONDS:.0f} s; `ray status` tells whether a "
                    "core is free"
                )
            return self._layers

    def submit(
        self, program: Program, fixture: tuple[Path, str] | None, keep: Callable[[Execution], None]
    ) -> Future[Execution]:
        """Runs a program on some actor.

        Args:
            program: to run.
            fixture: a folder with what it finds in its own, and a digest of that; takes the place of the program's.
            keep: called with the outcome before the future has it, unless the program was lost.
        """
        folder, digest = fixture or (None, None)
        job = Job(replace(program, fixture=None), digest, keep, Future())
        with self._changed:
            if folder is not None and digest is not None and digest not in self._fixtures:
                self._fixtures[digest] = self._ray.put(pack(folder, [folder]))
            if self._error is None:
                self._jobs.append(job)
                self._changed.notify()
            else:
                job.future.set_exception(self._error)
        return job.future

    def close(self) -> None:
        """Ends the actors; a cluster that was started here serves the next sandbox, and ends with the process."""
        with self._changed:
            self._closed = True
            actors, self._actors = self._actors, []
            self._changed.notify_all()
        if actors and self._ray.is_initialized():
            ended = [actor.close.remote() for actor in actors]
            self._ray.wait(ended, num_returns=len(ended), timeout=CLOSE_SECONDS)
            for actor in actors:
                self._ray.kill(actor)

    def _attend(self) -> None:
        """Keeps one actor busy until the cluster is closed or has failed; a thread's whole life."""
        errors = self._ray.exceptions
        jobs: list[Job] = []
        try:
            actor = self._started()
            while jobs := self._take():
                needed = {job.fixture: self._fixtures[job.fixture] for job in jobs if job.fixture is not None}
                programs = [(job.program, job.fixture) for job in jobs]
                try:
                    found = _told(self._ray.get(actor.run.remote(programs, needed)))
                except errors.RayTaskError:
                    raise
                except errors.RayError as error:
                    self._put_back(jobs, f"{error}")
                    actor = self._started(actor)
                else:
                    for job, execution in zip(jobs, found, strict=True):
                        job.keep(execution)
                        job.future.set_result(execution)
        except Exception as error:
            self._fail(error, jobs)

    def _started(self, dead: Any = None) -> Any:
        """An actor that is ready, in place of one that died; waits for a free core. None once the cluster is closed."""
        actor = dead
        for attempt in range(1, TRIES + 1):
            with self._changed:
                if actor in self._actors:
                    self._actors.remove(actor)
                if self._closed:
                    return None
                actor = self._ray.remote(num_cpus=1)(Runner).remote(self._setup)
                self._actors.append(actor)
            try:
                layers = _told(self._ray.get(actor.open.remote()))
            except self._ray.exceptions.RayTaskError:
                raise
            except self._ray.exceptions.RayError as error:
                if attempt == TRIES:
                    raise ToolError(f"an actor of the Ray cluster died {TRIES} times at its start: {error}") from None
            else:
                break
        with self._changed:
            self._layers = self._layers or layers
            self._changed.notify_all()
        return actor

    def _take(self) -> list[Job]:
        """Programs for one call of an actor, as soon as there are some; none once the cluster is closed or has failed.

        A call has fewer than `BATCH` where few are left, so that all actors end together.
        """
        with self._changed:
            taken: list[Job] = []
            while not taken:
                self._changed.wait_for(lambda: self._jobs or self._closed or self._error)
                if self._closed or self._error:
                    return []
                wanted = min(BATCH, -(-len(self._jobs) // (2 * self.width)))
                while self._jobs and len(taken) < wanted and not (taken and self._jobs[0].tries):
                    job = self._jobs.popleft()
                    if job.tries or job.future.set_running_or_notify_cancel():
                        taken.append(job)
                    if job.tries:
                        break
            return taken

    def _put_back(self, jobs: Sequence[Job], why: str) -> None:
        with self._changed:
            for job in reversed(jobs):
                if job.tries + 1 < TRIES:
                    self._jobs.appendleft(replace(job, tries=job.tries + 1))
                else:
                    evidence = f"its actor died {TRIES} times: {why}"[:300]
                    tier = (self._layers or Layers()).tier
                    job.future.set_result(Execution("sandbox_failure", "environment", evidence, tier=tier))
            self._changed.notify_all()

    def _fail(self, error: BaseException, jobs: Sequence[Job]) -> None:
        with self._changed:
            self._error = self._error or error
            for job in (*jobs, *self._jobs):
                if not job.future.done():
                    job.future.set_exception(self._error)
            self._jobs.clear()
            self._changed.notify_all()


def connect(config: SandboxConfig) -> Any:
    """The module `ray`, connected to the cluster of the configuration, or to one that is started on this machine.

    Raises:
        ToolError: Ray is not installed, or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when it is imported; nothing is sent anywhere
    try:
        import ray
    except ImportError:
        raise ToolError("sandbox.engine: ray needs Ray, which is not installed; pip install 'kohai[ray]'") from None
    if ray.is_initialized():
        return ray
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if config.ray_address is None:
            cores = config.processes or machine.cores()
            ray.init(address="local", num_cpus=cores, include_dashboard=False, **quiet)
        else:
            ray.init(address=config.ray_address, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        raise ToolError(f"sandbox.ray_address: {config.ray_address}: no Ray cluster to work with: {error}") from None
    finally:
        if signal.getsignal(signal.SIGTERM) is not handler:
            signal.signal(signal.SIGTERM, handler)  # Ray sets one that ends the process
    return ray


def _told(answer: Any) -> Any:
    if isinstance(answer, KohaiError):
        raise answer
    return answer
