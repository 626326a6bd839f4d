"""A worker as its owner sees it: started once, given one job after another, replaced when it is spent or dies."""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kohai.sandbox import cgroup

GRACE_SECONDS = 20.0  # the worker's own clocks come first; this one is for a worker that is gone
PROGRAMS = 5000  # then it is replaced
GROWTH_BYTES = 64 << 20  # and when it holds so much more than at its start


class WorkerError(Exception):
    """A worker that could not start, died, or does not answer; says what it said last."""


class Worker:
    """One process tree that runs programs, one at a time; not for two threads at once.

    Args:
        command: interpreter, flags and the worker's file.
        environment: all of its environment, and its programs'.
        setup: what `child/worker.py` reads first.
        folder: its working folder, removed with it; its standard error is kept there.
        start_seconds: how long its imports may take.

    Raises:
        WorkerError: it did not become ready.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        setup: Mapping[str, Any],
        folder: Path,
        start_seconds: float,
    ) -> None:
        self._errors = folder / "stderr"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
            )
        self._left = PROGRAMS
        self.user: int = setup["nobody"]
        self._group = cgroup.make(folder.name, self._process.pid)
        self._kills = 0
        try:
            self._write({**setup, "grouped": self._group is not None})
            ready = self._read(start_seconds)
            if "failure" in ready:
                raise WorkerError(ready["failure"])
        except BaseException:
            self.close()
            raise
        self._memory_limit = ready["memory"] + GROWTH_BYTES
        self._own_bytes = self._group.used() if self._group is not None else 0

    @property
    def is_spent(self) -> bool:
        """Whether it is to be replaced."""
        return self._left <= 0

    def run(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """What became of one program.

        Raises:
            WorkerError: the worker is gone; close it.
        """
        self._left -= 1
        if self._group is not None:
            self._group.limit(self._own_bytes + job["limits"]["memory_bytes"] + job["limits"]["disk_bytes"])
        self._write(job)
        found = self._read(job["limits"]["wall_seconds"] + GRACE_SECONDS)
        if found.get("memory", 0) > self._memory_limit:
            self._left = 0
        if self._group is not None:
            before, self._kills = self._kills, self._group.kills()
            found["starved"] = self._kills > before
        return found

    def close(self) -> None:
        """Ends it and all that it started."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._group is not None:
            self._group.close()
        shutil.rmtree(self._errors.parent, ignore_errors=True)

    def _write(self, value: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        data = marshal.dumps(dict(value), 4)  # what every Python from 3.4 on reads
        try:
            self._process.stdin.write(len(data).to_bytes(4, "big") + data)
            self._process.stdin.flush()
        except OSError:
            raise WorkerError(self._last_words()) from None

    def _read(self, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        size = int.from_bytes(self._exactly(4, deadline), "big")
        found = marshal.loads(self._exactly(size, deadline))  # noqa: S302 - the zygote's, which no program can write to
        if not isinstance(found, dict):
            raise WorkerError("an answer that is none")
        return found

    def _exactly(self, count: int, deadline: float) -> bytes:
        assert self._process.stdout is not None
        channel = self._process.stdout.fileno()
        parts = bytearray()
        while len(parts) < count:
            if not select.select([channel], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise WorkerError("no answer in time")
            block = os.read(channel, count - len(parts))
            if not block:
                raise WorkerError(self._last_words())
            parts += block
        return bytes(parts)

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        said = self._errors.read_bytes()[-500:].decode("utf-8", "replace").strip()
        return f"the worker ended with status {self._process.returncode}" + (f": {said}" if said else "")
