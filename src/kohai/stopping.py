"""Ctrl-C and SIGTERM end a command with one line, that says how to go on where there is something to go on with.

The first signal raises KeyboardInterrupt, so that what is open is closed. Python runs a handler only between two of its
own instructions; where the process is still there some seconds later (a long call into C, a library that swallowed the
exception), or at a second signal, a thread ends it. Artifacts are whole or absent, so ending at any moment is safe.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

EXIT_CODE = 130
GRACE_SECONDS = 3.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def command_line(argv: Sequence[str]) -> str:
    """The command as one would type it again: `kohai run configs/demo.yaml`."""
    program = Path(argv[0])
    if program.name == "__main__.py":
        return shlex.join(["python", "-m", program.resolve().parent.name, *argv[1:]])
    found = shutil.which(program.name)
    if found is not None and Path(found).resolve() == program.resolve():
        program = Path(program.name)
    elif program.is_absolute() and program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    return shlex.join([str(program), *argv[1:]])


def stopped_line(argv: Sequence[str]) -> str:
    """What is printed when a command was stopped; without a command line, there is nothing to go on with."""
    return (
        f"kohai: stopped; the same command goes on where it stopped: {command_line(argv)}" if argv else "kohai: stopped"
    )


@contextmanager
def stoppable(argv: Sequence[str]) -> Iterator[None]:
    """Turns SIGINT and SIGTERM into one line and exit code 130; `argv` is the command line, () where nothing is kept.

    Raises:
        SystemExit: a signal came.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    wakeup_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(reading, argv), daemon=True, name="kohai-stopping")
    watcher.start()
    try:
        yield
    except KeyboardInterrupt:
        print(stopped_line(argv), file=sys.stderr, flush=True)
        raise SystemExit(EXIT_CODE) from None
    finally:
        signal.set_wakeup_fd(wakeup_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writing)  # the watcher reads the end and leaves
        watcher.join()
        os.close(reading)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _watch(reading: int, argv: Sequence[str]) -> None:
    """Ends the process some seconds after a first signal, or at a second; returns when the pipe is closed."""
    if not _signal_came(reading):
        return
    timer = threading.Timer(GRACE_SECONDS, _end, [argv])
    timer.daemon = True
    timer.start()
    if _signal_came(reading):
        _end(argv)
    timer.cancel()


def _signal_came(reading: int) -> bool:
    """Waits for one of our signals; other signals pass. False when the pipe is closed."""
    while number := os.read(reading, 1):
        if number[0] in SIGNALS:
            return True
    return False


def _end(argv: Sequence[str]) -> None:
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
    os.write(2, f"{show_cursor}{stopped_line(argv)}\n".encode())
    os._exit(EXIT_CODE)
