"""Runs untrusted programs, many at a time, each in a process of its own, and says what happened.

In force on every system: a separate interpreter that sees the standard library and the packages only; an environment of
six variables; a scratch folder of its own, removed afterwards; limits on CPU time, waiting, memory of each process,
file size, open files; output kept to a bound; everything that the program started is killed with it.
In force where Linux lets us (`Sandbox.describe()` says): no network; a file tree of interpreter, system libraries,
packages (read-only) and scratch; own processes, 64 at most; no capabilities; user `nobody` where we are root.
Not covered: the memory of all processes of a program together, the number of files in its scratch folder, faults of the
kernel, side channels; and without namespaces: reading what the user can read, writing where the user can write, the
network.
"""

from __future__ import annotations

import functools
import itertools
import json
import marshal
import os
import py_compile
import secrets
import sys
import sysconfig
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from kohai.config import SandboxConfig
from kohai.errors import DataError
from kohai.records import Execution, Task
from kohai.sandbox import packages, process, scratch
from kohai.sandbox.classify import Sighting, classify
from kohai.sandbox.layers import Layers, probe
from kohai.sandbox.packages import Package
from kohai.sandbox.state import state_digest

FLAGS = ("-P", "-s", "-S", "-B")  # not -I: it would ignore PYTHONHASHSEED, and the environment is ours
CHILD_FILES = ("runner", "confine", "tree")


@dataclass(frozen=True, slots=True)
class Program:
    """Code to run; `fixture` (a `*.sql`, a file or a folder) is put into its folder, `stdin` is what it may read."""

    code: str
    fixture: Path | None = None
    stdin: str = ""

    @classmethod
    def of_task(cls, code: str, task: Task, folder: Path) -> Program:
        """Code that answers a task, started from the task's fixture; `folder` is what fixtures are relative to."""
        return cls(code, folder / task.fixture if task.fixture else None)


