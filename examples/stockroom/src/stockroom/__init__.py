"""A warehouse in one SQLite file.

Open a room, then pass it to the functions of an area module:

    from stockroom import items, open_room
    from stockroom.items import Unit

    with open_room() as room:
        item = items.enroll(room, sku="BX-200", label="Brass box", unit=Unit.CARTON)
        print(item.sku)

Everything written inside the block is committed when it ends without an error and rolled back otherwise.
"""

from stockroom import counts, items, moves, orders, receipts, reports, shipments, suppliers, users
from stockroom.errors import (
    Barred,
    ClosedDocument,
    DuplicateKey,
    EmptyDocument,
    InsufficientStock,
    InvalidValue,
    NotFound,
    StockroomError,
)
from stockroom.room import Room, open_room

__all__ = [
    "Barred",
    "ClosedDocument",
    "DuplicateKey",
    "EmptyDocument",
    "InsufficientStock",
    "InvalidValue",
    "NotFound",
    "Room",
    "StockroomError",
    "counts",
    "items",
    "moves",
    "open_room",
    "orders",
    "receipts",
    "reports",
    "shipments",
    "suppliers",
    "users",
]
