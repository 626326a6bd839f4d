"""The ledger: a SQLite file that remembers what a judge or a sandbox has found, so that nothing is done twice.

Safe for several processes on one machine (write-ahead log); not for a network file system.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kohai.errors import DataError, WorkspaceError

FORMAT = 1
_BUSY_SECONDS = 30.0
_TABLES = (
    "CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, value TEXT NOT NULL, created REAL NOT NULL) "
    "WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS spent (account TEXT PRIMARY KEY, calls INTEGER NOT NULL, "
    "input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL)",
)


@dataclass(frozen=True, slots=True)
class Usage:
    """Calls and tokens, spent or to be spent."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )

    def __sub__(self, other: Usage) -> Usage:
        return self + Usage(-other.calls, -other.input_tokens, -other.output_tokens)


class Ledger:
    """JSON values by key; a `put` that has returned outlives the process, and the last one of a key wins.

    Raises (opening and using it):
        DataError: not a ledger, damaged, or of another version of Kohai; says what to do.
        WorkspaceError: it cannot be opened or written, or the disk is full.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(f"{self.path}: its folder cannot be made ({error.strerror})") from None
        with self._explained():
            self._database = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            self._open()
        except BaseException:
            self._database.close()
            raise

    def get(self, key: str) -> Any | None:
        """The value of a key, or None."""
        with self._lock, self._explained():
            row = self._database.execute("SELECT value FROM verdicts WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        try:
            return json.loads(row[0])
        except (ValueError, TypeError):
            raise DataError(self._damaged(f"the value of {key[:12]} is not JSON")) from None

    def put(self, key: str, value: Any) -> None:
        """Keeps a JSON value under a key."""
        text = json.dumps(value)
        with self._lock, self._explained():
            self._database.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?)", (key, text, time.time()))

    def spend(self, account: str, usage: Usage) -> None:
        """Adds to what an account has spent."""
        with self._lock, self._explained():
            self._database.execute(
                "INSERT INTO spent VALUES (?, ?, ?, ?) ON CONFLICT (account) DO UPDATE SET calls = calls + "
                "excluded.calls, input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + "
                "excluded.output_tokens",
                (account, usage.calls, usage.input_tokens, usage.output_tokens),
            )

    def spent(self, account: str) -> Usage:
        """What an account has spent in all."""
        with self._lock, self._explained():
            row = self._database.execute(
                "SELECT calls, input_tokens, output_tokens FROM spent WHERE account = ?", (account,)
            ).fetchone()
        return Usage(*row) if row else Usage()

    def __len__(self) -> int:
        with self._lock, self._explained():
            return int(self._database.execute("SELECT count(*) FROM verdicts").fetchone()[0])

    def close(self) -> None:
        """Lets go of the file; harmless when repeated."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        with self._explained():
            self._use_write_ahead_log()
            self._database.execute("PRAGMA synchronous = NORMAL")
            found = int(self._database.execute("PRAGMA user_version").fetchone()[0])
        if found not in (0, FORMAT):
            raise DataError(
                f"{self.path}: made by another version of Kohai (format {found}, this one writes {FORMAT}); "
                "give another path"
            )
        with self._explained():
            for table in _TABLES:
                self._database.execute(table)
            self._database.execute("SELECT key, value, created FROM verdicts LIMIT 1")
            if found == 0:
                self._database.execute(f"PRAGMA user_version = {FORMAT}")

    def _use_write_ahead_log(self) -> None:
        """Switching modes does not wait for other processes that do the same at this moment: we do."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            if "no such column" in text:
                raise DataError(self._damaged("its tables are not a ledger's")) from None
            if "full" in text:
                raise WorkspaceError(f"{self.path}: no space left on the disk; free some and run again") from None
            raise WorkspaceError(
                f"{self.path}: cannot be used ({text}); check that it is a file that this user may write, and that no "
                "other program holds it"
            ) from None
        except sqlite3.DatabaseError as error:
            raise DataError(self._damaged(str(error))) from None

    def _damaged(self, why: str) -> str:
        return (
            f"{self.path}: not a usable ledger ({why}); move it away together with {self.path.name}-wal and "
            f"{self.path.name}-shm and run again: what it remembered will be asked anew"
        )
