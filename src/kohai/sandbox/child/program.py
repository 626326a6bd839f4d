"""Runs one program's code as `__main__` in this process and reports how it ended; the end is the process's own.

Runs in the image's interpreter: standard library only, imports nothing of Kohai. A report made inside the process is no
proof: a program can do whatever this file can. What makes forging one fail is that a normal end is told twice: the code
gets a last statement of its own, compiled into it, that writes a token; and whoever reports looks at who called.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from _json import encode_basestring_ascii as _quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType
    from typing import Any

NAME = "<completion>"
TEXT_LIMIT = 2000
_exit, _write, _frame_of = os._exit, os.write, sys._getframe  # a program may put anything in their place


def run(code: str, channel: int, nonce: bytes) -> None:
    """Does not come back. The report is JSON after the nonce; the token of a normal end is the nonce's second half."""
    try:
        program = _compile(code, channel, nonce)
    except BaseException as error:
        _end(channel, nonce, {"phase": "compile"} | _describe(error), 1)
    module = type(sys)("__main__")
    module.__dict__["__builtins__"] = __builtins__
    module.__dict__["__file__"] = os.path.abspath("program.py")  # noqa: PTH100 - as a script of its folder has it
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
    _end(channel, nonce, end, status)


def _compile(code: str, channel: int, nonce: bytes) -> CodeType:
    """The code with a last statement that nobody can put off: a constant of it is the call that writes the token.

    Code that compiles ends with a whole statement, so a line below it is one of its own.
    """
    compile(code, NAME, "exec", dont_inherit=True)
    mark = nonce.hex()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the code's were given, and a text is called here
        program = compile(f"{code}\n{mark!r}()", NAME, "exec", dont_inherit=True)
    token = functools.partial(_write, channel, nonce[len(nonce) // 2 :])
    constants = tuple(token if constant == mark else constant for constant in program.co_consts)
    return program.replace(co_consts=constants)


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
        elif isinstance(value, (str, bytes)):
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


def _end(channel: int, nonce: bytes, report: dict[str, Any], status: int) -> None:
    """Flushes, reports, leaves; a caller that is the program's own code is told of."""
    frame: FrameType | None = _frame_of()
    while frame is not None:
        if frame.f_code.co_filename == NAME:
            report = {"phase": "forged"}
        frame = frame.f_back
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()  # type: ignore[union-attr]
        except Exception:  # noqa: S112 - the program may have put anything there
            continue
    _write(channel, nonce + as_json(report).encode())
    _exit(status)


def as_json(value: Any) -> str:
    """JSON without the `json` module, which the program may have changed."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{as_json(key)}:{as_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(as_json, value)) + "]"
    if isinstance(value, str):
        return _quoted(value)
    return "null" if value is None else str(int(value))
