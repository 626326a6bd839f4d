"""What a program leaves behind, in a form that can be compared: the digest of its database, its normalised output."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import stat
import time
from pathlib import Path
from typing import Any

SECONDS = 5.0


def state_digest(path: str | Path, limit_bytes: int = 64 << 20) -> str | None:
    """SHA-256 of a SQLite database's content: for every table its columns in order and its rows, sorted by their JSON.

    Independent of row order, page layout and indexes; bytes are written as `{"hex": ...}`. None for what is not a
    regular file (nor its journals), is larger than the limit, takes over five seconds, or cannot be read. The file is
    the program's: it is opened read-only, with an untrusted schema.
    """
    path = Path(path)
    for suffix in ("", "-wal", "-shm", "-journal"):
        try:
            found = path.with_name(path.name + suffix).lstat()
        except OSError:
            if not suffix:
                return None
            continue
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit_bytes:
            return None
    try:
        content = _content(path)
    except (sqlite3.Error, UnicodeError, ValueError, OverflowError, MemoryError):
        return None
    return hashlib.sha256(_json(content).encode()).hexdigest()


def _content(path: Path) -> dict[str, Any]:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    deadline = time.monotonic() + SECONDS
    try:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        connection.execute("PRAGMA trusted_schema = 0")
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        content = {}
        for (name,) in names:
            if name.startswith("sqlite_"):
                continue
            cursor = connection.execute(f'SELECT * FROM "{name.replace(chr(34), chr(34) * 2)}"')  # noqa: S608
            columns = [column[0] for column in cursor.description]
            rows = [[{"hex": v.hex()} if isinstance(v, bytes) else v for v in row] for row in cursor]
            content[name] = {"columns": columns, "rows": sorted(rows, key=_json)}
        return content
    finally:
        connection.close()


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def normal_stdout(text: str) -> str:
    """Output as effects compare it: each line stripped at its right, blank lines at the end removed."""
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip("\n")
