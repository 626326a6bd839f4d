"""Purchase orders: drafted in a with block, placed when it ends."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum, auto
from types import TracebackType

from stockroom import _check
from stockroom.errors import Barred, ClosedDocument, DuplicateKey, EmptyDocument, InvalidValue, NotFound
from stockroom.room import Room


class Urgency(StrEnum):
    """How pressing an order is: NORMAL, RUSH (in a hurry), CRITICAL (production stands still)."""

    NORMAL = auto()
    RUSH = auto()
    CRITICAL = auto()


class OrderStatus(StrEnum):
    """DRAFT inside the block, PLACED after it, FILLED once all has come, SCRAPPED when cancelled."""

    DRAFT = auto()
    PLACED = auto()
    FILLED = auto()
    SCRAPPED = auto()


@dataclass(frozen=True)
class OrderLine:
    """One item of an order; outstanding is what has not come yet."""

    order_id: int
    sku: str
    quantity: int
    outstanding: int


@dataclass(frozen=True)
class Order:
    """One purchase order with its lines in SKU order."""

    id: int
    supplier: str
    status: OrderStatus
    urgency: Urgency
    due_on: date
    lines: tuple[OrderLine, ...]


class OrderDraft:
    """A purchase order being written: use it in a with block, which places the order when it ends."""

    def __init__(self, room: Room, supplier: str) -> None:
        self._room = room
        self._open = False
        self._id = 0
        self.supplier = supplier

    @property
    def id(self) -> int:
        """The purchase order's id, known from the start of the block."""
        if not self._id:
            raise ClosedDocument("the draft has no id yet: use it in a with block")
        return self._id

    def __enter__(self) -> OrderDraft:
        db = self._room.db
        lead = _check.row(db, "suppliers", "code", self.supplier)[3]
        self._id = _check.next_id(db, "orders")
        due_on = (self._room.today + timedelta(days=lead)).isoformat()
        db.execute("INSERT INTO orders VALUES (?, ?, 'draft', 'normal', ?)", (self._id, self.supplier, due_on))
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        if kind is not None:
            return
        db = self._room.db
        if db.execute("SELECT 1 FROM order_lines WHERE order_id = ?", (self._id,)).fetchone() is None:
            raise EmptyDocument(f"purchase order {self._id} has no line: call draft.line(...) in the with block")
        db.execute("UPDATE orders SET status = 'placed' WHERE id = ?", (self._id,))

    def _writable(self) -> sqlite3.Connection:
        if not self._open:
            raise ClosedDocument("the order draft is not open: call its methods inside its with block")
        return self._room.db

    def line(self, *, sku: str, quantity: int) -> OrderLine:
        """Order pieces of an item: add a line with its quantity to the new purchase order.

        Args:
            sku: The item's SKU; each item once per order.
            quantity: How many pieces to order from the supplier.

        Returns:
            The new line.

        Raises:
            NotFound: If no item has that SKU.
            Barred: If the item is retired.
            DuplicateKey: If the order has a line for that item.
        """
        db = self._writable()
        if not _check.row(db, "items", "sku", _check.text("sku", sku))[5]:
            raise Barred(f"item {sku!r} is retired and can't be ordered")
        _check.whole("quantity", quantity)
        if db.execute("SELECT 1 FROM order_lines WHERE order_id = ? AND sku = ?", (self.id, sku)).fetchone():
            raise DuplicateKey(f"purchase order {self.id} has a line for {sku!r}")
        db.execute("INSERT INTO order_lines VALUES (?, ?, ?, 0)", (self.id, sku, quantity))
        return OrderLine(self.id, sku, quantity, quantity)

    def press(self, *, urgency: Urgency) -> None:
        """Mark the purchase order as urgent: a rush order in a hurry, critical, or normal.

        Args:
            urgency: Urgency.NORMAL, Urgency.RUSH (in a hurry) or Urgency.CRITICAL (production stands still).
        """
        value = _check.member("urgency", urgency, Urgency)
        self._writable().execute("UPDATE orders SET urgency = ? WHERE id = ?", (value, self.id))


