"""What can go wrong in a stockroom.

    StockroomError
    ├── NotFound           no row has that key
    ├── DuplicateKey       the key is taken
    ├── InvalidValue       the right type, but a value that makes no sense (also a ValueError)
    ├── InsufficientStock  less is there, or free, than was asked for
    ├── ClosedDocument     the order, count sheet or shipment no longer takes changes
    ├── EmptyDocument      an order or a shipment without a single line
    └── Barred             a barred supplier or a retired item

An argument of the wrong type raises the built-in TypeError.
"""


class StockroomError(Exception):
    """Any refusal by the stockroom."""


class NotFound(StockroomError):
    """No row has that key."""


class DuplicateKey(StockroomError):
    """The key is taken."""


class InvalidValue(StockroomError, ValueError):
    """The right type, but a value that makes no sense here."""


class InsufficientStock(StockroomError):
    """Less is there, or free, than was asked for."""


class ClosedDocument(StockroomError):
    """The order, count sheet or shipment no longer takes changes."""


class EmptyDocument(StockroomError):
    """An order or a shipment without a single line."""


class Barred(StockroomError):
    """A barred supplier or a retired item was asked for."""
