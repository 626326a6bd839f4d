"""Which layers of isolation this machine gives: found by running a program under them, strongest first.

T2  own process, mount, IPC and network namespaces, a private file tree, no capabilities; landlock where the kernel
    has it, seccomp, limits
T1  landlock, seccomp, limits; no sockets; what a program leaves is swept
T0  limits only
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534
FIRST_USER = 0x70000000  # of users that exist nowhere: each worker its own, where we are root without namespaces


def is_root() -> bool:
    """Whether we are a root who can become anybody; root of a namespace with few users is a user like others."""
    if os.getuid() != 0:
        return False
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
    except OSError:
        return True
    return any(
        int(first) <= NOBODY and int(first) + int(count) > 2 * FIRST_USER for first, _, count in map(str.split, lines)
    )


@dataclass(frozen=True)
class Layers:
    """A set of layers; see `child/kernel.py` for what each does."""

    spaces: bool = False  # namespaces and a private file tree
    landlock: bool = False
    seccomp: bool = False

    @property
    def tier(self) -> str:
        """The name that an execution's record carries."""
        if self.spaces and self.seccomp:
            return "T2"
        return "T1" if self.landlock and self.seccomp else "T0"

    @property
    def counts_are_own(self) -> bool:
        """Whether the limit on processes is a program's alone."""
        return self.spaces or (sys.platform == "linux" and is_root())

    def describe(self) -> dict[str, bool | str]:
        """For people: what is in force."""
        linux = sys.platform == "linux"
        return {
            "tier": self.tier,
            "limits": True,
            "scrubbed environment": True,
            "memory limit": linux,
            "kills all children": linux,
            "namespaces": self.spaces,
            "private read-only file tree": self.spaces,
            "landlock": self.landlock,
            "seccomp": self.seccomp,
            "no network": self.spaces or self.seccomp,
            "process count limit": self.counts_are_own,
            "runs as": "nobody" if os.getuid() == 0 and (self.spaces or is_root()) else f"uid {os.getuid()}",
        }


def probe(works: Callable[[Layers], bool]) -> Layers:
    """The first set of layers in which a program runs; without any left, plain limits."""
    for layers in _candidates():
        if works(layers):
            return layers
    return Layers()


def _candidates() -> list[Layers]:
    if sys.platform != "linux":
        return []
    return [
        Layers(spaces=True, landlock=True, seccomp=True),
        Layers(spaces=True, seccomp=True),
        Layers(landlock=True, seccomp=True),
    ]
