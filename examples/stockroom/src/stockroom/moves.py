"""Moves and reservations: stock between the dock and the bins, and stock held for a purpose."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto

from stockroom import _check, _stock
from stockroom.errors import ClosedDocument
from stockroom.room import Room


class Purpose(StrEnum):
    """What a reservation is for: CUSTOMER (a customer's order), REPAIR (a repair job), EXHIBIT (a trade fair)."""

    CUSTOMER = auto()
    REPAIR = auto()
    EXHIBIT = auto()


class Cause(StrEnum):
    """Why stock is written off: BROKEN, EXPIRED (past its date), LOST (missing)."""

    BROKEN = auto()
    EXPIRED = auto()
    LOST = auto()


@dataclass(frozen=True)
class Stock:
    """How many pieces of an item lie in one bin."""

    sku: str
    bin: str
    quantity: int


@dataclass(frozen=True)
class Hold:
    """Stock set aside; the token names the reservation."""

    token: str
    sku: str
    quantity: int
    purpose: Purpose


def shelve(room: Room, *, sku: str, quantity: int, bin: str) -> Stock:
    """Put stock away from the dock into a bin.

    Args:
        sku: The item's SKU.
        quantity: How many pieces to put away from the dock.
        bin: The bin that takes them.

    Returns:
        What now lies in that bin.

    Raises:
        NotFound: If there is no such item or bin.
        InsufficientStock: If less lies on the dock.
    """
    return shift(room, sku=sku, quantity=quantity, origin=_stock.DOCK, target=bin)


def shift(room: Room, *, sku: str, quantity: int, origin: str, target: str) -> Stock:
    """Move (transfer) stock of an item from one bin to another bin.

    Args:
        sku: The item's SKU.
        quantity: How many pieces to move.
        origin: The bin to take from.
        target: The bin to move to.

    Returns:
        What now lies in the target bin.

    Raises:
        NotFound: If there is no such item or bin.
        InsufficientStock: If less lies in the origin bin.
    """
    db = _check.database(room)
    _check.row(db, "items", "sku", _check.text("sku", sku))
    for name, bin in (("origin", origin), ("target", target)):
        _check.row(db, "bins", "bin", _check.text(name, bin))
    _stock.put(db, sku, origin, -_check.whole("quantity", quantity))
    return Stock(sku, target, _stock.put(db, sku, target, quantity))


def hold(room: Room, *, sku: str, quantity: int, purpose: Purpose) -> Hold:
    """Reserve (set aside) stock of an item for a purpose: a customer, a repair or an exhibit.

    Args:
        sku: The item's SKU.
        quantity: How many pieces to reserve.
        purpose: Purpose.CUSTOMER (a customer's order), Purpose.REPAIR (a repair job) or Purpose.EXHIBIT (a trade fair).

    Returns:
        The reservation with its token.

    Raises:
        NotFound: If no item has that SKU.
        InsufficientStock: If less is on hand and free.
    """
    db = _check.database(room)
    _check.row(db, "items", "sku", _check.text("sku", sku))
    value = _check.member("purpose", purpose, Purpose)
    _stock.need_free(db, sku, _check.whole("quantity", quantity))
    number = int(db.execute("SELECT COUNT(*) FROM holds").fetchone()[0]) + 1
    token = f"H-{number:04d}"
    db.execute("INSERT INTO holds VALUES (?, ?, ?, ?, 1)", (token, sku, quantity, value))
    return Hold(token, sku, quantity, purpose)


def free(room: Room, *, token: str) -> Hold:
    """Release (lift) a reservation, so that its stock is available again.

    Args:
        token: The token of the reservation to release.

    Returns:
        The reservation that was released, with its sku and quantity.

    Raises:
        NotFound: If no reservation has that token.
        ClosedDocument: If it was released before.
    """
    db = _check.database(room)
    _, sku, quantity, purpose, active = _check.row(db, "holds", "token", _check.text("token", token))
    if not active:
        raise ClosedDocument(f"reservation {token!r} was released before")
    db.execute("UPDATE holds SET active = 0 WHERE token = ?", (token,))
    return Hold(token, sku, quantity, Purpose(purpose))


def whereabouts(room: Room, *, sku: str) -> list[Stock]:
    """List the bins that hold an item: where it lies (is stored), with the quantity in each bin.

    Args:
        sku: The item's SKU.

    Returns:
        One entry with bin and quantity for each bin (or the dock) that holds the item, in bin order.

    Raises:
        NotFound: If no item has that SKU.
    """
    db = _check.database(room)
    _check.row(db, "items", "sku", _check.text("sku", sku))
    rows = db.execute("SELECT sku, bin, quantity FROM stock WHERE sku = ? ORDER BY bin", (sku,)).fetchall()
    return [Stock(*each) for each in rows]


def junk(room: Room, *, sku: str, quantity: int, bin: str, cause: Cause) -> Stock:
    """Write off stock in a bin: take out pieces that are broken, expired or lost.

    Args:
        sku: The item's SKU.
        quantity: How many pieces to write off.
        bin: The bin they lie in.
        cause: Why: Cause.BROKEN (broken), Cause.EXPIRED (past its date) or Cause.LOST (missing).

    Returns:
        What is left in that bin.

    Raises:
        NotFound: If there is no such item or bin.
        InsufficientStock: If less lies in the bin.
    """
    db = _check.database(room)
    _check.row(db, "items", "sku", _check.text("sku", sku))
    _check.row(db, "bins", "bin", _check.text("bin", bin))
    value = _check.member("cause", cause, Cause)
    left = _stock.put(db, sku, bin, -_check.whole("quantity", quantity))
    upsert = (
        "INSERT INTO write_offs VALUES (?, ?, ?, ?) "
        "ON CONFLICT (sku, bin, cause) DO UPDATE SET quantity = quantity + excluded.quantity"
    )
    db.execute(upsert, (sku, bin, value, quantity))
    return Stock(sku, bin, left)
