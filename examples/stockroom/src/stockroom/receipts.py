"""Receipts: goods that came in against a purchase order, first onto the dock."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum, auto

from stockroom import _check, _stock
from stockroom.errors import ClosedDocument, InvalidValue, NotFound
from stockroom.room import Room


class Verdict(StrEnum):
    """What an inspection found: UNSEEN (not inspected), SOUND (in good order), DAMAGED, MISLABELLED (wrong labels)."""

    UNSEEN = auto()
    SOUND = auto()
    DAMAGED = auto()
    MISLABELLED = auto()


@dataclass(frozen=True)
class Receipt:
    """One delivery of one item; returned is what went back to the supplier."""

    id: int
    order_id: int
    sku: str
    quantity: int
    returned: int
    verdict: Verdict


def _load(db: sqlite3.Connection, receipt_id: int) -> Receipt:
    receipt, order_id, sku, quantity, returned, verdict = _check.row(db, "receipts", "id", receipt_id)
    return Receipt(receipt, order_id, sku, quantity, returned, Verdict(verdict))


def land(room: Room, *, order_id: int, sku: str, quantity: int) -> Receipt:
    """Receive a delivery of an item against a purchase order: book arrived goods in, onto the dock.

    Args:
        order_id: The id of the purchase order that the delivery belongs to.
        sku: The SKU of the item that arrived, which is on the order.
        quantity: How many pieces arrived.

    Returns:
        The receipt with its id, not inspected yet.

    Raises:
        NotFound: If there is no such order, or no line for that item on it.
        ClosedDocument: If the order is not open.
        InvalidValue: If more came than is outstanding.
    """
    db = _check.database(room)
    status = _check.row(db, "orders", "id", _check.whole("order_id", order_id))[2]
    if status != "placed":
        raise ClosedDocument(f"purchase order {order_id} is {status} and takes no delivery")
    query = "SELECT quantity - received FROM order_lines WHERE order_id = ? AND sku = ?"
    line = db.execute(query, (order_id, _check.text("sku", sku))).fetchone()
    if line is None:
        raise NotFound(f"purchase order {order_id} has no line for {sku!r}")
    if _check.whole("quantity", quantity) > line[0]:
        raise InvalidValue(f"{line[0]} of {sku!r} are outstanding on order {order_id}, {quantity} came")
    receipt_id = _check.next_id(db, "receipts")
    db.execute("INSERT INTO receipts VALUES (?, ?, ?, ?, 0, 'unseen')", (receipt_id, order_id, sku, quantity))
    _stock.put(db, sku, _stock.DOCK, quantity)
    update = "UPDATE order_lines SET received = received + ? WHERE order_id = ? AND sku = ?"
    db.execute(update, (quantity, order_id, sku))
    if not db.execute("SELECT 1 FROM order_lines WHERE order_id = ? AND received < quantity", (order_id,)).fetchone():
        db.execute("UPDATE orders SET status = 'filled' WHERE id = ?", (order_id,))
    return _load(db, receipt_id)


def vet(room: Room, *, receipt_id: int, verdict: Verdict) -> Receipt:
    """Record the inspection result of a receipt: goods in good order, damaged or wrongly labelled.

    Args:
        receipt_id: The id of the inspected receipt.
        verdict: Verdict.SOUND (in good order), Verdict.DAMAGED (damaged) or Verdict.MISLABELLED (wrong labels).

    Returns:
        The inspected receipt.

    Raises:
        NotFound: If no receipt has that id.
    """
    db = _check.database(room)
    _load(db, _check.whole("receipt_id", receipt_id))
    value = _check.member("verdict", verdict, Verdict)
    db.execute("UPDATE receipts SET verdict = ? WHERE id = ?", (value, receipt_id))
    return _load(db, receipt_id)


def bounce(room: Room, *, receipt_id: int, quantity: int) -> Receipt:
    """Send goods of a receipt back to the supplier: return pieces from the dock.

    Args:
        receipt_id: The id of the receipt the returned goods came with.
        quantity: How many pieces go back to the supplier.

    Returns:
        The receipt with what was returned so far.

    Raises:
        NotFound: If no receipt has that id.
        InvalidValue: If more goes back than came.
        InsufficientStock: If less lies on the dock.
    """
    db = _check.database(room)
    receipt = _load(db, _check.whole("receipt_id", receipt_id))
    left = receipt.quantity - receipt.returned
    if _check.whole("quantity", quantity) > left:
        raise InvalidValue(f"{left} of receipt {receipt_id} can go back, {quantity} asked for")
    _stock.put(db, receipt.sku, _stock.DOCK, -quantity)
    db.execute("UPDATE receipts SET returned = returned + ? WHERE id = ?", (quantity, receipt_id))
    return _load(db, receipt_id)


def arrivals(room: Room, *, order_id: int) -> list[Receipt]:
    """List the receipts (deliveries so far) of a purchase order: what has come in for it.

    Args:
        order_id: The id of the purchase order.

    Returns:
        Its receipts in id order.

    Raises:
        NotFound: If no order has that id.
    """
    db = _check.database(room)
    _check.row(db, "orders", "id", _check.whole("order_id", order_id))
    rows = db.execute("SELECT id FROM receipts WHERE order_id = ? ORDER BY id", (order_id,)).fetchall()
    return [_load(db, receipt_id) for (receipt_id,) in rows]
