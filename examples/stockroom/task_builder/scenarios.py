"""Which steps go together: pairs and triples whose later steps use what earlier ones made."""

from __future__ import annotations

from collections.abc import Callable

from task_builder.phrasing import Segment
from task_builder.steps import counts, items, moves, orders, receipts, reports, shipments, suppliers, users
from task_builder.world import Ref, Step, World

Scenario = Callable[[World], list[Segment]]


def show(w: World, step: Step, chance: float = 0.3) -> Segment:
    """The step with something to print: always if it only reads, else by chance."""
    if step.prints and (step.reads or w.rng.random() < chance):
        return Segment(step, w.pick(*step.prints))
    return Segment(step)


def alone(make: Callable[[World], Step]) -> Scenario:
    return lambda w: [show(w, make(w), 0.4)]


ONE = {
    make.__name__: alone(make)
    for make in (
        *(items.enroll, items.peek, items.relabel, items.watermark, items.grade, items.forage),
        *(moves.shelve, moves.shift, moves.hold, moves.free, moves.whereabouts, counts.settle, counts.drift),
        *(suppliers.onboard, suppliers.quote, suppliers.bargain, suppliers.bar),
        *(orders.pull_up, orders.scrap, orders.pending, receipts.land, receipts.vet, receipts.arrivals),
        *(shipments.crate, shipments.stow, shipments.depart, shipments.trace),
        *(reports.scarce, reports.worth, reports.footprint, reports.overdue, users.badge, users.recast),
        *(users.post, users.roster),
    )
}


def known_item(w: World) -> tuple[Ref, Ref]:
    """An item with much stock, and the same one named again."""
    item = w.item(plenty=True)
    return item, w.later(item, "it", "that item", "the same item", item.value)


def enroll_and(next_step: Callable[[World, Ref], Step]) -> Scenario:
    def make(w: World) -> list[Segment]:
        item = w.new_item()
        again = w.later(item, "it", "the new item", item.value)
        return [show(w, items.enroll(w, item), 0.2), show(w, next_step(w, again))]

    return make


def item_pair(one: Callable[[World, Ref], Step], two: Callable[[World, Ref], Step]) -> Scenario:
    def make(w: World) -> list[Segment]:
        item, again = known_item(w)
        return [show(w, one(w, item), 0.2), show(w, two(w, again))]

    return make


def onboard_quote(w: World) -> list[Segment]:
    supplier = w.result("supplier.code", "it", "the new supplier", "this supplier")
    return [Segment(suppliers.onboard(w)), show(w, suppliers.quote(w, supplier))]


def onboard_draft(w: World) -> list[Segment]:
    supplier = w.result("supplier.code", "the new supplier", "this supplier", "it")
    return [Segment(suppliers.onboard(w)), show(w, orders.draft(w, supplier))]


def bargain_draft(w: World) -> list[Segment]:
    item, again = known_item(w)
    supplier = w.result("offer.supplier", "that supplier", "the cheapest supplier", "the supplier of that offer")
    return [show(w, suppliers.bargain(w, item)), show(w, orders.draft(w, supplier, item=again))]


def draft_press(w: World) -> list[Segment]:
    return [show(w, orders.draft(w, press=True), 0.5)]


def draft_one(w: World) -> list[Segment]:
    return [show(w, orders.draft(w, lines=w.pick(1, 2, 2)), 0.6)]


def draft_land(w: World) -> list[Segment]:
    item = w.item()
    again = w.later(item, "it", "that item", item.value)
    order = w.result("draft.id", "the new order", "this order", "that purchase order")
    step = orders.draft(w, item=item)
    most = int(step.block[1].rsplit("=", 1)[1].rstrip(")"))
    return [Segment(step), show(w, receipts.land(w, order, again, most), 0.6)]


def land_vet(w: World) -> list[Segment]:
    receipt = w.result("receipt.id", "the receipt", "that receipt", "the new receipt")
    return [show(w, receipts.land(w), 0.3), show(w, receipts.vet(w, receipt), 0.2)]


