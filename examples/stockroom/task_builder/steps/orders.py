"""Requests about purchase orders: one function for each call."""

from __future__ import annotations

from task_builder.pools import code_of
from task_builder.world import Print, Ref, Step, World

URGENCIES = {
    "RUSH": "[a rush order|an order in a hurry]",
    "CRITICAL": "[critical|critical, as production stands still]",
}


def draft(w: World, supplier: Ref | None = None, lines: int = 1, press: bool = False, item: Ref | None = None) -> Step:
    """A purchase order with one or two lines, marked with an urgency if press."""
    supplier = supplier or w.supplier()
    wanted = [(item or w.item(), w.number(5, 80))] + [(w.item(), w.number(5, 80)) for _ in range(lines - 1)]
    code = [f"    draft.line(sku={each.code}, quantity={n})" for each, n in wanted]
    parts = [w.pick(f"{n} pieces of {each}", f"{n} of {each}", f"{n} of {each}") for each, n in wanted]
    said = " and ".join(parts)
    tail = ""
    if press:
        urgency, words = w.pick(*URGENCIES.items())
        code.append(f"    draft.press(urgency=Urgency.{urgency})")
        tail = w.pick(f", marked as {words}", f" and mark it as {words}", f"; mark the order as {words}")
    return Step(
        "",
        "draft",
        (
            f"order {said} from {supplier}{tail}",
            f"[start|open|make] a purchase order with {supplier} for {said}{tail}",
            f"[place|write] a new purchase order for {said} with {supplier}{tail}",
            f"[buy|order] {said} from {supplier} on a new purchase order{tail}",
            f"[place|make] a purchase order with {supplier}, asking for {said}{tail}",
        ),
        (
            f"A new purchase order has to go to {supplier}: {said}{tail}.",
            f"We [need|are short of] {said}, so place a purchase order with {supplier}{tail}.",
            f"{supplier} is to supply {said}: make a purchase order{tail}.",
        ),
        (Print("print(draft.id)", "[the order's id|the id of the purchase order|the new order's id]"),),
        block=(f"with orders.draft(room, supplier={supplier.code}) as draft:", *code),
    )


def pull_up(w: World, order: Ref | None = None) -> Step:
    order = order or w.order()[0]
    return Step(
        f"orders.pull_up(room, order_id={order.code})",
        "order",
        (
            f"look up {order} and OUT",
            f"[get|fetch] the details of {order} and OUT",
            f"[open|find] {order} in the books and OUT",
            f"check {order} and OUT",
            f"look {order} up, then OUT",
        ),
        prints=(
            Print("print(order.supplier)", "[the supplier's code|its supplier's code]", ("Which supplier got {}?",)),
            Print("print(order.status)", "[its status|the order's status]", ("What is the status of {}?",)),
            Print("print(order.due_on)", "[its due date|the date it is due on]", ("On which date is {} due?",)),
            Print("print(order.urgency)", "[its urgency|how urgent it is]", ("How urgent is {}?",)),
            Print("print(len(order.lines))", "how many lines it has", ("How many lines does {} have?",)),
        ),
        reads=True,
        about=str(order),
    )


def scrap(w: World, order: Ref | None = None) -> Step:
    order = order or w.order()[0]
    return Step(
        f"orders.scrap(room, order_id={order.code})",
        "order",
        (
            f"cancel {order}",
            f"[call off|cancel] {order}, which is still open",
            f"have {order} cancelled",
            f"[withdraw|cancel] {order} with the supplier",
            f"cancel {order}, as we don't need it any more",
        ),
        (
            f"{order} is not needed any more; cancel it.",
            f"{order} was placed by mistake and should be cancelled.",
            f"The buyer has changed her mind about {order}: cancel it.",
        ),
        (
            Print("print(order.status)", "[its status|the order's status]"),
            Print("print(order.supplier)", "[the supplier's code|its supplier's code]"),
        ),
    )


def pending(w: World, supplier: Ref | None = None) -> Step:
    if supplier is None:
        query = "SELECT DISTINCT supplier FROM orders WHERE status = 'placed' ORDER BY supplier"
        mine = {code_of(firm) for firm in w.pool.old["firm"]}
        supplier = w.ref(w.fresh([each for each in w.rows(query) if each in mine]), "{}", "supplier {}")
    return Step(
        f"orders.pending(room, supplier={supplier.code})",
        "placed",
        (
            f"list the open purchase orders with {supplier} and OUT",
            f"[get|find] all open orders that we have with {supplier} and OUT",
            f"[look up|check] which purchase orders with {supplier} are still open and OUT",
            f"go through the open orders with {supplier} and OUT",
            f"see what orders are open with {supplier} and OUT",
        ),
        (f"Which purchase orders do we have open with {supplier}? List them and OUT.",),
        (
            Print("for order in placed:\n    print(order.id)", "[the id of each|each order's id] on a line of its own"),
            Print(
                "for order in placed:\n    print(order.due_on)",
                "[the due date of each|each order's due date], one a line",
            ),
            Print("print(len(placed))", "[how many there are|the number of open orders]"),
        ),
        reads=True,
    )


def amend(w: World, order: Ref | None = None, sku: Ref | None = None) -> Step:
    if order is None or sku is None:
        order, value, _ = w.order()
        sku = w.ref(value, "{}", "item {}")
    n = w.number(42, 120)
    return Step(
        f"orders.amend(room, order_id={order.code}, sku={sku.code}, quantity={n})",
        "line",
        (
            f"change the quantity of {sku} on {order} to {n}",
            f"[correct|set] the quantity of {sku} on {order} to {n} pieces",
            f"change {order} so that it asks for {n} of {sku}",
            f"change the line for {sku} on {order} to a quantity of {n}",
            f"make it {n} pieces of {sku} on {order} by changing that line",
        ),
        (
            f"{order} is placed already, but its quantity of {sku} has to change to {n}.",
            f"On {order} we want {n} of {sku} instead, so change the line.",
            f"The quantity of {sku} on {order} should have been {n}; change it.",
        ),
        (Print("print(line.outstanding)", "[how many pieces are outstanding|the outstanding quantity of that line]"),),
    )
