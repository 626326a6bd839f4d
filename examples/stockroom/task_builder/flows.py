"""Requests that need a loop or a condition: each is one step with a block of code."""

from __future__ import annotations

from collections.abc import Callable

from task_builder import goods, people, trade
from task_builder.world import Step, World, spin


def listed(w: World, values: list[str]) -> str:
    """The values in words: "A, B and C"."""
    return f"{', '.join(values[:-1])} and {values[-1]}"


def code_list(values: list[str]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


def some_items(w: World) -> list[str]:
    return [w.item(plenty=True).value for _ in range(w.pick(2, 3, 3))]


def each_item(call: Callable[[World, str], tuple[str, str, str]]) -> Callable[[World], Step]:
    """A loop over SKUs that the instruction lists, around one call."""

    def make(w: World) -> Step:
        skus = some_items(w)
        line, ask, passive = call(w, "each of these items: " + listed(w, skus))
        names = listed(w, skus)
        return Step(
            "",
            "",
            (
                ask.format(f"each of {names}"),
                ask.format(f"the items {names}"),
                f"go through {names} and {ask.format('each of them')}",
                f"for each of {names}, {ask.format('that item')}",
                ask.format(f"all of these items: {names}"),
            ),
            (f"{names} {passive}.", f"The same for {names}: {ask.format('each of them')}."),
            block=(f"for sku in {code_list(skus)}:", f"    {line}"),
        )

    return make


def watermark_line(w: World, _: str) -> tuple[str, str, str]:
    floor = w.number(5, 90)
    line = f"items.watermark(room, sku=sku, floor={floor})"
    return line, f"set the reorder level of {{}} to {floor}", f"all need a reorder level of {floor}"


def grade_line(w: World, _: str) -> tuple[str, str, str]:
    turnover, word = w.pick(("FAST", "fast mover"), ("SLOW", "slow mover"), ("STEADY", "steady seller"))
    line = f"items.grade(room, sku=sku, turnover=Turnover.{turnover})"
    return line, f"mark {{}} as a {word}", f"should each be classified as a {word}"


def hold_line(w: World, _: str) -> tuple[str, str, str]:
    n, (purpose, said) = w.number(2, 22), w.pick(*goods.PURPOSES.items())
    line = f"moves.hold(room, sku=sku, quantity={n}, purpose=Purpose.{purpose})"
    said = spin(w.rng, said)
    return line, f"reserve {n} pieces of {{}} for {said}", f"are needed for {said}: reserve {n} pieces of each"


def peek_line(w: World, _: str) -> tuple[str, str, str]:
    line = "print(items.peek(room, sku=sku).on_hand)"
    return (
        line,
        "print how many pieces of {} are on hand, one number a line",
        "are to be looked up: print the quantity on hand of each",
    )


def cancel_pending(w: World) -> Step:
    code = trade.pending(w).call.split('"')[1]
    return Step(
        "",
        "",
        (
            f"cancel [every|each] open purchase order with {code}",
            f"cancel all open orders that we have with supplier {code}",
            f"go through the open purchase orders with {code} and cancel every one",
            f"call off all purchase orders still open with {code} by cancelling them",
            f"find the open orders with supplier {code} and cancel them all",
        ),
        (
            f"We've fallen out with {code}, so all open purchase orders there are to be cancelled.",
            f"All orders still open with supplier {code} must be cancelled.",
        ),
        block=(f'for order in orders.pending(room, supplier="{code}"):', "    orders.scrap(room, order_id=order.id)"),
    )


def cancel_overdue(w: World) -> Step:
    days = w.number(8, 50)
    return Step(
        "",
        "",
        (
            f"cancel [every|each] purchase order that is overdue by more than {days} days",
            f"cancel all orders more than {days} days late",
            f"go through the orders overdue by more than {days} days and cancel every one",
            f"find the purchase orders that are over {days} days late and cancel them all",
            f"cancel whatever purchase orders are late by more than {days} days",
        ),
        (
            f"Orders that are more than {days} days overdue should all be cancelled.",
            f"We no longer wait for purchase orders that are late by more than {days} days: cancel them.",
        ),
        block=(f"for order in reports.overdue(room, days={days}):", "    orders.scrap(room, order_id=order.id)"),
    )


def grade_found(w: World) -> Step:
    word, limit = w.quoted(w.pick(*w.pool.old["noun"])), w.number(8, 30)
    turnover, kind = w.pick(("FAST", "fast mover"), ("SLOW", "slow mover"), ("STEADY", "steady seller"))
    return Step(
        "",
        "",
        (
            f"search for items with {word} in their label, at most {limit}, and mark each as a {kind}",
            f"mark every item whose label contains {word} as a {kind} (search for {limit} at most)",
            f"classify all items with the word {word} in the label as a {kind}, {limit} matches at most",
            f"find up to {limit} items by the label word {word} and classify each one as a {kind}",
            f"look for items whose label has {word} in it, no more than {limit}, and mark every one as a {kind}",
        ),
        (f"Items with {word} in their label should each be marked as a {kind}; search for up to {limit}.",),
        block=(
            f'for item in items.forage(room, text="{word[1:-1]}", limit={limit}):',
            f"    items.grade(room, sku=item.sku, turnover=Turnover.{turnover})",
        ),
    )


def post_group(w: World) -> Step:
    (role, said), zone = w.pick(*people.GROUPS.items()), w.zone()
    return Step(
        "",
        "",
        (
            f"assign all {said} to {zone}",
            f"assign every one of our {said} to {zone}",
            f"go through the active {said} and assign each of them to {zone}",
            f"send all users who work as {said} to {zone}",
            f"take the list of {said} and assign everybody on it to {zone}",
        ),
        (f"From tomorrow, all {said} work in {zone}; assign them.", f"All {said} should be assigned to {zone}."),
        block=(
            f"for user in users.roster(room, role=Role.{role}):",
            f"    users.post(room, login=user.login, zone={zone.code})",
        ),
    )


def order_scarce(w: World) -> Step:
    supplier, limit, n = w.supplier(), w.number(3, 12), w.number(10, 90)
    return Step(
        "",
        "draft",
        (
            f"order {n} pieces of each item that is running low from {supplier}, on one purchase order (list {limit} items at most)",
            f"place one purchase order with {supplier} for {n} of every item running low, at most {limit} items",
            f"list up to {limit} items at or below their reorder level and order {n} of each on one order with {supplier}",
            f"[open|make] a purchase order with {supplier} and add {n} of each scarce item, {limit} items at most",
        ),
        (f"Items are running low: put {n} of each, for {limit} items at most, on one purchase order with {supplier}.",),
        block=(
            f"with orders.draft(room, supplier={supplier.code}) as draft:",
            f"    for item in reports.scarce(room, limit={limit}):",
            f"        draft.line(sku=item.sku, quantity={n})",
        ),
    )


def gather(w: World) -> Step:
    item, bin = w.item(), w.bin()
    return Step(
        "",
        "",
        (
            f"move everything we have of {item}, wherever it lies, to {bin}",
            f"move all stock of {item} from every bin into {bin}",
            f"go through the bins that hold {item} and move all pieces to {bin}",
            f"gather all pieces of {item} from all bins in {bin}",
            f"find every bin where {item} is stored and move what lies there to {bin}",
        ),
        (f"All stock of {item} should lie in one place: move it from all its bins to {bin}.",),
        block=(
            f"for stock in moves.whereabouts(room, sku={item.code}):",
            f"    moves.shift(room, sku=stock.sku, quantity=stock.quantity, origin=stock.bin, target={bin.code})",
        ),
    )


def vet_all(w: World) -> Step:
    order = trade.arrivals(w).call.split("=")[1].rstrip(")")
    verdict, said = w.pick(("SOUND", "in good order"), ("DAMAGED", "damaged"), ("MISLABELLED", "wrongly labelled"))
    return Step(
        "",
        "",
        (
            f"record for every receipt of purchase order {order} that the inspection found it {said}",
            f"go through the receipts of order {order} and record each as {said}",
            f"record the inspection result {said} for all receipts of order {order}",
            f"list the receipts of purchase order {order} and record for each that it was inspected and is {said}",
            f"enter all deliveries of order {order} as inspected, with the result {said}",
        ),
        (f"Everything that came for order {order} has been inspected and is {said}; record it for each receipt.",),
        block=(
            f"for receipt in receipts.arrivals(room, order_id={order}):",
            f"    receipts.vet(room, receipt_id=receipt.id, verdict=Verdict.{verdict})",
        ),
    )


def price_scarce(w: World) -> Step:
    limit = w.number(3, 15)
    return Step(
        "",
        "",
        (
            f"print, for each of at most {limit} items that are running low, the cheapest price in cents, one a line",
            f"list up to {limit} items that run low and print the cheapest supplier's price in cents for each, one a line",
            f"go through the items at or below their reorder level, {limit} at most, and print each one's lowest price in cents",
            f"find the lowest price in cents for every item running low ({limit} items at most) and print it on its own line",
        ),
        (
            f"What do the items that are running low cost? Take {limit} at most and print the cheapest price of each in cents.",
        ),
        block=(
            f"for item in reports.scarce(room, limit={limit}):",
            "    print(suppliers.bargain(room, sku=item.sku).price_cents)",
        ),
    )


def count_arrivals(w: World) -> Step:
    code = trade.pending(w).call.split('"')[1]
    return Step(
        "",
        "",
        (
            f"print, for every open purchase order with {code}, how many receipts it has, one number a line",
            f"go through the open orders with {code} and print the number of receipts of each on its own line",
            f"list the open orders with supplier {code} and print how many deliveries came in for each",
            f"look up the receipts of each open order with {code} and print their number, one line an order",
        ),
        (f"How many receipts has each open purchase order with {code}? Print the numbers, one a line.",),
        block=(
            f'for order in orders.pending(room, supplier="{code}"):',
            "    print(len(receipts.arrivals(room, order_id=order.id)))",
        ),
    )


def hold_if(w: World) -> Step:
    item, least, n = w.item(plenty=True), w.number(60, 240), w.number(2, 22)
    purpose, said = w.pick(*goods.PURPOSES.items())
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
    sheet, most = goods.sheet_id(w), w.pick(1, 2)
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


def crate_many(w: World) -> Step:
    town, skus, n = w.town(), some_items(w), w.number(2, 22)
    speed, said = w.pick(*people.SPEEDS.items())
    names = listed(w, skus)
    return Step(
        "",
        "shipment",
        (
            f"open a shipment to {town}, travelling {said}, and pack {n} pieces of each of {names} into it",
            f"open a new shipment for {town} that goes {said} and pack {n} each of {names}",
            f"[prepare|start] a shipment with destination {town}, sent {said}, then pack {n} of each of these: {names}",
            f"pack {n} pieces each of {names} into a new shipment to {town} that travels {said}",
        ),
        (f"A customer in {town} wants {n} each of {names}: open a shipment travelling {said} and pack them.",),
        block=(
            f"shipment = shipments.crate(room, destination={town.code}, speed=Speed.{speed})",
            f"for sku in {code_list(skus)}:",
            f"    shipments.stow(room, shipment_id=shipment.id, sku=sku, quantity={n})",
        ),
    )


def recast_many(w: World) -> Step:
    logins = [w.user().value for _ in range(w.pick(2, 3))]
    names, (role, said) = listed(w, logins), w.pick(*people.GROUPS.items())
    return Step(
        "",
        "",
        (
            f"change the role of the users {names}: they all become {said}",
            f"make {said} of the users {names}",
            f"give each of the users {names} a new role, as {said}",
            f"go through the logins {names} and change every role, so that all are {said}",
            f"set the roles of {names} so that all of them work as {said}",
        ),
        (f"The users {names} become {said} from now on; change their roles.",),
        block=(f"for login in {code_list(logins)}:", f"    users.recast(room, login=login, role=Role.{role})"),
    )


FLOWS: dict[str, Callable[[World], Step]] = {
    "each_watermark": each_item(watermark_line),
    "each_grade": each_item(grade_line),
    "each_hold": each_item(hold_line),
    "each_peek": each_item(peek_line),
    **{
        make.__name__: make
        for make in (
            *(cancel_pending, cancel_overdue, grade_found, post_group, order_scarce, gather, vet_all, price_scarce),
            *(count_arrivals, hold_if, order_if, depart_if, settle_if, grade_if, post_if, crate_many, recast_many),
        )
    },
}
