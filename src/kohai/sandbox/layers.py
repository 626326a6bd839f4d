"""Which layers of isolation this machine gives: found by trying them, strongest first."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

NOBODY = 65534


@dataclass(frozen=True)
class Layers:
    """A set of layers; see `confine` for what each does."""

    spaces: bool = False  # process, network, mount and IPC namespaces, a private file tree
    user_space: bool = False  # by way of a user namespace, for who is not root
    fresh_proc: bool = False  # /proc shows the box only
    drop_user: bool = False  # nobody instead of root
    own_counts: bool = False  # the number of processes is limited for each program by itself

    @property
    def tier(self) -> str:
        """The name that an execution's record carries."""
        return "T0+spaces" if self.spaces else "T0"

    @property
    def user(self) -> int:
        """Who owns the scratch folder."""
        return NOBODY if self.drop_user else os.getuid()

    def describe(self) -> dict[str, bool | str]:
        """For people: what is in force."""
        return {
            "tier": self.tier,
            "limits": True,
            "scrubbed environment": True,
            "kills all children": sys.platform == "linux",
            "memory limit": sys.platform == "linux",
            "no network": self.spaces,
            "private read-only file tree": self.spaces,
            "own processes and /proc": self.spaces and self.fresh_proc,
            "process count limit": self.own_counts,
            "runs as": "nobody" if self.drop_user else f"uid {os.getuid()}",
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
    if os.getuid() == 0:
        return [
            Layers(spaces=True, fresh_proc=True, drop_user=True, own_counts=True),
            Layers(spaces=True, fresh_proc=True, drop_user=True),
            Layers(spaces=True, drop_user=True),
            Layers(drop_user=True),
        ]
    return [
        Layers(spaces=True, user_space=True, fresh_proc=True, own_counts=True),
        Layers(spaces=True, user_space=True, own_counts=True),
    ]
