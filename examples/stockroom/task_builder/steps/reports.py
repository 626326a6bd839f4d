"""Requests about reports: one function for each call."""

from __future__ import annotations

from task_builder.world import Print, Ref, Step, World


def scarce(w: World) -> Step:
    limit = w.number(3, 24)
    return Step(
        f"reports.scarce(room, limit={limit})",
        "low",
        (
            f"list at most {limit} items that are running low and OUT",
            f"[find|get] up to {limit} items at or below their reorder level and OUT",
            f"see which items are running low ({limit} at most) and OUT",
            f"[report|list] the scarcest items, no more than {limit}, and OUT",
            f"list up to {limit} items whose quantity on hand has sunk to the reorder level and OUT",
        ),
        (f"Which items are running low? List {limit} at most and OUT.",),
        (
            Print("for item in low:\n    print(item.sku)", "[the SKU of each|each one's SKU] on a line of its own"),
            Print(
                "for item in low:\n    print(item.on_hand)",
                "[the quantity on hand of each|how much of each is on hand], one a line",
            ),
            Print(
                "for item in low:\n    print(item.label)", "[the label of each|each one's label] on a line of its own"
            ),
        ),
        reads=True,
    )


def worth(w: World, item: Ref | None = None) -> Step:
    item = item or w.item()
    return Step(
        f"reports.worth(room, sku={item.code})",
        "value",
        (
            f"[work out|find out] what the stock of {item} is worth and OUT",
            f"value the stock of {item} at the cheapest price and OUT",
            f"[get|calculate] the value of our stock of {item} and OUT",
            f"find the value of all pieces of {item} on hand and OUT",
            f"put a value on the stock of {item}, then OUT",
        ),
        prints=(
            Print(
                "print(value)",
                "[the value in cents|that value in cents|the amount in cents]",
                ("What is our stock of {} worth?", "How much is the stock of {} worth in cents?"),
            ),
        ),
        reads=True,
        about=str(item),
    )


def footprint(w: World, zone: Ref | None = None) -> Step:
    zone = zone or w.zone()
    return Step(
        f"reports.footprint(room, zone={zone.code})",
        "pieces",
        (
            f"[total|add up] the pieces stored in {zone} and OUT",
            f"find out how many pieces lie in {zone} over all its bins and OUT",
            f"[work out|get] the total number of pieces in {zone} and OUT",
            f"total up what is stored in the bins of {zone} and OUT",
            f"see how full {zone} is and OUT",
        ),
        prints=(
            Print(
                "print(pieces)",
                "[the number of pieces|the total number of pieces|the total]",
                ("How many pieces are stored in {}?", "How many pieces lie in {} in total?"),
            ),
        ),
        reads=True,
        about=str(zone),
    )


def overdue(w: World) -> Step:
    days = w.number(2, 40)
    return Step(
        f"reports.overdue(room, days={days})",
        "late",
        (
            f"list the purchase orders that are late by more than {days} days and OUT",
            f"[find|get] all orders overdue by more than {days} days and OUT",
            f"see which open orders are more than {days} days overdue and OUT",
            f"[report|list] the orders that should have come over {days} days ago and OUT",
            f"go through the purchase orders more than {days} days late and OUT",
        ),
        (f"Which purchase orders are more than {days} days late? List them and OUT.",),
        (
            Print("for order in late:\n    print(order.id)", "[the id of each|each order's id] on a line of its own"),
            Print(
                "for order in late:\n    print(order.supplier)",
                "[the supplier's code of each|the supplier of each], one a line",
            ),
            Print("print(len(late))", "[how many there are|the number of late orders]"),
        ),
        reads=True,
    )


def spend(w: World) -> Step:
    supplier = w.supplier(ordered=True)
    return Step(
        f"reports.spend(room, supplier={supplier.code})",
        "cents",
        (
            f"total what our purchase orders with {supplier} cost and OUT",
            f"[work out|find out] how much money we spend with {supplier} and OUT",
            f"add up the cost of all our orders with {supplier} and OUT",
            f"[get|calculate] the total cost of the orders with {supplier} and OUT",
            f"find out what the purchase orders with {supplier} cost in total and OUT",
        ),
        prints=(
            Print(
                "print(cents)",
                "[the amount in cents|the total in cents|the sum in cents]",
                ("What do our orders with {} cost in total?", "How much do we spend with {}?"),
            ),
        ),
        reads=True,
        about=str(supplier),
    )
