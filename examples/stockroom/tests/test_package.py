"""The package itself: what a call does, what it refuses, and that nothing half-done stays."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import stockroom
from stockroom import counts, items, moves, open_room, orders, receipts, reports, shipments, suppliers, users
from stockroom.items import Unit
from stockroom.moves import Cause, Purpose
from stockroom.orders import OrderStatus
from stockroom.room import Room
from stockroom.shipments import Speed
from stockroom.suppliers import Fault, Terms
from stockroom.users import Role
from task_builder.calls import public_callables
from task_builder.effects import state_digest


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A room with one item, one supplier and 50 pieces on the dock."""
    with open_room(str(tmp_path / "stockroom.db")) as room:
        room.db.execute("INSERT INTO bins VALUES ('A1-03', 'A1'), ('A1-08', 'A1')")
        items.enroll(room, sku="BX-200", label="Brass box", unit=Unit.CARTON)
        suppliers.onboard(room, code="VELKO", name="Velko Metals", terms=Terms.MONTHLY)
        with orders.draft(room, supplier="VELKO") as draft:
            draft.line(sku="BX-200", quantity=80)
        receipts.land(room, order_id=draft.id, sku="BX-200", quantity=50)
        yield room


def test_order_to_shipment(room: Room) -> None:
    """50 landed, 30 shelved, 10 held: 40 are free; 15 leave, from bin A1-03 first."""
    assert moves.shelve(room, sku="BX-200", quantity=30, bin="A1-03").quantity == 30
    assert moves.hold(room, sku="BX-200", quantity=10, purpose=Purpose.REPAIR).token == "H-0001"
    item = items.peek(room, sku="BX-200")
    assert (item.on_hand, item.available) == (50, 40)
    shipment = shipments.crate(room, destination="Leeds", speed=Speed.ROAD)
    assert shipments.stow(room, shipment_id=shipment.id, sku="BX-200", quantity=15).pieces == 15
    assert [(each.bin, each.quantity) for each in moves.whereabouts(room, sku="BX-200")] == [
        ("A1-03", 15),
        ("DOCK", 20),
    ]
    with pytest.raises(stockroom.InsufficientStock, match="only 25 of 'BX-200' are free"):
        shipments.stow(room, shipment_id=shipment.id, sku="BX-200", quantity=26)


def test_count_corrects_stock(room: Room) -> None:
    """Booked 30, found 28: a gap of -2, settled to 28."""
    moves.shelve(room, sku="BX-200", quantity=30, bin="A1-03")
    with counts.sheet(room, zone="A1") as sheet:
        assert sheet.tally(bin="A1-03", sku="BX-200", found=28).gap == -2
    assert counts.settle(room, sheet_id=sheet.id).corrected == 1
    assert reports.footprint(room, zone="A1") == 28


def test_last_delivery_fills_the_order(room: Room) -> None:
    """80 ordered: after 50 and 30 the order is filled and takes nothing more."""
    receipts.land(room, order_id=1001, sku="BX-200", quantity=30)
    assert orders.pull_up(room, order_id=1001).status is OrderStatus.FILLED
    with pytest.raises(stockroom.ClosedDocument):
        receipts.land(room, order_id=1001, sku="BX-200", quantity=1)


def test_refusals(room: Room) -> None:
    """Unknown keys, taken keys, barred partners and empty documents, each with its own error."""
    with pytest.raises(stockroom.NotFound, match="'NO-100'"):
        items.peek(room, sku="NO-100")
    with pytest.raises(stockroom.DuplicateKey):
        items.enroll(room, sku="BX-200", label="Box", unit=Unit.EACH)
    with pytest.raises(stockroom.EmptyDocument), orders.draft(room, supplier="VELKO"):
        pass
    with pytest.raises(stockroom.InsufficientStock):
        moves.junk(room, sku="BX-200", quantity=1, bin="A1-08", cause=Cause.LOST)
    with pytest.raises(stockroom.InvalidValue, match="1 or more"):
        items.forage(room, text="box", limit=0)
    suppliers.bar(room, code="VELKO", fault=Fault.LATE)
    with pytest.raises(stockroom.Barred):
        orders.draft(room, supplier="VELKO")


def test_wrong_types_raise_type_error(room: Room) -> None:
    """A string for an enum, a string for an int, a bool for an int, an enum for a string, no room."""
    with pytest.raises(TypeError, match=r"Role\.PICKER, Role\.CLERK, Role\.FOREMAN"):
        users.roster(room, role="clerk")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="floor must be an int"):
        items.watermark(room, sku="BX-200", floor="5")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="floor must be an int"):
        items.watermark(room, sku="BX-200", floor=True)
    with pytest.raises(TypeError, match="sku must be a str"):
        items.peek(room, sku=Role.CLERK)
    with pytest.raises(TypeError, match="open Room"):
        items.peek("stockroom.db", sku="BX-200")  # type: ignore[arg-type]


def test_an_error_rolls_everything_back(tmp_path: Path) -> None:
    """The state after a failed block is the state before it."""
    path = str(tmp_path / "stockroom.db")
    with open_room(path):
        pass
    before = state_digest(path)
    with pytest.raises(stockroom.NotFound), open_room(path) as room:
        items.enroll(room, sku="BX-200", label="Box", unit=Unit.EACH)
        items.peek(room, sku="NO-100")
    assert state_digest(path) == before


def test_every_callable_is_documented() -> None:
    """A summary, the arguments by name, at most five of them besides room, all annotated."""
    for dotted, function in public_callables().items():
        names = [name for name in inspect.signature(function).parameters if name not in ("room", "self")]
        assert len(names) <= 5, dotted
        assert all(f"{name}: " in (function.__doc__ or "") for name in names), dotted
        assert {*names, "return"} <= set(function.__annotations__), dotted