def vet_one(w: World) -> list[Segment]:
    return [show(w, orders.pull_up(w)), show(w, receipts.vet(w))]


def arrivals_land(w: World) -> list[Segment]:
    order, sku, _ = w.order()
    again = w.later(order, "it", "that order", "the same order")
    return [show(w, receipts.land(w, order, w.ref(sku, "{}", "item {}"))), show(w, receipts.arrivals(w, again))]


def crate_stow(w: World) -> list[Segment]:
    shipment = w.result("shipment.id", "it", "the new shipment", "that shipment")
    return [show(w, shipments.crate(w), 0.4), show(w, shipments.stow(w, shipment), 0.4)]


def shipment_pair(one: Callable[[World, Ref], Step], two: Callable[[World, Ref], Step]) -> Scenario:
    def make(w: World) -> list[Segment]:
        shipment = w.open_shipment()
        again = w.later(shipment, "it", "that shipment", "the same shipment")
        return [show(w, one(w, shipment), 0.1), show(w, two(w, again), 0.4)]

    return make


def free_hold(w: World) -> list[Segment]:
    item = w.result("hold.sku", "the same item", "the released item")
    quantity = w.result("hold.quantity", "the same quantity", "just as many pieces")
    return [show(w, moves.free(w), 0.2), show(w, moves.hold(w, item, quantity), 0.3)]


def count_settle(w: World) -> list[Segment]:
    sheet = w.result("sheet.id", "the count sheet", "that count sheet", "this sheet")
    return [show(w, counts.count(w), 0.4), show(w, counts.settle(w, sheet), 0.5)]


def count_drift(w: World) -> list[Segment]:
    sheet = w.result("sheet.id", "the count sheet", "that count sheet", "this sheet")
    return [Segment(counts.count(w)), show(w, counts.drift(w, sheet))]


def count_one(w: World) -> list[Segment]:
    return [show(w, counts.count(w, lines=w.pick(1, 2, 2)), 0.7)]


def drift_settle(w: World) -> list[Segment]:
    sheet = counts.sheet_id(w)
    again = w.later(sheet, "it", "that sheet", "the same count sheet")
    return [show(w, counts.drift(w, sheet)), show(w, counts.settle(w, again))]


def badge_post(w: World) -> list[Segment]:
    user = w.result("user.login", "the new user", "this user", "the new colleague")
    return [show(w, users.badge(w), 0.2), show(w, users.post(w, user))]


def user_pair(w: World) -> list[Segment]:
    user = w.user()
    again = w.later(user, "the same user", "this colleague", "that user")
    return [show(w, users.recast(w, user)), show(w, users.post(w, again))]


def bar_pending(w: World) -> list[Segment]:
    listing = orders.pending(w)
    code = listing.call.split('"')[1]
    again = Ref(f'"{code}"', w.pick("it", "that supplier", "the same supplier"), code)
    return [show(w, listing), Segment(suppliers.bar(w, again))]


def pull_up_scrap(w: World) -> list[Segment]:
    order = w.order()[0]
    again = w.later(order, "it", "that order", "this order")
    return [show(w, orders.pull_up(w, order)), show(w, orders.scrap(w, again), 0.1)]


def scrap_draft(w: World) -> list[Segment]:
    supplier = w.result("order.supplier", "the same supplier", "its supplier")
    return [Segment(orders.scrap(w)), show(w, orders.draft(w, supplier), 0.5)]


def post_footprint(w: World) -> list[Segment]:
    zone = w.zone()
    again = w.later(zone, "that zone", "this zone", "the same zone")
    return [Segment(users.post(w, zone=zone)), show(w, reports.footprint(w, again))]


def roster_recast(w: World) -> list[Segment]:
    return [show(w, users.recast(w)), show(w, users.roster(w))]


