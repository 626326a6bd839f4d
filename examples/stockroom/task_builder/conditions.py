"""Requests that need a condition: each is one step with a block of code."""

from __future__ import annotations

from collections.abc import Callable

from task_builder.steps import counts, moves
from task_builder.world import Step, World


def hold_if(w: World) -> Step:
    item, least, n = w.item(plenty=True), w.number(60, 240), w.number(2, 22)
    purpose, said = w.pick(*moves.PURPOSES.items())
    return Step(
        "",
        "",
        (
            f"check {item}: if at least {least} pieces are available, reserve {n} for {said}, else print the available quantity",
            f"reserve {n} of {item} for {said} if {least} or more are available; otherwise print how many are available",
            f"look up {item} and, with {least} or more available, reserve {n} pieces for {said}; if not, print the available quantity",
            f"print the available quantity of {item} if it is below {least}, otherwise reserve {n} pieces for {said}",
        ),
        (
            f"Are at least {least} of {item} available? If so, reserve {n} of them for {said}; if not, print the available number.",
        ),
        block=(
            f"item = items.peek(room, sku={item.code})",
            f"if item.available >= {least}:",
            f"    moves.hold(room, sku=item.sku, quantity={n}, purpose=Purpose.{purpose})",
            "else:",
            "    print(item.available)",
        ),
    )


def order_if(w: World) -> Step:
    item, supplier, least, n = w.item(), w.supplier(), w.number(60, 300), w.number(10, 90)
    return Step(
        "",
        "",
        (
            f"check how much of {item} is on hand; if it's fewer than {least}, order {n} from {supplier}, else print the quantity on hand",
            f"order {n} of {item} from {supplier} if fewer than {least} are on hand; otherwise print how many there are on hand",
            f"look {item} up and, with fewer than {least} on hand, make a purchase order with {supplier} for {n}; if not, print what is on hand",
            f"print the quantity on hand of {item}, unless it is below {least}: then order {n} of it from {supplier} instead",
        ),
        (
            f"If we have fewer than {least} of {item} on hand, {n} should be ordered from {supplier}; otherwise print the quantity on hand.",
        ),
        block=(
            f"item = items.peek(room, sku={item.code})",
            f"if item.on_hand < {least}:",
            f"    with orders.draft(room, supplier={supplier.code}) as draft:",
            f"        draft.line(sku=item.sku, quantity={n})",
            "else:",
            "    print(item.on_hand)",
        ),
    )


def depart_if(w: World) -> Step:
    shipment, least = w.open_shipment(), w.number(10, 60)
    return Step(
        "",
        "",
        (
            f"look up {shipment} and dispatch it if it holds at least {least} pieces, else print how many it holds",
            f"dispatch {shipment} if there are {least} pieces or more in it; otherwise print the number of pieces",
            f"check {shipment}: with {least} or more pieces, send it off; if not, print how many pieces are in it",
            f"print the number of pieces in {shipment} if it is below {least}, otherwise dispatch it",
        ),
        (f"Does {shipment} hold {least} pieces or more? If so, dispatch it; if not, print the number of pieces.",),
        block=(
            f"shipment = shipments.trace(room, shipment_id={shipment.code})",
            f"if shipment.pieces >= {least}:",
            "    shipments.depart(room, shipment_id=shipment.id)",
            "else:",
            "    print(shipment.pieces)",
        ),
    )


def settle_if(w: World) -> Step:
    sheet = counts.sheet_id(w)
    return Step(
        "",
        "gaps",
        (
            f"print the number of differences on {sheet} and, if there are any, apply the sheet to the stock",
            f"list the differences of {sheet}, print how many there are, and apply it to the stock if there is at least one",
            f"check {sheet} against the books: print how many differences it has and settle it if it has any",
            f"find the gaps on {sheet} and print their number; only with a gap, correct the stock to the count",
        ),
        (
            f"How many differences does {sheet} have? Print the number, and if it isn't zero, apply the sheet to the stock.",
        ),
        block=(
            f"gaps = counts.drift(room, sheet_id={sheet.code})",
            "print(len(gaps))",
            "if gaps:",
            f"    counts.settle(room, sheet_id={sheet.code})",
        ),
    )


def grade_if(w: World) -> Step:
    item, cents = w.item(), w.number(20000, 200000)
    return Step(
        "",
        "",
        (
            f"print what the stock of {item} is worth in cents and, if that is more than {cents}, mark it as a slow mover",
            f"value the stock of {item}, print the value in cents, and classify it as a slow mover if it is above {cents}",
            f"find out the worth of our stock of {item}, print it in cents, and above {cents} mark the item as a slow mover",
            f"print the value in cents of the stock of {item}; with more than {cents}, it should be marked as a slow mover",
        ),
        (
            f"What is our stock of {item} worth in cents? Print it. If it's more than {cents}, mark the item as a slow mover.",
        ),
        block=(
            f"value = reports.worth(room, sku={item.code})",
            "print(value)",
            f"if value > {cents}:",
            f"    items.grade(room, sku={item.code}, turnover=Turnover.SLOW)",
        ),
    )


def post_if(w: World) -> Step:
    user, zone, least = w.user(), w.zone(), w.number(100, 900)
    return Step(
        "",
        "",
        (
            f"print the number of pieces in {zone} and, if it is above {least}, assign {user} to the zone",
            f"total the pieces stored in {zone}, print the total, and with more than {least} assign {user} there",
            f"find out how many pieces lie in {zone} and print that; if it's more than {least}, assign {user} to {zone}",
            f"print how many pieces {zone} stores in total and assign {user} to it if there are more than {least}",
        ),
        (
            f"How many pieces are stored in {zone}? Print the number and, if it is over {least}, assign {user} to that zone.",
        ),
        block=(
            f"pieces = reports.footprint(room, zone={zone.code})",
            "print(pieces)",
            f"if pieces > {least}:",
            f"    users.post(room, login={user.code}, zone={zone.code})",
        ),
    )


CONDITIONS: dict[str, Callable[[World], Step]] = {
    make.__name__: make for make in (hold_if, order_if, depart_if, settle_if, grade_if, post_if)
}
