"""Memory of all of a program's processes together, bounded by a control group, where the system lets us have one.

Version 2 needs a delegated group (`systemd-run --user --scope -p Delegate=yes kohai ...`, a container that owns its
group, root); version 1 a writable hierarchy of the memory controller, which is root's. Elsewhere there is none, and
each process is bounded by itself.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
SERVICE = "kohai-service"
USAGE = "memory.usage_in_bytes"  # of version 1
SWAP, WITH_SWAP = "memory.swap.max", "memory.memsw.limit_in_bytes"  # of version 2; of version 1, with the memory
GONE_SECONDS = 2.0
_numbers = itertools.count()


class Group:
    """A group of one worker and all below it."""

    def __init__(self, folder: Path, limit: str, events: str) -> None:
        self.folder, self._limit, self._events = folder, limit, events
        self._in_force = 0

    def begin(self, process: int) -> None:
        """Makes the group and puts a process into it. Raises OSError where it is not ours or counts no memory."""
        self.folder.mkdir()
        self.used()
        (self.folder / "cgroup.procs").write_text(str(process))

    def used(self) -> int:
        """Bytes in use."""
        return int((self.folder / ("memory.current" if self._limit == "memory.max" else USAGE)).read_text())

    def limit(self, size: int) -> None:
        """Bounds the group at so many bytes, and at none in swap: a program that is swapped is not killed."""
        if size != self._in_force:
            self._bound_swap(size)
            (self.folder / self._limit).write_text(str(size))
            self._bound_swap(size)  # version 1 keeps the sum above the limit: one of the two comes at the right time
            self._in_force = size

    def _bound_swap(self, size: int) -> None:
        name, bound = (SWAP, 0) if self._limit == "memory.max" else (WITH_SWAP, size)
        with suppress(OSError):  # the system counts no swap
            (self.folder / name).write_text(str(bound))

    def kills(self) -> int:
        """How many processes were killed for its limit so far."""
        with suppress(OSError):
            for line in (self.folder / self._events).read_text().splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
        return 0

    def close(self) -> None:
        """Removes the group, as soon as its processes, which were killed, are gone."""
        deadline = time.monotonic() + GONE_SECONDS
        while self.folder.exists() and time.monotonic() < deadline:
            with suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.005)


def make(name: str, process: int) -> Group | None:
    """A new group, without a limit yet, of a process and what it starts; None where there can be none."""
    label = f"kohai-{os.getpid()}-{next(_numbers)}-{re.sub(r'[^a-z0-9]', '', name)}"
    try:
        lines = OWN.read_text().splitlines()
    except OSError:
        return None
    for _, controllers, path in (line.split(":", 2) for line in lines):
        group = None
        try:
            if "memory" in controllers.split(","):
                group = Group(ROOT / "memory" / path.lstrip("/") / label, "memory.limit_in_bytes", "memory.oom_control")
            elif controllers == "" and (parent := _delegated(ROOT / path.lstrip("/"))) is not None:
                group = Group(parent / label, "memory.max", "memory.events")
            if group is not None:
                _sweep(group.folder.parent)
                group.begin(process)
                return group
        except OSError:
            if group is not None:
                group.close()
    return None


def _sweep(parent: Path) -> None:
    """Removes what a Kohai that was killed left: empty groups named after a process that is gone."""
    for folder in parent.glob("kohai-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not Path("/proc", owner).exists():
            with suppress(OSError):
                folder.rmdir()


def _delegated(own: Path) -> Path | None:
    """The group of version 2 that new ones go into; moves this process into a leaf where that is needed.

    Another process in the group forbids it to hand memory on: then this one has moved in vain, and there is none.
    """
    if own.name == SERVICE:
        return own.parent if "memory" in (own.parent / "cgroup.subtree_control").read_text().split() else None
    if "memory" not in (own / "cgroup.controllers").read_text().split():
        return None
    if "memory" not in (own / "cgroup.subtree_control").read_text().split():
        leaf = own / SERVICE
        leaf.mkdir(exist_ok=True)
        (leaf / "cgroup.procs").write_text(str(os.getpid()))
        (own / "cgroup.subtree_control").write_text("+memory")
    return own
