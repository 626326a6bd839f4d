"""Frames between a worker's processes: four bytes of length, then `marshal`.

Runs in the image's interpreter: standard library only, imports nothing of Kohai.
"""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_frame(channel: int) -> Any:
    """The next frame, None at the end."""
    size = _read_exactly(channel, 4)
    if size is None:
        return None
    data = _read_exactly(channel, int.from_bytes(size, "big"))
    return None if data is None else marshal.loads(data)  # noqa: S302 - written by our own


def _read_exactly(channel: int, count: int) -> bytes | None:
    parts = b""
    while len(parts) < count:
        block = os.read(channel, count - len(parts))
        if not block:
            return None
        parts += block
    return parts


def write_frame(channel: int, value: Any) -> None:
    """Writes one frame, whole."""
    data = marshal.dumps(value, 4)  # what every Python from 3.4 on reads
    data = len(data).to_bytes(4, "big") + data
    while data:
        data = data[os.write(channel, data) :]
