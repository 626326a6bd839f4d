"""Which steps go together: pairs and triples whose later steps use what earlier ones made."""

from __future__ import annotations

from collections.abc import Callable

from task_builder import goods, people, trade
from task_builder.phrasing import Segment
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
    name: alone(make)
    for name, make in {
        **{each.__name__: each for each in (goods.enroll, goods.peek, goods.relabel, goods.watermark, goods.grade)},
        **{each.__name__: each for each in (goods.forage, goods.shelve, goods.shift, goods.hold, goods.free)},
        **{each.__name__: each for each in (goods.whereabouts, goods.settle, goods.drift)},
        **{each.__name__: each for each in (trade.onboard, trade.quote, trade.bargain, trade.bar, trade.pull_up)},
        **{each.__name__: each for each in (trade.scrap, trade.pending, trade.land, trade.vet, trade.arrivals)},
        **{each.__name__: each for each in (people.crate, people.stow, people.depart, people.trace, people.scarce)},
        **{each.__name__: each for each in (people.worth, people.footprint, people.overdue, people.badge)},
        **{each.__name__: each for each in (people.recast, people.post, people.roster)},
    }.items()
}


def known_item(w: World) -> tuple[Ref, Ref]:
    """An item with much stock, and the same one named again."""
    item = w.item(plenty=True)
    return item, w.later(item, "it", "that item", "the same item", item.value)


def enroll_and(next_step: Callable[[World, Ref], Step]) -> Scenario:
    def make(w: World) -> list[Segment]:
        item = w.new_item()
        again = w.later(item, "it", "the new item", item.value)
        return [show(w, goods.enroll(w, item), 0.2), show(w, next_step(w, again))]

    return make


def item_pair(one: Callable[[World, Ref], Step], two: Callable[[World, Ref], Step]) -> Scenario:
    def make(w: World) -> list[Segment]:
        item, again = known_item(w)
        return [show(w, one(w, item), 0.2), show(w, two(w, again))]

    return make


def onboard_quote(w: World) -> list[Segment]:
    supplier = w.result("supplier.code", "it", "the new supplier", "this supplier")
    return [Segment(trade.onboard(w)), show(w, trade.quote(w, supplier))]


def onboard_draft(w: World) -> list[Segment]:
    supplier = w.result("supplier.code", "the new supplier", "this supplier", "it")
    return [Segment(trade.onboard(w)), show(w, trade.draft(w, supplier))]


def bargain_draft(w: World) -> list[Segment]:
    item, again = known_item(w)
    supplier = w.result("offer.supplier", "that supplier", "the cheapest supplier", "the supplier of that offer")
    return [show(w, trade.bargain(w, item)), show(w, trade.draft(w, supplier, item=again))]


def draft_press(w: World) -> list[Segment]:
    return [show(w, trade.draft(w, press=True), 0.5)]


def draft_one(w: World) -> list[Segment]:
    return [show(w, trade.draft(w, lines=w.pick(1, 1, 2)), 0.6)]


def draft_land(w: World) -> list[Segment]:
    item = w.item()
    again = w.later(item, "it", "that item", item.value)
    order = w.result("draft.id", "the new order", "this order", "that purchase order")
    step = trade.draft(w, item=item)
    most = int(step.block[1].rsplit("=", 1)[1].rstrip(")"))
    return [Segment(step), show(w, trade.land(w, order, again, most), 0.6)]


def land_vet(w: World) -> list[Segment]:
    receipt = w.result("receipt.id", "the receipt", "that receipt", "the new receipt")
    return [show(w, trade.land(w), 0.3), show(w, trade.vet(w, receipt), 0.2)]


def vet_one(w: World) -> list[Segment]:
    return [show(w, trade.pull_up(w)), show(w, trade.vet(w))]


def arrivals_land(w: World) -> list[Segment]:
    order, sku, _ = w.order()
    again = w.later(order, "it", "that order", "the same order")
    return [show(w, trade.land(w, order, w.ref(sku, "{}", "item {}"))), show(w, trade.arrivals(w, again))]


def crate_stow(w: World) -> list[Segment]:
    shipment = w.result("shipment.id", "it", "the new shipment", "that shipment")
    return [show(w, people.crate(w), 0.4), show(w, people.stow(w, shipment), 0.4)]


def shipment_pair(one: Callable[[World, Ref], Step], two: Callable[[World, Ref], Step]) -> Scenario:
    def make(w: World) -> list[Segment]:
        shipment = w.open_shipment()
        again = w.later(shipment, "it", "that shipment", "the same shipment")
        return [show(w, one(w, shipment), 0.1), show(w, two(w, again), 0.4)]

    return make


def free_hold(w: World) -> list[Segment]:
    item = w.result("hold.sku", "the same item", "the released item")
    quantity = w.result("hold.quantity", "the same quantity", "just as many pieces")
    return [show(w, goods.free(w), 0.2), show(w, goods.hold(w, item, quantity), 0.3)]


