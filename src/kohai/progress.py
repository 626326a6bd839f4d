"""Progress on stderr: bars on a terminal, plain lines elsewhere.

    with progress.bar("sft", 60, unit="updates") as bar:
        bar.advance(note="loss 0.31")

Elsewhere than on a terminal a bar is a first line, at most one line each ten seconds, and a last line with its seconds;
a terminal keeps that last line too. Leaves out logging: these lines are for people, numbers go into artifacts.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

EVERY_SECONDS = 10.0


class Bar:
    """A count on its way to `total`; `advance` may be called from any thread."""

    def __init__(self, label: str, total: int, unit: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self.note = ""
        self._clock = clock
        self._started = self._spoken = clock()
        self._lock = threading.Lock()
        self._task: TaskID | None = _screen.add(self) if _is_terminal() else None
        if self._task is None:
            _write(f"{label}: 0/{total}{self._unit()}")

    def advance(self, n: int = 1, note: str = "") -> None:
        """Counts `n` more; `note` says something short about the latest of them."""
        with self._lock:
            self.done += n
            self.note = note or self.note
            if self._task is not None:
                _screen.update(self._task, self)
            elif self._clock() - self._spoken >= EVERY_SECONDS:
                self._spoken = self._clock()
                _write(f"{self.label}: {self.done}/{self.total}{self._unit()}, {self._seconds()}{self._note()}")

    def _finish(self, completed: bool) -> None:
        verb = "in" if completed else "when it stopped after"
        line = f"{self.label}: {self.done}/{self.total}{self._unit()} {verb} {self._seconds()}{self._note()}"
        if self._task is not None:
            _screen.remove(self._task)
        say(line)

    def _seconds(self) -> str:
        return f"{self._clock() - self._started:.0f} s"

    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""

    def _note(self) -> str:
        return f", {self.note}" if self.note else ""


@contextmanager
def bar(label: str, total: int, unit: str = "", clock: Callable[[], float] = time.monotonic) -> Iterator[Bar]:
    """A progress bar for the work inside; bars may be nested."""
    shown = Bar(label, total, unit, clock)
    completed = False
    try:
        yield shown
        completed = True
    finally:
        shown._finish(completed)


def say(text: str) -> None:
    """One line for people, above the bars where there are some."""
    if not _screen.print(text):
        _write(text)


def mute() -> None:
    """Nothing more is shown: another process tells of the same work."""
    global _muted
    _muted = True


_muted = False


class _Screen:
    """The bars of this process's terminal: one live display, there only while a bar is."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._count = 0

    def add(self, bar: Bar) -> TaskID:
        if self._progress is None:
            self._progress = _display()
            self._progress.start()
        self._count += 1
        return self._progress.add_task(bar.label, total=bar.total, unit=bar.unit, note="")

    def update(self, task: TaskID, bar: Bar) -> None:
        if self._progress is not None:
            self._progress.update(task, completed=bar.done, note=bar.note)

    def remove(self, task: TaskID) -> None:
        if self._progress is None:
            return
        self._progress.remove_task(task)
        self._count -= 1
        if self._count == 0:
            self._progress.stop()
            self._progress = None

    def print(self, text: str) -> bool:
        """Prints above the bars; False where there are none."""
        if self._progress is None:
            return False
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        return True


_screen = _Screen()


def _display() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False, style="dim"),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _is_terminal() -> bool:
    return not _muted and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _write(line: str) -> None:
    if not _muted:
        print(line, file=sys.stderr, flush=True)
