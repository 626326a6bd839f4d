"""Items: what the stockroom keeps, each under its SKU."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum, auto

from stockroom import _check, _stock
from stockroom.errors import DuplicateKey
from stockroom.room import Room


class Unit(StrEnum):
    """How an item is counted: EACH (single pieces), CARTON (by the carton), PALLET (by the pallet)."""

    EACH = auto()
    CARTON = auto()
    PALLET = auto()


class Turnover(StrEnum):
    """How quickly an item sells: FAST (fast mover), STEADY (steady seller), SLOW (slow mover)."""

    FAST = auto()
    STEADY = auto()
    SLOW = auto()


@dataclass(frozen=True)
class Item:
    """One item: on_hand counts all bins, available leaves out what is reserved, floor is the reorder level."""

    sku: str
    label: str
    unit: Unit
    floor: int
    turnover: Turnover
    active: bool
    on_hand: int
    available: int


def _load(db: sqlite3.Connection, sku: str) -> Item:
    sku, label, unit, floor, turnover, active = _check.row(db, "items", "sku", sku)
    hand, free = _stock.on_hand(db, sku), _stock.available(db, sku)
    return Item(sku, label, Unit(unit), floor, Turnover(turnover), bool(active), hand, free)


def enroll(room: Room, *, sku: str, label: str, unit: Unit) -> Item:
    """Add a new item (a new product) to the catalogue under a SKU.

    Args:
        sku: The new item's SKU, not yet taken.
        label: The name shown to people.
        unit: How it is counted: Unit.EACH (single pieces), Unit.CARTON (by the carton) or Unit.PALLET (by the pallet).

    Returns:
        The new item, with nothing on hand and a reorder level of 0.

    Raises:
        DuplicateKey: If an item has that SKU.
    """
    db = _check.database(room)
    values = (_check.text("sku", sku), _check.text("label", label), _check.member("unit", unit, Unit))
    if db.execute("SELECT 1 FROM items WHERE sku = ?", (sku,)).fetchone():
        raise DuplicateKey(f"an item with SKU {sku!r} exists")
    db.execute("INSERT INTO items VALUES (?, ?, ?, 0, 'steady', 1)", values)
    return _load(db, sku)


def peek(room: Room, *, sku: str) -> Item:
    """Look up one item: its label, reorder level, and how many pieces are on hand or available.

    Args:
        sku: The SKU of the item to look up or check.

    Returns:
        The item with label, on_hand, available and floor.

    Raises:
        NotFound: If no item has that SKU.
    """
    return _load(_check.database(room), _check.text("sku", sku))


def relabel(room: Room, *, sku: str, label: str) -> Item:
    """Rename an item: change its label, the name shown to people.

    Args:
        sku: The item's SKU.
        label: The new label (name).

    Returns:
        The renamed item.

    Raises:
        NotFound: If no item has that SKU.
    """
    db = _check.database(room)
    _check.row(db, "items", "sku", _check.text("sku", sku))
    db.execute("UPDATE items SET label = ? WHERE sku = ?", (_check.text("label", label), sku))
    return _load(db, sku)


def watermark(room: Room, *, sku: str, floor: int) -> Item:
    """Set an item's reorder level (minimum stock): the quantity at which it should be reordered.

    Args:
        sku: The item's SKU.
        floor: The new reorder level, the minimum to keep in stock; 0 or more.

    Returns:
        The item with its new floor.

    Raises:
        NotFound: If no item has that SKU.
    """
    db = _check.database(room)
    _check.row(db, "items", "sku", _check.text("sku", sku))
    db.execute("UPDATE items SET floor = ? WHERE sku = ?", (_check.whole("floor", floor, 0), sku))
    return _load(db, sku)


def grade(room: Room, *, sku: str, turnover: Turnover) -> Item:
    """Classify how quickly an item sells: mark it as a fast mover, a steady seller or a slow mover.

    Args:
        sku: The item's SKU.
        turnover: Turnover.FAST (fast mover), Turnover.STEADY (steady seller) or Turnover.SLOW (slow mover).

    Returns:
        The item with its new turnover.

    Raises:
        NotFound: If no item has that SKU.
    """
    db = _check.database(room)
    _check.row(db, "items", "sku", _check.text("sku", sku))
    db.execute("UPDATE items SET turnover = ? WHERE sku = ?", (_check.member("turnover", turnover, Turnover), sku))
    return _load(db, sku)


def retire(room: Room, *, sku: str) -> Item:
    """Discontinue an item, so that it leaves the active range and can't be ordered any more.

    Args:
        sku: The SKU of the item to discontinue.

    Returns:
        The item, no longer active.

    Raises:
        NotFound: If no item has that SKU.
    """
    db = _check.database(room)
    _check.row(db, "items", "sku", _check.text("sku", sku))
    db.execute("UPDATE items SET active = 0 WHERE sku = ?", (sku,))
    return _load(db, sku)


def forage(room: Room, *, text: str, limit: int) -> list[Item]:
    """Search the catalogue for items whose label contains a word.

    Args:
        text: The word to search for in labels; upper and lower case are the same.
        limit: The most items (matches) to return.

    Returns:
        The items found, in SKU order.
    """
    db = _check.database(room)
    pattern = f"%{_check.text('text', text)}%"
    query = "SELECT sku FROM items WHERE label LIKE ? ORDER BY sku LIMIT ?"
    return [_load(db, sku) for (sku,) in db.execute(query, (pattern, _check.whole("limit", limit))).fetchall()]
