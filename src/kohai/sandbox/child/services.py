"""Services that a worker's programs reach on loopback: each served by a fresh process for each program that asks.

Runs in the image's interpreter: standard library only, imports nothing of Kohai. A service has a process of its own
below the keeper, which imports what it needs once and holds the port. When a program connects, it forks a server with
a process namespace, a folder and no rights, like a program's; at the program's end the server is killed, so nothing of
one program is there for the next. What was asked, and answered, is kept in a log that no program can write to.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # `signal` would load `enum`
import os
import platform
import select
import sys
from contextlib import suppress

from kohai.sandbox.child import kernel, own, tree
from kohai.sandbox.child.frames import read_frame, write_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

GRACE_SECONDS = 10.0
START_SECONDS = 120.0
BACKLOG = 128
LOG_LIMIT = 1 << 16  # bytes a program
LINE_LIMIT = 400


class Service:
    """The keeper's and the zygote's view of a service's process."""

    def __init__(self, name: str, order: int, told: int) -> None:
        self._name = name
        self.ends = (order, told)

    def hear(self, seconds: float) -> dict[str, Any]:
        """Its next word. Raises OSError where none comes, or it says why it cannot go on."""
        words = read_frame(self.ends[1]) if select.select([self.ends[1]], [], [], seconds)[0] else None
        if words is None or "failure" in words:
            raise OSError(f"the service {self._name}: {(words or {}).get('failure', 'does not answer')}")
        found: dict[str, Any] = words
        return found

    def end(self) -> list[str]:
        """Ends what serves the program that has ended; the lines of its log."""
        write_frame(self.ends[0], {"end": True})
        log: bytes = self.hear(GRACE_SECONDS)["log"]
        return log.decode("utf-8", "replace").splitlines()


def start(setup: dict[str, Any], service: dict[str, Any], not_its: Sequence[int]) -> Service:
    """Starts a service's process, waits until it holds its port. Raises OSError saying what failed."""
    orders, order = os.pipe()
    told, tell = os.pipe()
    if not os.fork():
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        for descriptor in (order, told, *not_its):
            os.close(descriptor)
        _hold(setup, service, orders, tell)
    os.close(orders)
    os.close(tell)
    started = Service(service["name"], order, told)
    started.hear(START_SECONDS)
    return started


def _hold(setup: dict[str, Any], service: dict[str, Any], orders: int, tell: int) -> NoReturn:
    """The service's own process: imports, listens, forks a server when somebody calls, ends it when told."""
    try:
        sys.path[:] = [*setup["paths"], *sys.path]
        server = own.module(f"kohai.sandbox.child.{service['kind']}")
        import socket

        listener = socket.create_server(("127.0.0.1", service["port"]), backlog=BACKLOG)
        loaded = server.load(service)
        allowed = kernel.seccomp_filter(platform.machine(), spaces=True)
        log = os.memfd_create("log")
        own_space = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    except BaseException as error:
        write_frame(tell, {"failure": f"{type(error).__name__}: {error}"})
        os._exit(1)
    write_frame(tell, {"ready": True})
    child, gone = 0, -1
    while True:
        called = select.select([orders, gone if child else listener], [], [])[0]
        if orders in called:
            if read_frame(orders) is None:
                os._exit(0)
            if child:
                os.kill(child, signal.SIGKILL)
                child = _bury(child, gone)
            _hang_up(listener)
            write_frame(tell, {"log": os.pread(log, LOG_LIMIT, 0)})
            os.ftruncate(log, 0)
            os.lseek(log, 0, os.SEEK_SET)
        elif child:
            child = _bury(child, gone)
        else:
            kernel.join(own_space, kernel.NEWPID)
            kernel.unshare(kernel.NEWPID)
            child = os.fork()
            if not child:
                with suppress(Exception):
                    _confine(setup, service, allowed)
                    server.serve(loaded, listener, lambda line: _note(log, line))
                os._exit(1)
            gone = os.pidfd_open(child)


def _bury(child: int, gone: int) -> int:
    """Waits for a server that has ended; none is left."""
    os.waitpid(child, 0)
    os.close(gone)
    return 0


def _confine(setup: dict[str, Any], service: dict[str, Any], allowed: bytes | None) -> None:
    """A server's own process: a folder and rights like a program's."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.unshare(kernel.NEWNS | kernel.NEWIPC)
    tree.make_room(setup["limits"], service["fixture"], setup["visible"])
    tree.own_processes()
    os.chdir(tree.BOX)
    kernel.drop_capabilities()
    if setup["landlock"]:
        kernel.landlock(["/"], [tree.BOX, tree.TMP, tree.SHARED], tree.DEVICES)
    if allowed is not None:
        kernel.seccomp(allowed)


def _hang_up(listener: Any) -> None:
    """Closes the calls that nobody took."""
    listener.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
    listener.setblocking(True)


def _note(log: int, line: str) -> None:
    """One line, written before its answer is sent; none past the log's limit."""
    data = line[:LINE_LIMIT].replace("\n", " ").encode("utf-8", "replace") + b"\n"
    if os.fstat(log).st_size + len(data) <= LOG_LIMIT:
        os.write(log, data)
