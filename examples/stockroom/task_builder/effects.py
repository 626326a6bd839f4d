"""What a program does: the digest of the database it leaves and the text it prints."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path


def database_from(sql: str) -> bytes:
    """The database file that an SQL dump describes."""
    db = sqlite3.connect(":memory:")
    db.executescript(sql)
    return db.serialize()


def state_digest(path: str | Path) -> str:
    """SHA-256 over every table's columns and rows, the rows in the order of their JSON text."""

    def plain(value: object) -> object:
        return {"hex": value.hex()} if isinstance(value, bytes) else value

    db = sqlite3.connect(path)
    tables = {}
    names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    for (name,) in sorted(names.fetchall()):
        cursor = db.execute(f'SELECT * FROM "{name}"')
        rows = [[plain(value) for value in row] for row in cursor.fetchall()]
        columns = [column[0] for column in cursor.description]
        tables[name] = {
            "columns": columns,
            "rows": sorted(rows, key=lambda row: json.dumps(row, separators=(",", ":"))),
        }
    db.close()
    text = json.dumps(tables, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def tidy(text: str) -> str:
    """Printed text with each line stripped on the right and no blank lines at the end."""
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip("\n")


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty working folder for programs, left and removed at the end."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def run(code: str, database: bytes) -> dict[str, str]:
    """Run a program in the current folder on a fresh database; what it raises passes through."""
    Path("stockroom.db").write_bytes(database)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "reference.py", "exec"), {"__name__": "__main__"})
    return {"state": state_digest("stockroom.db"), "stdout": tidy(printed.getvalue())}