class Sandbox:
    """A place to run programs; use it as a context manager, or let it clean up when it is collected.

    Args:
        package_paths: packages that the programs may import: the folder of a package itself (it has an
            `__init__.py`), or a folder to put on `sys.path`.
        config: the limits.
        state: the name of the database file whose final content is a program's state.
    """

    def __init__(self, package_paths: Sequence[Path], config: SandboxConfig, state: str | None = None) -> None:
        for path in package_paths:
            if not path.is_dir():
                raise DataError(f"package path {path}: no such folder")
        self._paths = tuple(path.resolve() for path in package_paths)
        self._packages: tuple[Package, ...] = ()
        self._config = config
        self._state = state
        self._folder = Path(tempfile.mkdtemp(prefix="kohai-box-"))
        self._folder.chmod(0o711)
        self._finalizer = weakref.finalize(self, scratch.remove, self._folder)
        (self._folder / "root").mkdir()
        self._fixtures = scratch.Fixtures(self._folder / "fixtures", state)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._layers: Layers | None = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Removes its folder; using it afterwards is an error."""
        self._finalizer()

    def describe(self) -> dict[str, bool | str]:
        """What is really in force here, each layer tried out."""
        return self._in_force().describe()

    def execute(self, programs: Sequence[Program], on_done: Callable[[int], None] | None = None) -> list[Execution]:
        """Runs programs, `config.processes` at a time; results in the programs' order.

        Args:
            programs: what to run.
            on_done: called with the number of programs that have ended, in the caller's thread.

        Raises:
            DataError: a fixture cannot be made.
        """
        self._in_force()
        width = self._config.processes or os.cpu_count() or 1
        pool = ThreadPoolExecutor(max_workers=min(width, max(1, len(programs))))
        try:
            futures = [pool.submit(self._run_one, program) for program in programs]
            for count, future in enumerate(as_completed(futures), 1):
                future.result()
                if on_done is not None:
                    on_done(count)
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _in_force(self) -> Layers:
        with self._lock:
            if self._layers is None:
                _compile_child(self._folder / "child")
                self._packages = tuple(
                    packages.prepare(path, self._folder / "packages" / str(place))
                    for place, path in enumerate(self._paths)
                )
                self._layers = probe(self._try_layers)
            return self._layers

    def _try_layers(self, layers: Layers) -> bool:
        test = "import sqlite3, hashlib, subprocess, sys, datetime\nopen('x', 'w').write('x')\nprint('ok')"
        return self._attempt(Program(test), layers).kind == "ok"

    def _run_one(self, program: Program) -> Execution:
        layers = self._in_force()
        execution = self._attempt(program, layers)
        if execution.kind == "sandbox_failure":
            execution = self._attempt(program, layers)
        return execution

    def _attempt(self, program: Program, layers: Layers) -> Execution:
        folder = self._folder / f"run{next(self._numbers)}"
        try:
            return self._attempt_in(folder, program, layers)
        except OSError as error:
            return Execution(kind="sandbox_failure", blame="environment", evidence=f"{error}", tier=layers.tier)
        finally:
            scratch.remove(folder)

    def _attempt_in(self, folder: Path, program: Program, layers: Layers) -> Execution:
        home = folder / "box"
        home.mkdir(parents=True)
        folder.chmod(0o711)
        if program.fixture is not None:
            self._fixtures.put(program.fixture, home)
        if layers.drop_user:
            scratch.give(home, layers.user)
        (folder / "stdin").write_text(program.stdin, encoding="utf-8", errors="surrogateescape")
        report, control = os.pipe(), os.pipe()
        nonce = secrets.token_hex(16)
        inside = "/box" if layers.spaces else str(home)
        try:
            code = program.code.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
            job = self._job(layers) | {
                "code": code,
                "nonce": nonce,
                "scratch": str(home),
                "home": inside,
                "stdin": str(folder / "stdin"),
                "report": report[1],
                "control": control[1],
            }
            (folder / "job").write_bytes(marshal.dumps(job))
        except OSError:
            for number in (*report, *control):
                os.close(number)
            raise
        ended = process.run(
            [packages.interpreter(), *FLAGS, str(self._folder / "child" / "runner.pyc"), str(folder / "job")],
            {"HOME": inside, "TMPDIR": "/tmp" if layers.spaces else inside}  # noqa: S108
            | {"LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", "PYTHONIOENCODING": "utf-8:backslashreplace"},
            home,
            (report, control),
            self._config.wall_seconds,
            self._config.output_kb << 10,
        )
        seen = self._see(ended, nonce, code, layers)
        kind, blame, evidence = classify(seen)
        execution = Execution(
            kind=kind,
            blame=blame,
            evidence=evidence,
            stdout=ended.stdout,
            stderr=ended.stderr,
            cpu_ms=seen.cpu_ms,
            wall_ms=ended.wall_ms,
            peak_bytes=seen.peak_bytes,
            tier=layers.tier,
        )
        if seen.report is not None:
            exception, line = seen.report.get("exception"), seen.report.get("line")
            execution = replace(
                execution,
                exception=exception if isinstance(exception, str) else None,
                line=line if isinstance(line, int) else None,
            )
        if self._state is not None and not seen.failure:
            execution = replace(execution, state=state_digest(home / self._state))
        return execution

    def _job(self, layers: Layers) -> dict[str, object]:
        config = self._config
        return {
            "spaces": layers.spaces,
            "user_space": layers.user_space,
            "fresh_proc": layers.fresh_proc,
            "drop_user": layers.drop_user,
            "own_counts": layers.own_counts,
            "state": self._state or "",
            "root": str(self._folder / "root"),
            "visible": [(f, f) for f in _interpreter_folders()] + [(str(p.source), p.inside) for p in self._packages],
            "package_paths": [package.search(layers.spaces) for package in self._packages],
            "cpu_seconds": config.cpu_seconds,
            "wall_seconds": config.wall_seconds,
            "memory_bytes": config.memory_mb << 20,
            "file_bytes": config.file_mb << 20,
        }

    def _see(self, ended: process.Ended, nonce: str, code: str, layers: Layers) -> Sighting:
        """What came back through the two channels."""
        seen = Sighting(
            code=code,
            trusted=(*_interpreter_folders(), *(package.seen_at(layers.spaces) for package in self._packages)),
            cpu_limit_ms=int(self._config.cpu_seconds * 1000),
            memory_limit_bytes=self._config.memory_mb << 20,
            counts_are_own=layers.own_counts,
        )
        word, _, rest = ended.control.decode("utf-8", "replace").partition(" ")
        if word == "failure":
            return replace(seen, failure=rest)
        report, forged = _read_report(ended.report, nonce)
        if word != "end":
            if ended.status < 0 and not ended.killed:
                return replace(seen, forged=True)  # the program killed its supervisor
            return replace(seen, failure=f"no word of the supervisor, status {ended.status}: {ended.stderr[-200:]}")
        status, late, cpu_ms, peak = map(int, rest.split())
        return replace(
            seen,
            status=os.waitstatus_to_exitcode(status),
            late=bool(late),
            cpu_ms=cpu_ms,
            peak_bytes=peak if sys.platform == "darwin" else peak << 10,
            report=report,
            forged=forged,
        )


def _read_report(data: bytes, nonce: str) -> tuple[dict[str, object] | None, bool]:
    """The runner's report, and whether the channel held anything else."""
    if not data:
        return None, False
    try:
        report = json.loads(data)
    except ValueError:
        return None, True
    if not isinstance(report, dict) or report.pop("nonce", None) != nonce:
        return None, True
    return report, False


@functools.cache
def _interpreter_folders() -> tuple[str, ...]:
    """Where the interpreter and its library lie."""
    folders = [
        sys.base_prefix,
        sys.base_exec_prefix,
        sysconfig.get_path("stdlib"),
        str(Path(packages.interpreter()).parent),
    ]
    real = [str(Path(packages.interpreter()).resolve().parent), str(Path(sys.base_prefix).resolve())]
    shown: list[str] = []
    for folder in [*folders, *real]:
        if folder != "/" and folder not in shown:
            shown.append(folder)
    return tuple(shown)


def _compile_child(folder: Path) -> None:
    """The child's own files as bytecode: they run thousands of times."""
    for name in CHILD_FILES:
        source = Path(__file__).with_name(f"{name}.py")
        py_compile.compile(str(source), cfile=str(folder / f"{name}.pyc"), doraise=True)
