"""Suppliers: who sells to the stockroom, on which terms and at which price."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum, auto

from stockroom import _check
from stockroom.errors import DuplicateKey, NotFound
from stockroom.room import Room


class Terms(StrEnum):
    """When a supplier is paid: UPFRONT (in advance), MONTHLY (at the end of the month), DELIVERY (on delivery)."""

    UPFRONT = auto()
    MONTHLY = auto()
    DELIVERY = auto()


class Fault(StrEnum):
    """Why a supplier is barred: LATE (late deliveries), DAMAGED (damaged goods), OVERPRICED (prices too high)."""

    LATE = auto()
    DAMAGED = auto()
    OVERPRICED = auto()


@dataclass(frozen=True)
class Supplier:
    """One supplier; barred is the fault it was barred for, or None."""

    code: str
    name: str
    terms: Terms
    lead_days: int
    barred: Fault | None


@dataclass(frozen=True)
class Offer:
    """What one supplier (its code) charges for one item."""

    supplier: str
    sku: str
    price_cents: int


def _load(db: sqlite3.Connection, code: str) -> Supplier:
    code, name, terms, lead_days, barred = _check.row(db, "suppliers", "code", code)
    return Supplier(code, name, Terms(terms), lead_days, Fault(barred) if barred else None)


def onboard(room: Room, *, code: str, name: str, terms: Terms) -> Supplier:
    """Add a new supplier (vendor) with its code, company name and payment terms.

    Args:
        code: The new supplier's code, not yet taken.
        name: The company's name.
        terms: When it is paid: Terms.UPFRONT (in advance), Terms.MONTHLY (at the end of the month) or Terms.DELIVERY
            (on delivery).

    Returns:
        The new supplier, with a lead time of 7 days.

    Raises:
        DuplicateKey: If a supplier has that code.
    """
    db = _check.database(room)
    values = (_check.text("code", code), _check.text("name", name), _check.member("terms", terms, Terms))
    if db.execute("SELECT 1 FROM suppliers WHERE code = ?", (code,)).fetchone():
        raise DuplicateKey(f"a supplier with code {code!r} exists")
    db.execute("INSERT INTO suppliers VALUES (?, ?, ?, 7, NULL)", values)
    return _load(db, code)


def quote(room: Room, *, code: str, sku: str, price_cents: int) -> Offer:
    """Record the price in cents that a supplier charges (asks, quotes) for an item.

    Args:
        code: The supplier's code.
        sku: The item's SKU.
        price_cents: The price of one piece in cents; replaces the supplier's earlier price.

    Returns:
        The offer.

    Raises:
        NotFound: If there is no such supplier or item.
    """
    db = _check.database(room)
    _check.row(db, "suppliers", "code", _check.text("code", code))
    _check.row(db, "items", "sku", _check.text("sku", sku))
    values = (code, sku, _check.whole("price_cents", price_cents))
    db.execute("INSERT OR REPLACE INTO offers VALUES (?, ?, ?)", values)
    return Offer(*values)


def bargain(room: Room, *, sku: str) -> Offer:
    """Find the cheapest offer for an item: the supplier with the lowest price.

    Args:
        sku: The item's SKU.

    Returns:
        The cheapest offer, with supplier (the code) and price_cents; of equal prices, the first by supplier code.

    Raises:
        NotFound: If there is no such item, or no supplier offers it.
    """
    db = _check.database(room)
    _check.row(db, "items", "sku", _check.text("sku", sku))
    best = db.execute("SELECT * FROM offers WHERE sku = ? ORDER BY price_cents, supplier LIMIT 1", (sku,)).fetchone()
    if best is None:
        raise NotFound(f"no supplier offers {sku!r}")
    return Offer(*best)


def bar(room: Room, *, code: str, fault: Fault) -> Supplier:
    """Block a supplier (vendor), so that it gets no new purchase orders from us.

    Args:
        code: The code of the supplier to block.
        fault: Why: Fault.LATE (late deliveries), Fault.DAMAGED (damaged goods) or Fault.OVERPRICED (prices too high).

    Returns:
        The barred supplier.

    Raises:
        NotFound: If no supplier has that code.
    """
    db = _check.database(room)
    _check.row(db, "suppliers", "code", _check.text("code", code))
    db.execute("UPDATE suppliers SET barred = ? WHERE code = ?", (_check.member("fault", fault, Fault), code))
    return _load(db, code)


def pace(room: Room, *, code: str, days: int) -> Supplier:
    """Set a supplier's lead time: how many days it takes from order to delivery.

    Args:
        code: The supplier's code.
        days: The new lead time in days.

    Returns:
        The supplier with its new lead_days.

    Raises:
        NotFound: If no supplier has that code.
    """
    db = _check.database(room)
    _check.row(db, "suppliers", "code", _check.text("code", code))
    db.execute("UPDATE suppliers SET lead_days = ? WHERE code = ?", (_check.whole("days", days), code))
    return _load(db, code)
