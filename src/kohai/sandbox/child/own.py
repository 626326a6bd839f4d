"""Our own modules inside a worker: there when we import them, gone before a program looks.

Runs in the image's interpreter: standard library only, imports nothing of Kohai.
"""

from __future__ import annotations

import os
import sys

from kohai.sandbox.child.tree import OWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ROOT = os.path.abspath(f"{__file__}/../../../..")  # noqa: PTH100


def module(name: str) -> Any:
    """Imports one of our modules late, by its full name."""
    place = OWN if os.path.isdir(OWN) else ROOT  # noqa: PTH112
    sys.path.insert(0, place)
    try:
        __import__(name)
        return sys.modules[name]
    finally:
        sys.path.remove(place)
        hide()


def hide() -> None:
    """What is ours is not what a program finds under these names."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "kohai"]:
        del sys.modules[name]
