"""The open database: one connection, one transaction."""

from __future__ import annotations

import sqlite3
from datetime import date
from types import TracebackType

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE bins (bin TEXT PRIMARY KEY, zone TEXT NOT NULL);
CREATE TABLE items (sku TEXT PRIMARY KEY, label TEXT NOT NULL, unit TEXT NOT NULL, floor INTEGER NOT NULL,
  turnover TEXT NOT NULL, active INTEGER NOT NULL);
CREATE TABLE suppliers (code TEXT PRIMARY KEY, name TEXT NOT NULL, terms TEXT NOT NULL, lead_days INTEGER NOT NULL,
  barred TEXT);
CREATE TABLE offers (supplier TEXT, sku TEXT, price_cents INTEGER NOT NULL, PRIMARY KEY (supplier, sku));
CREATE TABLE orders (id INTEGER PRIMARY KEY, supplier TEXT NOT NULL, status TEXT NOT NULL, urgency TEXT NOT NULL,
  due_on TEXT NOT NULL);
CREATE TABLE order_lines (order_id INTEGER, sku TEXT, quantity INTEGER NOT NULL, received INTEGER NOT NULL,
  PRIMARY KEY (order_id, sku));
CREATE TABLE receipts (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, sku TEXT NOT NULL, quantity INTEGER NOT NULL,
  returned INTEGER NOT NULL, verdict TEXT NOT NULL);
CREATE TABLE stock (sku TEXT, bin TEXT, quantity INTEGER NOT NULL, PRIMARY KEY (sku, bin));
CREATE TABLE holds (token TEXT PRIMARY KEY, sku TEXT NOT NULL, quantity INTEGER NOT NULL, purpose TEXT NOT NULL,
  active INTEGER NOT NULL);
CREATE TABLE write_offs (sku TEXT, bin TEXT, cause TEXT, quantity INTEGER NOT NULL, PRIMARY KEY (sku, bin, cause));
CREATE TABLE sheets (id INTEGER PRIMARY KEY, zone TEXT NOT NULL, status TEXT NOT NULL);
CREATE TABLE tallies (sheet_id INTEGER, bin TEXT, sku TEXT, found INTEGER NOT NULL, booked INTEGER NOT NULL,
  PRIMARY KEY (sheet_id, bin, sku));
CREATE TABLE shipments (id INTEGER PRIMARY KEY, destination TEXT NOT NULL, speed TEXT NOT NULL, status TEXT NOT NULL);
CREATE TABLE shipment_lines (shipment_id INTEGER, sku TEXT, quantity INTEGER NOT NULL, PRIMARY KEY (shipment_id, sku));
CREATE TABLE users (login TEXT PRIMARY KEY, email TEXT NOT NULL, role TEXT NOT NULL, zone TEXT,
  active INTEGER NOT NULL);
INSERT INTO meta VALUES ('today', '2030-01-07');
INSERT INTO bins VALUES ('DOCK', 'DOCK');
"""


class Room:
    """An open stockroom, used as a context manager and passed to every function.

    Leaving the block commits; leaving it through an error rolls back. Either way the database is closed.
    """

    def __init__(self, path: str) -> None:
        self._db: sqlite3.Connection | None = sqlite3.connect(path)
        if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
            self._db.executescript(SCHEMA)

    @property
    def db(self) -> sqlite3.Connection:
        """The open connection; raises ValueError once the room is closed."""
        if self._db is None:
            raise ValueError("the room is closed: call open_room() again and work inside its with block")
        return self._db

    @property
    def today(self) -> date:
        """The warehouse's date, a value in the database and never the computer's clock."""
        return date.fromisoformat(self.db.execute("SELECT value FROM meta WHERE key = 'today'").fetchone()[0])

    def __enter__(self) -> Room:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        db = self.db
        if kind is None:
            db.commit()
        else:
            db.rollback()
        db.close()
        self._db = None


def open_room(path: str = "stockroom.db") -> Room:
    """Open the stockroom's database file, creating an empty one where there is none.

    Args:
        path: The SQLite file.

    Returns:
        A room, to be used in a with block.

    Raises:
        TypeError: If path is not a string.
    """
    if not isinstance(path, str):
        raise TypeError(f"path must be a str, got {type(path).__name__}: {path!r}")
    return Room(path)