def count_settle(w: World) -> list[Segment]:
    sheet = w.result("sheet.id", "the count sheet", "that count sheet", "this sheet")
    return [show(w, goods.count(w), 0.4), show(w, goods.settle(w, sheet), 0.5)]


def count_drift(w: World) -> list[Segment]:
    sheet = w.result("sheet.id", "the count sheet", "that count sheet", "this sheet")
    return [Segment(goods.count(w)), show(w, goods.drift(w, sheet))]


def count_one(w: World) -> list[Segment]:
    return [show(w, goods.count(w, lines=w.pick(1, 1, 2)), 0.7)]


def drift_settle(w: World) -> list[Segment]:
    sheet = goods.sheet_id(w)
    again = w.later(sheet, "it", "that sheet", "the same count sheet")
    return [show(w, goods.drift(w, sheet)), show(w, goods.settle(w, again))]


def badge_post(w: World) -> list[Segment]:
    user = w.result("user.login", "the new user", "this user", "the new colleague")
    return [show(w, people.badge(w), 0.2), show(w, people.post(w, user))]


def user_pair(w: World) -> list[Segment]:
    user = w.user()
    again = w.later(user, "the same user", "this colleague", "that user")
    return [show(w, people.recast(w, user)), show(w, people.post(w, again))]


def bar_pending(w: World) -> list[Segment]:
    listing = trade.pending(w)
    code = listing.call.split('"')[1]
    again = Ref(f'"{code}"', w.pick("it", "that supplier", "the same supplier"), code)
    return [show(w, listing), Segment(trade.bar(w, again))]


def pull_up_scrap(w: World) -> list[Segment]:
    order = w.order()[0]
    again = w.later(order, "it", "that order", "this order")
    return [show(w, trade.pull_up(w, order)), show(w, trade.scrap(w, again), 0.1)]


def scrap_draft(w: World) -> list[Segment]:
    supplier = w.result("order.supplier", "the same supplier", "its supplier")
    return [Segment(trade.scrap(w)), show(w, trade.draft(w, supplier), 0.5)]


def post_footprint(w: World) -> list[Segment]:
    zone = w.zone()
    again = w.later(zone, "that zone", "this zone", "the same zone")
    return [Segment(people.post(w, zone=zone)), show(w, people.footprint(w, again))]


def roster_recast(w: World) -> list[Segment]:
    return [show(w, people.recast(w)), show(w, people.roster(w))]


def overdue_scarce(w: World) -> list[Segment]:
    return [show(w, people.overdue(w)), show(w, people.scarce(w))]


def forage_shelve(w: World) -> list[Segment]:
    return [show(w, goods.forage(w)), show(w, goods.shelve(w))]


TWO: dict[str, Scenario] = {
    "draft_one": draft_one,
    "draft_more": draft_one,
    "count_one": count_one,
    "count_more": count_one,
    "enroll_watermark": enroll_and(goods.watermark),
    "enroll_grade": enroll_and(goods.grade),
    "enroll_quote": enroll_and(lambda w, item: trade.quote(w, item=item)),
    "relabel_peek": item_pair(goods.relabel, goods.peek),
    "peek_grade": item_pair(goods.peek, goods.grade),
    "shelve_whereabouts": item_pair(goods.shelve, goods.whereabouts),
    "shift_whereabouts": item_pair(goods.shift, goods.whereabouts),
    "quote_bargain": item_pair(lambda w, item: trade.quote(w, item=item), trade.bargain),
    "worth_grade": item_pair(people.worth, goods.grade),
    "hold_peek": item_pair(goods.hold, goods.peek),
    "quote_worth": item_pair(lambda w, item: trade.quote(w, item=item), people.worth),
    "onboard_quote": onboard_quote,
    "land_vet": land_vet,
    "vet_one": vet_one,
    "arrivals_land": arrivals_land,
    "crate_stow": crate_stow,
    "stow_depart": shipment_pair(people.stow, people.depart),
    "trace_stow": shipment_pair(people.trace, people.stow),
    "trace_depart": shipment_pair(people.trace, people.depart),
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
    stow = people.stow(w, w.result("shipment.id", *ways))
    return [
        show(w, people.crate(w), 0.3),
        Segment(stow),
        show(w, people.depart(w, w.result("shipment.id", *ways[1:])), 0.3),
    ]


def draft_land_vet(w: World) -> list[Segment]:
    receipt = w.result("receipt.id", "the receipt", "that receipt")
    return [*draft_land(w), show(w, trade.vet(w, receipt), 0.2)]


def onboard_quote_draft(w: World) -> list[Segment]:
    item = w.item()
    again = w.later(item, "it", "that item", item.value)
    supplier = w.result("supplier.code", "this supplier", "the new supplier")
    quote = trade.quote(w, supplier, item)
    return [Segment(trade.onboard(w)), Segment(quote), show(w, trade.draft(w, supplier, item=again), 0.5)]


def enroll_three(w: World) -> list[Segment]:
    item = w.new_item()
    again = w.later(item, "it", "the new item")
    return [Segment(goods.enroll(w, item)), Segment(goods.watermark(w, again)), show(w, goods.grade(w, again), 0.4)]


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
