"""Runs one program inside the box; the child process's own file: standard library only, imports nothing of Kohai.

Three processes: this one enters the namespaces, a *supervisor* (process 1 of the box where there are namespaces) holds
the clock and kills whatever is left, and the *program* runs in a child of it, under the limits. The program's end is
told twice: the program's process writes a report (what was raised, where) under the run's nonce, and the supervisor,
over a channel that the program's process has closed, how that process really ended and what it cost.

An in-process report is never proof: a determined program can find the nonce in this module's frames. What it cannot
reach is the supervisor's channel.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # `signal` loads `enum`: milliseconds
import marshal
import os
import resource
import sys
import time

TYPE_CHECKING = False  # `typing` costs milliseconds
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any

NAME = "<completion>"
TEXT_LIMIT = 2000


def main() -> None:
    """Reads and removes the job, confines itself, starts the program."""
    job_path, folder = sys.argv[1], os.path.dirname(__file__)  # noqa: PTH120 - pathlib would cost milliseconds
    with open(job_path, "rb") as file:  # noqa: PTH123
        job: dict[str, Any] = marshal.loads(file.read())  # noqa: S302 - written by our parent
    os.unlink(job_path)  # noqa: PTH108
    try:
        stdin = os.open(job["stdin"], os.O_RDONLY)
        sys.path.insert(0, folder)
        import confine  # type: ignore[import-not-found, unused-ignore]
        import tree  # type: ignore[import-not-found, unused-ignore]

        sys.path.remove(folder)
        del sys.modules["confine"], sys.modules["tree"]
        confine.enter(job)
    except OSError as error:
        _tell(job["control"], f"failure {error}")
        os._exit(1)
    if job["spaces"]:
        first = os.fork()
        if first:
            os.waitpid(first, 0)
            os._exit(0)
    _supervise(job, confine, tree, stdin)


def _supervise(job: dict[str, Any], confine: Any, tree: Any, stdin: int) -> None:
    """Starts the program, waits to its end or the clock's, kills the rest, tells how it went."""
    try:
        confine.guard(job)
        scratch = os.open(job["scratch"], os.O_RDONLY)
        if job["spaces"]:
            tree.build(job)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        program = os.fork()
    except OSError as error:
        _tell(job["control"], f"failure {error}")
        os._exit(1)
    if not program:
        os.close(scratch)
        _become_program(job, confine, stdin)
    for number in (0, 1, 2, job["report"]):
        os.close(number)
    deadline = time.monotonic() + job["wall_seconds"]
    status = None
    while status is None and (left := deadline - time.monotonic()) > 0:
        _wait(left)
        status = _reap(program)
    late = status is None
    while True:  # whoever is left, the orphans too, which are ours: process 1, or the sub-reaper
        confine.kill_rest(job, program)
        try:
            pid, ended = os.waitpid(-1, 0)
        except ChildProcessError:
            break
        if pid == program:
            status = ended
    if job["spaces"] and job["state"]:
        try:
            tree.save_state(job, scratch)
        except OSError as error:
            _tell(job["control"], f"failure {error}")
            os._exit(1)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    _tell(job["control"], f"end {status} {int(late)} {int((used.ru_utime + used.ru_stime) * 1000)} {used.ru_maxrss}")
    os._exit(0)


def _wait(seconds: float) -> None:
    if hasattr(signal, "sigtimedwait"):
        signal.sigtimedwait([signal.SIGCHLD], seconds)
    else:
        time.sleep(min(seconds, 0.005))


