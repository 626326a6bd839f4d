"""Shipments: goods that leave the stockroom."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum, auto

from stockroom import _check, _stock
from stockroom.errors import ClosedDocument, EmptyDocument
from stockroom.room import Room


class Speed(StrEnum):
    """How a shipment travels: EXPRESS (overnight), ROAD (by truck), FREIGHT (by sea or rail, the slowest)."""

    EXPRESS = auto()
    ROAD = auto()
    FREIGHT = auto()


class ShipmentStatus(StrEnum):
    """OPEN while it is packed, DEPARTED once it is under way."""

    OPEN = auto()
    DEPARTED = auto()


@dataclass(frozen=True)
class Shipment:
    """One shipment; pieces is the total over all its items."""

    id: int
    destination: str
    speed: Speed
    status: ShipmentStatus
    pieces: int


def _load(db: sqlite3.Connection, shipment_id: int) -> Shipment:
    shipment, destination, speed, status = _check.row(db, "shipments", "id", shipment_id)
    query = "SELECT COALESCE(SUM(quantity), 0) FROM shipment_lines WHERE shipment_id = ?"
    pieces = int(db.execute(query, (shipment_id,)).fetchone()[0])
    return Shipment(shipment, destination, Speed(speed), ShipmentStatus(status), pieces)


def _open(db: sqlite3.Connection, shipment_id: int) -> Shipment:
    shipment = _load(db, _check.whole("shipment_id", shipment_id))
    if shipment.status is not ShipmentStatus.OPEN:
        raise ClosedDocument(f"shipment {shipment_id} has {shipment.status} and takes no change")
    return shipment


def crate(room: Room, *, destination: str, speed: Speed) -> Shipment:
    """Open a new, empty shipment to a destination.

    Args:
        destination: The town (city) it goes to.
        speed: How it travels: Speed.EXPRESS (overnight), Speed.ROAD (by truck) or Speed.FREIGHT (by sea or rail).

    Returns:
        The open shipment with its id.
    """
    db = _check.database(room)
    values = (_check.text("destination", destination), _check.member("speed", speed, Speed))
    shipment_id = _check.next_id(db, "shipments")
    db.execute("INSERT INTO shipments VALUES (?, ?, ?, 'open')", (shipment_id, *values))
    return _load(db, shipment_id)


def stow(room: Room, *, shipment_id: int, sku: str, quantity: int) -> Shipment:
    """Pack a quantity of an item into an open shipment; the pieces leave their bins in bin order.

    Args:
        shipment_id: The id of the shipment to pack into.
        sku: The item's SKU.
        quantity: How many pieces to pack.

    Returns:
        The shipment, with the pieces packed so far.

    Raises:
        NotFound: If there is no such shipment or item.
        ClosedDocument: If the shipment has departed.
        InsufficientStock: If less is on hand and free.
    """
    db = _check.database(room)
    _open(db, shipment_id)
    _check.row(db, "items", "sku", _check.text("sku", sku))
    _stock.need_free(db, sku, _check.whole("quantity", quantity))
    left = quantity
    for bin, there in db.execute("SELECT bin, quantity FROM stock WHERE sku = ? ORDER BY bin", (sku,)).fetchall():
        taken = min(left, there)
        if taken:
            _stock.put(db, sku, bin, -taken)
        left -= taken
    upsert = (
        "INSERT INTO shipment_lines VALUES (?, ?, ?) "
        "ON CONFLICT (shipment_id, sku) DO UPDATE SET quantity = quantity + excluded.quantity"
    )
    db.execute(upsert, (shipment_id, sku, quantity))
    return _load(db, shipment_id)


def depart(room: Room, *, shipment_id: int) -> Shipment:
    """Dispatch a packed shipment: send it off on its way.

    Args:
        shipment_id: The id of the shipment to dispatch.

    Returns:
        The departed shipment.

    Raises:
        NotFound: If no shipment has that id.
        ClosedDocument: If it has departed already.
        EmptyDocument: If nothing is packed.
    """
    db = _check.database(room)
    if _open(db, shipment_id).pieces == 0:
        raise EmptyDocument(f"shipment {shipment_id} is empty: pack something before it departs")
    db.execute("UPDATE shipments SET status = 'departed' WHERE id = ?", (shipment_id,))
    return _load(db, shipment_id)


def trace(room: Room, *, shipment_id: int) -> Shipment:
    """Look up one shipment by id: its status, destination, speed and number of pieces.

    Args:
        shipment_id: The id of the shipment to look up.

    Returns:
        The shipment with destination, speed, status and pieces.

    Raises:
        NotFound: If no shipment has that id.
    """
    return _load(_check.database(room), _check.whole("shipment_id", shipment_id))


def reroute(room: Room, *, shipment_id: int, destination: str) -> Shipment:
    """Change the destination of an open shipment: send it to another town.

    Args:
        shipment_id: The id of the shipment.
        destination: The new town it goes to instead.

    Returns:
        The shipment with its new destination.

    Raises:
        NotFound: If no shipment has that id.
        ClosedDocument: If it has departed already.
    """
    db = _check.database(room)
    _open(db, shipment_id)
    values = (_check.text("destination", destination), shipment_id)
    db.execute("UPDATE shipments SET destination = ? WHERE id = ?", values)
    return _load(db, shipment_id)
