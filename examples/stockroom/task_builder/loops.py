"""Requests that need a loop: each is one step with a block of code."""

from __future__ import annotations

from collections.abc import Callable

from task_builder.steps import moves, orders, receipts, shipments, users
from task_builder.world import Step, World, spin


def listed(values: list[str]) -> str:
    """The values in words: "A, B and C"."""
    return f"{', '.join(values[:-1])} and {values[-1]}"


def code_list(values: list[str]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


def some_items(w: World) -> list[str]:
    return [w.item(plenty=True).value for _ in range(w.pick(2, 3, 3))]


def each_item(call: Callable[[World], tuple[str, str, str]]) -> Callable[[World], Step]:
    """A loop over SKUs that the instruction lists, around one call."""

    def make(w: World) -> Step:
        skus = some_items(w)
        line, ask, passive = call(w)
        names = listed(skus)
        return Step(
            "",
            "",
            (
                ask.format(f"each of {names}"),
                ask.format(f"the items {names}"),
                f"go through {names} and {ask.format('each of them')}",
                f"for each of {names}, {ask.format('that item')}",
                f"take the items {names} and {ask.format('each of them')}",
            ),
            (f"{names} {passive}.", f"The same for {names}: {ask.format('each of them')}."),
            block=(f"for sku in {code_list(skus)}:", f"    {line}"),
        )

    return make


def watermark_line(w: World) -> tuple[str, str, str]:
    floor = w.number(5, 90)
    line = f"items.watermark(room, sku=sku, floor={floor})"
    return line, f"set the reorder level of {{}} to {floor}", f"all need a reorder level of {floor}"


def grade_line(w: World) -> tuple[str, str, str]:
    turnover, word = w.pick(("FAST", "fast mover"), ("SLOW", "slow mover"), ("STEADY", "steady seller"))
    line = f"items.grade(room, sku=sku, turnover=Turnover.{turnover})"
    return line, f"mark {{}} as a {word}", f"should each be classified as a {word}"


def hold_line(w: World) -> tuple[str, str, str]:
    n, (purpose, said) = w.number(2, 22), w.pick(*moves.PURPOSES.items())
    line = f"moves.hold(room, sku=sku, quantity={n}, purpose=Purpose.{purpose})"
    said = spin(w.rng, said)
    return line, f"reserve {n} pieces of {{}} for {said}", f"are needed for {said}: reserve {n} pieces of each"


def peek_line(w: World) -> tuple[str, str, str]:
    line = "print(items.peek(room, sku=sku).on_hand)"
    return (
        line,
        "print how many pieces of {} are on hand, one number a line",
        "are to be looked up: print the quantity on hand of each",
    )


def cancel_pending(w: World) -> Step:
    code = orders.pending(w).call.split('"')[1]
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
    (role, said), zone = w.pick(*users.GROUPS.items()), w.zone()
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
    order = receipts.arrivals(w).call.split("=")[1].rstrip(")")
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
    code = orders.pending(w).call.split('"')[1]
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


def crate_many(w: World) -> Step:
    town, skus, n = w.town(), some_items(w), w.number(2, 22)
    speed, said = w.pick(*shipments.SPEEDS.items())
    names = listed(skus)
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
    names, (role, said) = listed(logins), w.pick(*users.GROUPS.items())
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


LOOPS: dict[str, Callable[[World], Step]] = {
    "each_watermark": each_item(watermark_line),
    "each_grade": each_item(grade_line),
    "each_hold": each_item(hold_line),
    "each_peek": each_item(peek_line),
    **{
        make.__name__: make
        for make in (
            *(cancel_pending, cancel_overdue, grade_found, post_group, order_scarce, gather, vet_all, price_scarce),
            *(count_arrivals, crate_many, recast_many),
        )
    },
}
