"""One child process: started, listened to, timed, killed with its session; what it wrote and cost comes back."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE_SECONDS = 5.0  # the supervisor's own clock comes first; this one is for a supervisor that is gone
CHANNEL_LIMIT = 1 << 16


@dataclass(frozen=True)
class Ended:
    """What is known of a child from outside."""

    stdout: str
    stderr: str
    report: bytes
    control: bytes
    status: int  # of the outermost process, as `Popen.returncode`
    killed: bool  # by us
    wall_ms: int


class Tail:
    """The end of a stream: at most `limit` bytes are kept, however much is written."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()

    def add(self, block: bytes) -> None:
        """Takes a block in, forgets the oldest."""
        self._data += block
        if len(self._data) > 2 * self._limit:
            del self._data[: -self._limit]

    def bytes(self) -> bytes:
        """What is kept."""
        return bytes(self._data[-self._limit :])


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    channels: tuple[tuple[int, int], tuple[int, int]],
    wall_seconds: float,
    output_bytes: int,
) -> Ended:
    """Runs a child in its own session to its end.

    Args:
        arguments: the command.
        environment: all of its environment.
        folder: its working folder.
        channels: report and control pipes, (read, write) each; both are closed here.
        wall_seconds: what the child's supervisor allows; some seconds later it is killed from here.
        output_bytes: how much of each stream is kept.

    Raises:
        OSError: it could not be started.
    """
    started = time.monotonic()
    (report, report_in), (control, control_in) = channels
    try:
        child = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=folder,
            pass_fds=(report_in, control_in),
            start_new_session=True,
        )
    except OSError:
        os.close(report)
        os.close(control)
        raise
    finally:
        os.close(report_in)
        os.close(control_in)
    assert child.stdout is not None
    assert child.stderr is not None
    tails = {
        child.stdout.fileno(): Tail(output_bytes),
        child.stderr.fileno(): Tail(output_bytes),
        report: Tail(CHANNEL_LIMIT),
        control: Tail(CHANNEL_LIMIT),
    }
    try:
        killed = _listen(child, tails, started + wall_seconds + GRACE_SECONDS)
    finally:
        _kill(child)  # whoever is left of its session
        texts = [tail.bytes() for tail in tails.values()]
        child.stdout.close()
        child.stderr.close()
        os.close(report)
        os.close(control)
    return Ended(
        texts[0].decode("utf-8", "replace"),
        texts[1].decode("utf-8", "replace"),
        texts[2],
        texts[3],
        child.returncode,
        killed,
        int((time.monotonic() - started) * 1000),
    )


def _listen(child: subprocess.Popen[bytes], tails: Mapping[int, Tail], deadline: float) -> bool:
    """Reads until the child has ended and its streams are closed, or until the deadline; True: it was killed."""
    killed = False
    with selectors.DefaultSelector() as selector:
        for number in tails:
            os.set_blocking(number, False)
            selector.register(number, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(0.25):
                block = _read(key.fd)
                if block:
                    tails[key.fd].add(block)
                elif block is not None:
                    selector.unregister(key.fd)
            if time.monotonic() > deadline:
                killed = child.poll() is None
                break
            if child.poll() is not None:  # a process that escaped may hold a stream open: take what is there
                for key in list(selector.get_map().values()):
                    while block := _read(key.fd):
                        tails[key.fd].add(block)
                        if time.monotonic() > deadline:
                            break
                break
    if not killed:
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            killed = True
    _kill(child)
    child.wait()
    return killed


def _read(number: int) -> bytes | None:
    """What is there: b"" at the end, None where there is nothing yet."""
    try:
        return os.read(number, 1 << 16)
    except BlockingIOError:
        return None


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