def _reap(program: int) -> int | None:
    """The program's wait status, once it has ended; other orphans are reaped on the way."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 0
        if pid == program:
            return status
        if pid == 0:
            return None


def _tell(channel: int, text: str) -> None:
    os.write(channel, text.encode("utf-8", "replace"))


def _become_program(job: dict[str, Any], confine: Any, stdin: int) -> None:
    """Takes the limits on, runs the code as `__main__`, reports; does not come back."""
    report = {"nonce": job["nonce"], "phase": "setup"}
    try:
        os.close(job["control"])
        os.setsid()
        os.dup2(stdin, 0)
        os.close(stdin)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        confine.limit(job)
        sys.path[:] = [*job["package_paths"], *sys.path, os.getcwd()]  # noqa: PTH109
        sys.argv[:] = [NAME]
    except (OSError, ValueError) as error:
        _end(job, report | {"message": f"{type(error).__name__}: {error}"}, 1)
    code = job.pop("code")
    try:
        program = compile(code, NAME, "exec", dont_inherit=True)
    except BaseException as error:
        _end(job, report | {"phase": "compile"} | _describe(error), 1)
    module = type(sys)("__main__")
    module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = module
    end: dict[str, Any] = {"phase": "end"}
    status = 0
    try:
        try:
            exec(program, module.__dict__)  # noqa: S102 - this is what the box is for
        finally:
            _finish_threads()
    except SystemExit as error:
        status = _exit_status(error)
        end = {"phase": "exit", "exit": status}
    except BaseException as error:
        status = 1
        end = {"phase": "run"} | _describe(error)
    _end(job, report | end, status)


def _finish_threads() -> None:
    """What the interpreter does at its end: waits for threads, calls what was registered."""
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    if "atexit" in sys.modules:
        sys.modules["atexit"]._run_exitfuncs()


def _exit_status(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def _describe(error: BaseException) -> dict[str, Any]:
    """What classification needs of an exception; prints its traceback as the interpreter would."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != NAME:
        trace = trace.tb_next
    error.__traceback__ = trace
    sys.__excepthook__(type(error), error, trace)
    deepest, line = _frames(trace)
    if isinstance(error, SyntaxError) and line is None:
        line = error.lineno
    found = {
        "exception": type(error).__name__,
        "mro": [kind.__name__ for kind in type(error).__mro__],
        "message": _text(error),
        "chain": _chain(error),
        "file": deepest.f_code.co_filename if deepest else NAME,
        "line": line,
    }
    for name in ("errno", "filename", "name"):
        value = getattr(error, name, None)
        if isinstance(value, int):
            found[name] = int(value)
        elif isinstance(value, str | bytes):
            found[name] = os.fsdecode(value)[:TEXT_LIMIT]
    return found


def _frames(trace: TracebackType | None) -> tuple[FrameType | None, int | None]:
    """The deepest frame, and the line of the program's own deepest one."""
    deepest, line = None, None
    while trace is not None:
        deepest = trace.tb_frame
        if deepest.f_code.co_filename == NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return deepest, line


def _chain(error: BaseException) -> list[str]:
    """Its causes, nearest first: `Type: message`."""
    causes: list[str] = []
    inner: BaseException | None = error
    while inner is not None and len(causes) < 8:
        inner = inner.__cause__ or (None if inner.__suppress_context__ else inner.__context__)
        if inner is not None:
            causes.append(f"{type(inner).__name__}: {_text(inner)[:500]}")
    return causes


def _text(error: BaseException) -> str:
    try:
        return str(error)[:TEXT_LIMIT]
    except Exception as broken:
        return f"(its message raises {type(broken).__name__})"


def _end(job: dict[str, Any], report: dict[str, Any], status: int) -> None:
    """Flushes, reports, leaves."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()  # type: ignore[union-attr]
        except Exception:  # noqa: S112 - the program may have put anything there
            continue
    os.write(job["report"], (_json(report) + "\n").encode())
    os._exit(status)


def _json(value: Any) -> str:
    """JSON without the `json` module, whose import would cost a fifth of a run."""
    from _json import encode_basestring_ascii

    if isinstance(value, dict):
        return "{" + ",".join(f"{_json(key)}:{_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    return "null" if value is None else str(int(value))


if __name__ == "__main__":
    main()
