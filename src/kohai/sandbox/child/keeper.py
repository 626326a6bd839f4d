"""A worker's way into its namespaces, its keeper, and the box that its programs run in, one after another.

Runs in the image's interpreter: standard library only, imports nothing of Kohai. The keeper is process 1 of the
worker's own process namespace. The box is a process namespace and file tree of its own, held by a process 1 that
nothing in the box can harm.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # `signal` would load `enum`
import os
import select
import sys
import time
from contextlib import suppress

from kohai.sandbox.child import kernel, own, services, tree
from kohai.sandbox.child.frames import read_frame, write_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from kohai.sandbox.child.services import Service

GRACE_SECONDS = 10.0  # for the end of what a program left


def enter(setup: dict[str, Any], inbox: int, outbox: int, serve: Callable[[Box], None]) -> None:
    """Enters the namespaces; goes on as keeper in a child, and ends with it. `serve` is the zygote's part."""
    user, group = os.getuid(), os.getgid()
    if setup["is_root"]:
        kernel.unshare(kernel.NEWNS)
    else:
        kernel.unshare(kernel.NEWUSER | kernel.NEWNS)
        kernel.map_user("self", user or setup["nobody"], user, group or setup["nobody"], group)
    tree.build(setup["root"], setup["visible"])
    if setup["is_root"]:
        _become_nobody(setup["nobody"], inbox, outbox)
    kernel.unshare(kernel.NEWNS | kernel.NEWPID | kernel.NEWNET | kernel.NEWIPC)
    keeper = os.fork()
    if keeper:
        os.close(inbox)
        os.close(outbox)
        os.waitpid(keeper, 0)
        os._exit(0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    tree.own_processes()
    kernel.raise_loopback()
    room = f"size={setup['limits']['disk_bytes']},mode=700"
    kernel.mount("tmpfs", tree.TMP, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, room)  # for the imports
    tree.show_hidden(setup["visible"])
    os.chdir(tree.TMP)
    _keep(setup, inbox, outbox, serve)


def _become_nobody(nobody: int, inbox: int, outbox: int) -> None:
    """Gives root up: goes on in a child whose user namespace knows one user, who is nobody outside."""
    waiting, go = os.pipe()
    told, tell = os.pipe()
    child = os.fork()
    if child:
        os.read(told, 1)
        kernel.map_user(str(child), nobody, nobody, nobody, nobody)
        os.write(go, b"!")
        os.close(inbox)
        os.close(outbox)
        os.waitpid(child, 0)
        os._exit(0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setgroups([])
    kernel.unshare(kernel.NEWUSER)
    os.write(tell, b"!")
    os.read(waiting, 1)
    for descriptor in (waiting, go, told, tell):
        os.close(descriptor)
    os.setresgid(nobody, nobody, nobody)
    os.setresuid(nobody, nobody, nobody)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user takes it away
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # this too, and without it nobody may enter our namespaces


def _keep(setup: dict[str, Any], inbox: int, outbox: int, serve: Callable[[Box], None]) -> None:
    """The keeper: starts services, box and zygote; when box or zygote ends, all ends."""
    started = [services.start(setup, service, (inbox, outbox)) for service in setup["services"]]
    own_space = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    orders, order = os.pipe()
    told, tell = os.pipe()
    ends = [end for service in started for end in service.ends]
    kernel.unshare(kernel.NEWPID)
    box = os.fork()
    if not box:
        for descriptor in (inbox, outbox, own_space, order, told, *ends):
            os.close(descriptor)
        _hold_box(setup, orders, tell)
    kernel.join(own_space, kernel.NEWPID)
    for descriptor in (own_space, orders, tell):
        os.close(descriptor)
    zygote = os.fork()
    if not zygote:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        serve(Box(os.pidfd_open(box), order, told, started))
        os._exit(0)
    for descriptor in (inbox, outbox, order, told, *ends):
        os.close(descriptor)
    while os.wait()[0] not in (box, zygote):
        pass
    os._exit(0)


def _hold_box(setup: dict[str, Any], orders: int, tell: int) -> NoReturn:
    """Process 1 of the box. For each program: mounts what it may write, waits until told, kills all there is, tells the
    state, drops the mounts. Nothing of a program is left for the next: every process of it is gone, and all that it
    could write to.
    """
    try:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans need no wait
        kernel.unshare(kernel.NEWNS)
        tree.own_processes()
        if setup["state"]:
            _digest_of()  # once, for all programs
        while (job := read_frame(orders)) is not None:
            kernel.unshare(kernel.NEWIPC)
            tree.make_room(job["limits"], job["fixture"], setup["visible"])
            _number_from_two()
            write_frame(tell, {"ready": True})
            if read_frame(orders) is None:
                break
            _kill_all()
            found = state_of(f"{tree.BOX}/{setup['state']}", job["limits"]) if setup["state"] else None
            tree.drop_room(job["fixture"])
            write_frame(tell, {"state": found})
    except (OSError, MemoryError) as error:
        write_frame(tell, {"failure": f"{error}"})
    os._exit(0)


def _kill_all() -> None:
    """Kills whatever else is in the own process namespace, and comes back when it is gone."""
    while True:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return
        time.sleep(0.0005)


def _number_from_two() -> None:
    """The next process of the own namespace is number 2, whatever ran before, where the kernel lets that be said."""
    with suppress(OSError):
        numbers = os.open("/proc/sys/kernel/ns_last_pid", os.O_WRONLY)
        try:
            os.write(numbers, b"1")
        finally:
            os.close(numbers)


class Box:
    """The zygote's view of the box, of which there is one, made anew for each program. `process` is its pidfd."""

    def __init__(self, process: int, order: int, told: int, services: list[Service]) -> None:
        self.process = process
        self._order, self._told, self._services = order, told, services

    def open(self, job: dict[str, Any]) -> None:
        """Makes the box ready for a program. Raises OSError where that fails."""
        write_frame(self._order, {"limits": job["limits"], "fixture": job["fixture"]})
        self._hear()

    def close(self) -> str | None:
        """Ends all that is in the box; the state's digest. Raises OSError where that fails."""
        write_frame(self._order, {"end": True})
        found: str | None = self._hear()["state"]
        return found

    def requests(self) -> list[str]:
        """What services were asked since the last call; whoever still asks is hung up on."""
        return [line for service in self._services for line in service.end()]

    def _hear(self) -> dict[str, Any]:
        words: dict[str, Any] | None = None
        if select.select([self._told], [], [], GRACE_SECONDS)[0]:
            words = read_frame(self._told)
        if words is None:
            raise SystemExit("the box does not answer")
        if "failure" in words:
            raise OSError(words["failure"])
        return words


def _digest_of() -> Callable[[str, int], str | None]:
    digest: Callable[[str, int], str | None] = own.module("kohai.sandbox.state").state_digest
    return digest


def state_of(path: str, limits: dict[str, int]) -> str | None:
    """The digest of the program's database, read by a child that holds no rights: the file is the program's."""
    told, tell = os.pipe()
    reader = os.fork()
    if not reader:
        state_digest = _digest_of()
        if sys.platform == "linux":
            kernel.drop_capabilities()
        digest = state_digest(path, limits["disk_bytes"])
        os.write(tell, (digest or "").encode())
        os._exit(0)
    os.close(tell)
    digest = ""
    if select.select([told], [], [], GRACE_SECONDS)[0]:
        digest = os.read(told, 64).decode()
    else:
        os.kill(reader, signal.SIGKILL)
    os.close(told)
    with suppress(ChildProcessError):  # who holds a box leaves the waiting to the kernel
        os.waitpid(reader, 0)
    return digest or None