def _lines(db: sqlite3.Connection, order_id: int) -> tuple[OrderLine, ...]:
    rows = db.execute("SELECT * FROM order_lines WHERE order_id = ? ORDER BY sku", (order_id,)).fetchall()
    return tuple(OrderLine(order, sku, quantity, quantity - received) for order, sku, quantity, received in rows)


def _load(db: sqlite3.Connection, order_id: int) -> Order:
    order, supplier, status, urgency, due_on = _check.row(db, "orders", "id", order_id)
    lines = _lines(db, order_id)
    return Order(order, supplier, OrderStatus(status), Urgency(urgency), date.fromisoformat(due_on), lines)


def draft(room: Room, *, supplier: str) -> OrderDraft:
    """Order items from a supplier: place (make) a new purchase order, with orders.draft(...) as draft.

    Args:
        supplier: The supplier's code.

    Returns:
        The draft, a context manager with id, line(...) and press(...); the order is placed when its block ends.

    Raises:
        NotFound: If no supplier has that code.
        Barred: If the supplier is barred.
    """
    barred = _check.row(_check.database(room), "suppliers", "code", _check.text("supplier", supplier))[4]
    if barred:
        raise Barred(f"supplier {supplier!r} is barred: {barred}")
    return OrderDraft(room, supplier)


def pull_up(room: Room, *, order_id: int) -> Order:
    """Look up one purchase order by id: its supplier, status, urgency, due date and lines.

    Args:
        order_id: The id of the purchase order to look up.

    Returns:
        The order with supplier, status, urgency, due_on and lines.

    Raises:
        NotFound: If no order has that id.
    """
    return _load(_check.database(room), _check.whole("order_id", order_id))


def scrap(room: Room, *, order_id: int) -> Order:
    """Cancel a purchase order that is still open.

    Args:
        order_id: The id of the purchase order to cancel.

    Returns:
        The cancelled order.

    Raises:
        NotFound: If no order has that id.
        ClosedDocument: If the order is filled or cancelled.
    """
    db = _check.database(room)
    order = _load(db, _check.whole("order_id", order_id))
    if order.status not in (OrderStatus.DRAFT, OrderStatus.PLACED):
        raise ClosedDocument(f"purchase order {order_id} is {order.status} and can't be cancelled")
    db.execute("UPDATE orders SET status = 'scrapped' WHERE id = ?", (order_id,))
    return _load(db, order_id)


def pending(room: Room, *, supplier: str) -> list[Order]:
    """List the open purchase orders that we have with a supplier.

    Args:
        supplier: The supplier's code.

    Returns:
        The placed, unfilled orders in id order.

    Raises:
        NotFound: If no supplier has that code.
    """
    db = _check.database(room)
    _check.row(db, "suppliers", "code", _check.text("supplier", supplier))
    query = "SELECT id FROM orders WHERE supplier = ? AND status = 'placed' ORDER BY id"
    return [_load(db, order_id) for (order_id,) in db.execute(query, (supplier,)).fetchall()]


def amend(room: Room, *, order_id: int, sku: str, quantity: int) -> OrderLine:
    """Change the quantity of an item on a purchase order that is already placed.

    Args:
        order_id: The id of the purchase order to change.
        sku: The item's SKU, which is on the order.
        quantity: The new quantity of that line.

    Returns:
        The changed line.

    Raises:
        NotFound: If there is no such order, or no line for that item on it.
        ClosedDocument: If the order is filled or cancelled.
        InvalidValue: If more than the new quantity has come already.
    """
    db = _check.database(room)
    order = _load(db, _check.whole("order_id", order_id))
    if order.status is not OrderStatus.PLACED:
        raise ClosedDocument(f"purchase order {order_id} is {order.status} and can't be changed")
    line = next((each for each in order.lines if each.sku == _check.text("sku", sku)), None)
    if line is None:
        raise NotFound(f"purchase order {order_id} has no line for {sku!r}")
    received = line.quantity - line.outstanding
    if _check.whole("quantity", quantity) < received:
        raise InvalidValue(f"{received} of {sku!r} have come already, the quantity can't become {quantity}")
    db.execute("UPDATE order_lines SET quantity = ? WHERE order_id = ? AND sku = ?", (quantity, order_id, sku))
    return OrderLine(order_id, sku, quantity, quantity - received)
