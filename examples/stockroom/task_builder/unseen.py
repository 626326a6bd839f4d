"""Scenarios around the callables that only the split test_unseen knows."""

from __future__ import annotations

from task_builder.loops import code_list, listed
from task_builder.phrasing import Segment
from task_builder.scenarios import Scenario, alone, item_pair, shipment_pair, show
from task_builder.steps import items, moves, orders, receipts, reports, shipments, suppliers, users
from task_builder.world import Ref, Step, World

UNSEEN = (
    "stockroom.items.retire",
    "stockroom.suppliers.pace",
    "stockroom.orders.amend",
    "stockroom.receipts.bounce",
    "stockroom.moves.junk",
    "stockroom.shipments.reroute",
    "stockroom.reports.spend",
    "stockroom.users.bench",
)

ONE_UNSEEN = {
    make.__name__: alone(make)
    for make in (
        *(items.retire, suppliers.pace, orders.amend, receipts.bounce),
        *(moves.junk, shipments.reroute, reports.spend, users.bench),
    )
}


def pace_draft(w: World) -> list[Segment]:
    supplier = w.supplier()
    again = w.later(supplier, "it", "that supplier", "the same supplier")
    return [Segment(suppliers.pace(w, supplier)), show(w, orders.draft(w, again), 0.5)]


def spend_bar(w: World) -> list[Segment]:
    spend = reports.spend(w)
    code = spend.call.split('"')[1]
    again = Ref(f'"{code}"', w.pick("it", "that supplier", "the same supplier"), code)
    return [show(w, spend), show(w, suppliers.bar(w, again))]


def look_amend(w: World) -> list[Segment]:
    order, sku, _ = w.order()
    again = w.later(order, "it", "that order", "the same order")
    return [show(w, orders.pull_up(w, order)), show(w, orders.amend(w, again, w.ref(sku, "{}", "item {}")), 0.4)]


def land_bounce(w: World) -> list[Segment]:
    step = receipts.land(w)
    most = int(step.call.rsplit("=", 1)[1].rstrip(")"))
    receipt = w.result("receipt.id", "the receipt", "that receipt", "the new receipt")
    return [Segment(step), show(w, receipts.bounce(w, receipt, most), 0.4)]


def bench_roster(w: World) -> list[Segment]:
    return [Segment(users.bench(w)), show(w, users.roster(w))]


def bench_badge(w: World) -> list[Segment]:
    return [Segment(users.bench(w)), show(w, users.badge(w))]


TWO_UNSEEN: dict[str, Scenario] = {
    "peek_retire": item_pair(items.peek, items.retire),
    "worth_retire": item_pair(reports.worth, items.retire),
    "junk_peek": item_pair(moves.junk, items.peek),
    "junk_whereabouts": item_pair(moves.junk, moves.whereabouts),
    "trace_reroute": shipment_pair(shipments.trace, shipments.reroute),
    "reroute_depart": shipment_pair(shipments.reroute, shipments.depart),
    **{each.__name__: each for each in (pace_draft, spend_bar, look_amend, land_bounce, bench_roster, bench_badge)},
}


def retire_found(w: World) -> Step:
    word, limit = w.quoted(w.pick(*w.pool.old["noun"])), w.number(8, 30)
    return Step(
        "",
        "",
        (
            f"search for items with {word} in their label, at most {limit}, and discontinue each of them",
            f"discontinue every item whose label contains {word} (search for {limit} at most)",
            f"find up to {limit} items by the label word {word} and discontinue them all",
            f"look for the word {word} in item labels, {limit} matches at most, and discontinue what you find",
        ),
        (f"Items with {word} in their label should be discontinued; search for {limit} at most.",),
        block=(
            f'for item in items.forage(room, text="{word[1:-1]}", limit={limit}):',
            "    items.retire(room, sku=item.sku)",
        ),
    )


def amend_all(w: World) -> Step:
    order, n = w.order()[0], w.number(42, 120)
    return Step(
        "",
        "",
        (
            f"look up {order} and change the quantity of every line to {n}",
            f"change all lines of {order} to a quantity of {n}",
            f"go through the lines of {order} and change each to {n} pieces",
            f"change {order} so that it asks for {n} pieces of each item on it",
        ),
        (f"We want {n} pieces of every item that is on {order}, so change all its lines.",),
        block=(
            f"order = orders.pull_up(room, order_id={order.code})",
            "for line in order.lines:",
            f"    orders.amend(room, order_id=order.id, sku=line.sku, quantity={n})",
        ),
    )


def pace_many(w: World) -> Step:
    codes, days = [w.supplier().value for _ in range(2)], w.number(3, 40)
    names = listed(codes)
    return Step(
        "",
        "",
        (
            f"set the lead time of the suppliers {names} to {days} days each",
            f"give both {names} a lead time of {days} days",
            f"record a lead time of {days} days for the suppliers {names}",
            f"go through {names} and set each supplier's lead time to {days} days",
        ),
        (f"The suppliers {names} both take {days} days from order to delivery; set their lead time.",),
        block=(f"for code in {code_list(codes)}:", f"    suppliers.pace(room, code=code, days={days})"),
    )


def junk_all(w: World) -> Step:
    item, (cause, said) = w.item(), w.pick(("BROKEN", "broken"), ("EXPIRED", "past its date"), ("LOST", "missing"))
    return Step(
        "",
        "",
        (
            f"write off all stock of {item} in every bin as {said}",
            f"go through the bins that hold {item} and write off everything there, since it is {said}",
            f"write off whatever lies of {item} in any bin, because it is {said}",
            f"find each bin where {item} is stored and write off its whole quantity as {said}",
        ),
        (f"All our stock of {item}, in all bins, is {said} and has to be written off.",),
        block=(
            f"for stock in moves.whereabouts(room, sku={item.code}):",
            f"    moves.junk(room, sku=stock.sku, quantity=stock.quantity, bin=stock.bin, cause=Cause.{cause})",
        ),
    )


def bench_group(w: World) -> Step:
    logins = [w.user().value for _ in range(w.pick(2, 3))]
    names = listed(logins)
    return Step(
        "",
        "",
        (
            f"suspend the users {names}",
            f"suspend the accounts of {names}",
            f"go through the logins {names} and suspend each account",
            f"deactivate all of these user accounts: {names}",
        ),
        (f"The users {names} have left; suspend their accounts.",),
        block=(f"for login in {code_list(logins)}:", "    users.bench(room, login=login)"),
    )


def bar_if(w: World) -> Step:
    supplier, cents = w.supplier(ordered=True), w.number(100000, 900000)
    return Step(
        "",
        "",
        (
            f"print what our orders with {supplier} cost in total, in cents, and block it as too expensive if that is over {cents}",
            f"total the cost in cents of our purchase orders with {supplier}, print it, and above {cents} block it for too high prices",
            f"work out what we spend with {supplier} and print the cents; if it's more than {cents}, block it because of too high prices",
        ),
        (
            f"What do we spend with {supplier} in cents? Print it and, if it is over {cents}, block it for prices that are too high.",
        ),
        block=(
            f"cents = reports.spend(room, supplier={supplier.code})",
            "print(cents)",
            f"if cents > {cents}:",
            f"    suppliers.bar(room, code={supplier.code}, fault=Fault.OVERPRICED)",
        ),
    )


FLOWS_UNSEEN = {each.__name__: each for each in (retire_found, amend_all, pace_many, junk_all, bench_group, bar_if)}
