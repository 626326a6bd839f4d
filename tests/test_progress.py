"""Progress: few plain lines where there is no terminal, bars where there is one."""

import os
import pty
import subprocess
import sys

import pytest

from kohai import progress


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def test_plain_lines(capsys):
    """30 steps of 1 s: a first line, one each ten seconds, a last one with the seconds."""
    clock = Clock()
    with progress.bar("sft", 30, unit="updates", clock=clock) as bar:
        for step in range(30):
            clock.now += 1
            bar.advance(note=f"loss {3 - step / 10:.1f}")
    assert capsys.readouterr().err.splitlines() == [
        "sft: 0/30 updates",
        "sft: 10/30 updates, 10 s, loss 2.1",
        "sft: 20/30 updates, 20 s, loss 1.1",
        "sft: 30/30 updates, 30 s, loss 0.1",
        "sft: 30/30 updates in 30 s, loss 0.1",
    ]


def test_an_error_ends_the_bar(capsys):
    """The last line says how far it came; the error goes on."""
    clock = Clock()

    def work() -> None:
        with progress.bar("rl", 9, clock=clock) as bar:
            bar.advance(4)
            clock.now += 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert capsys.readouterr().err.splitlines() == ["rl: 0/9", "rl: 4/9 when it stopped after 2 s"]


def test_say_is_one_plain_line(capsys):
    """Brackets of a text are no markup."""
    progress.say("[bold]evaluate[/bold]: 3 of 5")
    assert capsys.readouterr().err == "[bold]evaluate[/bold]: 3 of 5\n"


def test_a_terminal_gets_bars():
    """On a terminal a nested bar and a line above the bars work, and only last lines stay."""
    code = """
from kohai import progress
with progress.bar("outer", 2, unit="steps") as outer:
    outer.advance(note="loss [1]")
    with progress.bar("inner", 1) as inner:
        progress.say("hello [x]")
        inner.advance()
    outer.advance()
"""
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-c", code], stderr=follower, stdout=follower, env=environment)
    os.close(follower)
    output = b""
    try:
        while block := os.read(leader, 65536):
            output += block
    except OSError:  # Linux says so when the other side is closed
        pass
    os.close(leader)
    assert process.wait(timeout=30) == 0
    text = output.decode()
    for line in ("hello [x]", "inner: 1/1 in 0 s", "outer: 2/2 steps in ", ", loss [1]"):
        assert line in text
    assert "\x1b[?25h" in text  # the cursor is back


def test_a_dumb_terminal_gets_lines(monkeypatch):
    """TERM=dumb means no bars."""
    monkeypatch.setenv("TERM", "dumb")
    assert not progress._is_terminal()