def overdue_scarce(w: World) -> list[Segment]:
    return [show(w, reports.overdue(w)), show(w, reports.scarce(w))]


def forage_shelve(w: World) -> list[Segment]:
    return [show(w, items.forage(w)), show(w, moves.shelve(w))]


TWO: dict[str, Scenario] = {
    "draft_one": draft_one,
    "draft_more": draft_one,
    "count_one": count_one,
    "count_more": count_one,
    "enroll_watermark": enroll_and(items.watermark),
    "enroll_grade": enroll_and(items.grade),
    "enroll_quote": enroll_and(lambda w, item: suppliers.quote(w, item=item)),
    "relabel_peek": item_pair(items.relabel, items.peek),
    "peek_grade": item_pair(items.peek, items.grade),
    "shelve_whereabouts": item_pair(moves.shelve, moves.whereabouts),
    "shift_whereabouts": item_pair(moves.shift, moves.whereabouts),
    "quote_bargain": item_pair(lambda w, item: suppliers.quote(w, item=item), suppliers.bargain),
    "worth_grade": item_pair(reports.worth, items.grade),
    "hold_peek": item_pair(moves.hold, items.peek),
    "quote_worth": item_pair(lambda w, item: suppliers.quote(w, item=item), reports.worth),
    "onboard_quote": onboard_quote,
    "land_vet": land_vet,
    "vet_one": vet_one,
    "arrivals_land": arrivals_land,
    "crate_stow": crate_stow,
    "stow_depart": shipment_pair(shipments.stow, shipments.depart),
    "trace_stow": shipment_pair(shipments.trace, shipments.stow),
    "trace_depart": shipment_pair(shipments.trace, shipments.depart),
    "free_hold": free_hold,
    "drift_settle": drift_settle,
    "badge_post": badge_post,
    "badge_more": badge_post,
    "user_pair": user_pair,
    "bar_pending": bar_pending,
    "pull_up_scrap": pull_up_scrap,
    "post_footprint": post_footprint,
    "roster_recast": roster_recast,
    "overdue_scarce": overdue_scarce,
    "forage_shelve": forage_shelve,
}


def crate_stow_depart(w: World) -> list[Segment]:
    ways = ("it", "the shipment", "that shipment")
    stow = shipments.stow(w, w.result("shipment.id", *ways))
    return [
        show(w, shipments.crate(w), 0.3),
        Segment(stow),
        show(w, shipments.depart(w, w.result("shipment.id", *ways[1:])), 0.3),
    ]


def draft_land_vet(w: World) -> list[Segment]:
    receipt = w.result("receipt.id", "the receipt", "that receipt")
    return [*draft_land(w), show(w, receipts.vet(w, receipt), 0.2)]


def onboard_quote_draft(w: World) -> list[Segment]:
    item = w.item()
    again = w.later(item, "it", "that item", item.value)
    supplier = w.result("supplier.code", "this supplier", "the new supplier")
    quote = suppliers.quote(w, supplier, item)
    return [Segment(suppliers.onboard(w)), Segment(quote), show(w, orders.draft(w, supplier, item=again), 0.5)]


def enroll_three(w: World) -> list[Segment]:
    item = w.new_item()
    again = w.later(item, "it", "the new item")
    return [Segment(items.enroll(w, item)), Segment(items.watermark(w, again)), show(w, items.grade(w, again), 0.4)]


THREE: dict[str, Scenario] = {
    "crate_stow_depart": crate_stow_depart,
    "draft_land": draft_land,
    "draft_land_vet": draft_land_vet,
    "onboard_draft": onboard_draft,
    "onboard_quote_draft": onboard_quote_draft,
    "enroll_three": enroll_three,
    "draft_press": draft_press,
    "draft_press_again": draft_press,
    "draft_press_more": draft_press,
    "bargain_draft": bargain_draft,
    "scrap_draft": scrap_draft,
    "count_settle": count_settle,
    "count_drift": count_drift,
}
