"""Stock arithmetic shared by receipts, moves, counts and shipments."""

from __future__ import annotations

import sqlite3

from stockroom.errors import InsufficientStock

DOCK = "DOCK"


def on_hand(db: sqlite3.Connection, sku: str) -> int:
    """Pieces of the item in all bins, the dock included."""
    return int(db.execute("SELECT COALESCE(SUM(quantity), 0) FROM stock WHERE sku = ?", (sku,)).fetchone()[0])


def available(db: sqlite3.Connection, sku: str) -> int:
    """Pieces on hand less those held by active reservations."""
    held = db.execute("SELECT COALESCE(SUM(quantity), 0) FROM holds WHERE sku = ? AND active = 1", (sku,)).fetchone()[0]
    return on_hand(db, sku) - int(held)


def in_bin(db: sqlite3.Connection, sku: str, bin: str) -> int:
    """Pieces of the item in one bin."""
    found = db.execute("SELECT quantity FROM stock WHERE sku = ? AND bin = ?", (sku, bin)).fetchone()
    return int(found[0]) if found else 0


def put(db: sqlite3.Connection, sku: str, bin: str, quantity: int) -> int:
    """Add pieces to a bin (take them, if negative) and return what lies there; an emptied bin leaves no row."""
    left = in_bin(db, sku, bin) + quantity
    if left < 0:
        raise InsufficientStock(f"bin {bin!r} holds {left - quantity} of {sku!r}, {-quantity} asked for")
    if left == 0:
        db.execute("DELETE FROM stock WHERE sku = ? AND bin = ?", (sku, bin))
    else:
        db.execute("INSERT OR REPLACE INTO stock VALUES (?, ?, ?)", (sku, bin, left))
    return left


def need_free(db: sqlite3.Connection, sku: str, quantity: int) -> None:
    """Raise InsufficientStock unless that many pieces are on hand and not held."""
    free = available(db, sku)
    if free < quantity:
        raise InsufficientStock(f"only {free} of {sku!r} are free, {quantity} asked for")
