"""What programs asked the stand-in hub for and did not get, from its log."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable

MISSING = " 424"  # how the line of an answer ends that says: it exists, and is not here


def asked_in_vain(requests: Iterable[str]) -> set[str]:
    """The models whose files were missing; `GET /api/models/<id>/... 424` or `GET /<id>/resolve/... 424`."""
    found = set()
    for line in requests:
        if line.endswith(MISSING):
            path = urllib.parse.unquote(line.removesuffix(MISSING).partition(" ")[2].partition("?")[0]).strip("/")
            name = path.removeprefix("api/models/")
            for word in ("/revision/", "/tree/", "/paths-info/", "/resolve/"):
                name = name.partition(word)[0]
            found.add(name)
    return found
