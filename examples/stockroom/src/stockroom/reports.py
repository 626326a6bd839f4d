"""Reports: answers that read several areas and write nothing."""

from __future__ import annotations

from datetime import timedelta

from stockroom import _check, _stock, items, orders
from stockroom.items import Item
from stockroom.orders import Order
from stockroom.room import Room
from stockroom.suppliers import bargain


def scarce(room: Room, *, limit: int) -> list[Item]:
    """List the items running low: on hand at or below their reorder level, the scarcest ones.

    Args:
        limit: The most items to list.

    Returns:
        Active items whose on_hand is at most their floor, in SKU order.
    """
    db = _check.database(room)
    query = (
        "SELECT sku FROM items WHERE active = 1 AND floor > 0 AND floor >= "
        "(SELECT COALESCE(SUM(quantity), 0) FROM stock WHERE stock.sku = items.sku) ORDER BY sku LIMIT ?"
    )
    found = db.execute(query, (_check.whole("limit", limit),)).fetchall()
    return [items.peek(room, sku=sku) for (sku,) in found]


def worth(room: Room, *, sku: str) -> int:
    """Value the stock of an item in cents: what the pieces on hand are worth at the cheapest price.

    Args:
        sku: The item's SKU.

    Returns:
        The value of the stock in cents.

    Raises:
        NotFound: If there is no such item, or no supplier offers it.
    """
    offer = bargain(room, sku=sku)
    return offer.price_cents * _stock.on_hand(_check.database(room), sku)


def footprint(room: Room, *, zone: str) -> int:
    """Total the pieces stored in a zone: how many lie there over all its bins.

    Args:
        zone: The zone.

    Returns:
        The number of pieces.

    Raises:
        NotFound: If no bin lies in that zone.
    """
    db = _check.database(room)
    _check.row(db, "bins", "zone", _check.text("zone", zone))
    query = "SELECT COALESCE(SUM(quantity), 0) FROM stock JOIN bins USING (bin) WHERE zone = ?"
    return int(db.execute(query, (zone,)).fetchone()[0])


def overdue(room: Room, *, days: int) -> list[Order]:
    """List the late purchase orders: still open although overdue by more than a number of days.

    Args:
        days: Only orders that are late by more than that many days.

    Returns:
        The overdue orders in id order.
    """
    db = _check.database(room)
    cutoff = (room.today - timedelta(days=_check.whole("days", days, 0))).isoformat()
    query = "SELECT id FROM orders WHERE status = 'placed' AND due_on < ? ORDER BY id"
    return [orders.pull_up(room, order_id=order_id) for (order_id,) in db.execute(query, (cutoff,)).fetchall()]


def spend(room: Room, *, supplier: str) -> int:
    """Total what our purchase orders with a supplier cost in cents: the money spent there.

    Args:
        supplier: The supplier's code.

    Returns:
        The cost in cents of all its orders that were not cancelled, at its own prices.

    Raises:
        NotFound: If no supplier has that code.
    """
    db = _check.database(room)
    _check.row(db, "suppliers", "code", _check.text("supplier", supplier))
    query = (
        "SELECT COALESCE(SUM(quantity * price_cents), 0) FROM orders JOIN order_lines ON order_id = orders.id "
        "JOIN offers ON offers.supplier = orders.supplier AND offers.sku = order_lines.sku "
        "WHERE orders.supplier = ? AND status <> 'scrapped'"
    )
    return int(db.execute(query, (supplier,)).fetchone()[0])
