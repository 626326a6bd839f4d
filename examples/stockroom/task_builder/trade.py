"""Requests about suppliers, purchase orders and receipts: one function for each call."""

from __future__ import annotations

from task_builder.pools import TRADES, code_of
from task_builder.world import Print, Ref, Step, World

TERMS = {
    "UPFRONT": "[paid in advance|to be paid in advance|payment in advance]",
    "MONTHLY": "[paid at the end of the month|to be paid at the end of each month|payment at the month's end]",
    "DELIVERY": "[paid on delivery|to be paid on delivery|payment on delivery]",
}
FAULTS = {
    "LATE": "[late deliveries|its late deliveries|deliveries that keep coming late]",
    "DAMAGED": "[damaged goods|goods that arrive damaged|deliveries of damaged goods]",
    "OVERPRICED": "[prices that are too high|its much too high prices|being overpriced]",
}
URGENCIES = {
    "RUSH": "[a rush order|an order in a hurry]",
    "CRITICAL": "[critical|critical, as production stands still]",
    "NORMAL": "[of normal urgency|normal, not urgent]",
}
VERDICTS = {
    "SOUND": "[in good order|found in good order]",
    "DAMAGED": "[damaged|found damaged]",
    "MISLABELLED": "[wrongly labelled|found to have wrong labels]",
}
PRICE = Print(
    "print(offer.price_cents)",
    "[the price in cents|that price in cents]",
    ("What is the lowest price in cents that any supplier asks for {}?",),
)


def onboard(w: World, code: str | None = None) -> Step:
    firm = w.fresh(w.pool.new["firm"])
    code, name = code_of(firm), f"{firm.title()} {w.pick(*TRADES)}"
    terms, said = w.pick(*TERMS.items())
    return Step(
        f'suppliers.onboard(room, code="{code}", name="{name}", terms=Terms.{terms})',
        "supplier",
        (
            f"add a new supplier, {name}, [with|under] the code {code}, {said}",
            f"[register|set up] {name} as a supplier with code {code}, {said}",
            f"[enter|create] a new supplier {code} ({name}), {said}",
            f"[add|take on] the vendor {name}, code {code}, {said}",
            f"put the company {name} on the list of suppliers as {code}, {said}",
        ),
        (
            f"We have a new supplier: {name}, code {code}, {said}. Add it.",
            f"{name} will be delivering to us, so add it as supplier {code}, {said}.",
            f"A new vendor has to be added: code {code}, company name {name}, {said}.",
        ),
        (
            Print("print(supplier.code)", "[its code|the new supplier's code]"),
            Print("print(supplier.lead_days)", "[its lead time in days|the supplier's lead time in days]"),
        ),
    )


def quote(w: World, supplier: Ref | None = None, item: Ref | None = None) -> Step:
    supplier, item, cents = supplier or w.supplier(), item or w.item(), w.number(150, 3500)
    return Step(
        f"suppliers.quote(room, code={supplier.code}, sku={item.code}, price_cents={cents})",
        "offer",
        (
            f"record that {supplier} charges {cents} cents for {item}",
            f"[enter|note] a price of {cents} cents from {supplier} for {item}",
            f"record a quote by {supplier}: {item} at {cents} cents",
            f"set the price that {supplier} asks for {item} to {cents} cents",
            f"[enter|record] the offer of {supplier} for {item}, {cents} cents a piece",
        ),
        (
            f"{supplier} now asks {cents} cents for {item}; record that price.",
            f"The price of {item} at {supplier} is {cents} cents, please record it.",
            f"{cents} cents is what {supplier} charges for {item} from today, so note the price.",
        ),
        (PRICE,),
    )


def bargain(w: World, item: Ref | None = None) -> Step:
    item = item or w.item()
    who = Print(
        "print(offer.supplier)",
        "[the supplier's code|the code of that supplier]",
        ("Which supplier is the cheapest for {}?", "Who sells us {} at the lowest price?"),
    )
    return Step(
        f"suppliers.bargain(room, sku={item.code})",
        "offer",
        (
            f"find the cheapest offer for {item} and OUT",
            f"[look up|find] the cheapest supplier of {item} and OUT",
            f"find the supplier with the lowest price for {item} and OUT",
            f"[compare|go through] the offers for {item}, take the cheapest and OUT",
            f"find out who offers {item} at the lowest price and OUT",
        ),
        prints=(who, PRICE),
        reads=True,
        about=str(item),
    )


def bar(w: World, supplier: Ref | None = None) -> Step:
    supplier = supplier or w.supplier()
    fault, said = w.pick(*FAULTS.items())
    return Step(
        f"suppliers.bar(room, code={supplier.code}, fault=Fault.{fault})",
        "supplier",
        (
            f"block {supplier} because of {said}",
            f"block {supplier} from new purchase orders for {said}",
            f"[bar|block] {supplier}; the reason is {said}",
            f"[see to it|make sure] that {supplier} gets no new orders, on account of {said}",
            f"stop buying from {supplier} by blocking it for {said}",
        ),
        (
            f"{supplier} should be blocked because of {said}.",
            f"We've had enough of {supplier}: block it, the reason being {said}.",
            f"No more new orders for {supplier}, please; block it for {said}.",
        ),
        (Print("print(supplier.name)", "[the company's name|the supplier's name]"),),
    )


def pace(w: World, supplier: Ref | None = None) -> Step:
    supplier, days = supplier or w.supplier(), w.number(3, 40)
    return Step(
        f"suppliers.pace(room, code={supplier.code}, days={days})",
        "supplier",
        (
            f"set the lead time of {supplier} to {days} days",
            f"[change|put] the delivery lead time of {supplier} to {days} days",
            f"[record|note] that {supplier} takes {days} days from order to delivery",
            f"give {supplier} a lead time of {days} days",
            f"[enter|use] {days} days as the lead time of {supplier}",
        ),
        (
            f"{supplier} now needs {days} days to deliver; set that as its lead time.",
            f"The lead time of {supplier} has changed to {days} days, please record it.",
            f"From order to delivery {supplier} takes {days} days: update its lead time.",
        ),
        (
            Print("print(supplier.lead_days)", "[its lead time in days|the supplier's new lead time in days]"),
            Print("print(supplier.name)", "[the company's name|the supplier's name]"),
        ),
    )


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
        tail = w.pick(f", marked as {words}", f" and mark it as {words}", f"; its urgency is to be marked as {words}")
    return Step(
        "",
        "draft",
        (
            f"order {said} from {supplier}{tail}",
            f"[start|open|make] a purchase order with {supplier} for {said}{tail}",
            f"[place|write] a new purchase order for {said} with {supplier}{tail}",
            f"[buy|order] {said} from {supplier} on a new purchase order{tail}",
            f"[place|make] a purchase order with {supplier}: {said}{tail}",
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
    if order is None:
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


def land(w: World, order: Ref | None = None, item: Ref | None = None, most: int = 40) -> Step:
    if order is None:
        order, sku, _ = w.order()
        item = w.ref(sku, "{}", "{}", "item {}")
    n = w.number(4, most)
    return Step(
        f"receipts.land(room, order_id={order.code}, sku={item.code}, quantity={n})",
        "receipt",
        (
            f"receive {n} pieces of {item} against {order}",
            f"book in a delivery of {n} of {item} for {order}",
            f"[record|enter] the delivery of {n} pieces of {item} on {order}",
            f"book {n} of {item} in against {order}",
            f"[take in|receive] the {n} pieces of {item} that arrived for {order}",
        ),
        (
            f"{n} pieces of {item} have arrived for {order}; book them in.",
            f"A delivery came in against {order}: {n} of {item}. Receive it.",
            f"The truck brought {n} of {item}, which belong to {order}, so receive them.",
        ),
        (Print("print(receipt.id)", "[the receipt's id|the id of the receipt]"),),
    )


def receipt_id(w: World) -> Ref:
    marks = ",".join(str(each) for each in w.ids("receipt", 3000))
    found = w.rows(f"SELECT id FROM receipts WHERE id IN ({marks}) ORDER BY id")
    return w.ref(w.fresh(found), "receipt {}", "the goods of receipt {}", "the delivery with receipt {}")


def vet(w: World, receipt: Ref | None = None) -> Step:
    receipt = receipt or receipt_id(w)
    verdict, said = w.pick(*VERDICTS.items())
    return Step(
        f"receipts.vet(room, receipt_id={receipt.code}, verdict=Verdict.{verdict})",
        "checked",
        (
            f"record the inspection result of {receipt}: {said}",
            f"[enter|note] that {receipt} was {said} at the inspection",
            f"record that the inspection showed {receipt} to be {said}",
            f"[log|record] the inspection of {receipt} with the result {said}",
            f"[file|put down] {receipt} as inspected and {said}",
        ),
        (
            f"The inspection of {receipt} is done, with the result {said}; record it.",
            f"We inspected {receipt}: {said}. Record that result.",
            f"Inspection result for {receipt}, to be recorded: {said}.",
        ),
        (Print("print(checked.quantity)", "[the quantity received|how many pieces were received]"),),
    )


def bounce(w: World, receipt: Ref | None = None, most: int = 0) -> Step:
    if receipt is None:
        marks = ",".join(str(each) for each in w.ids("receipt", 3000))
        found = w.rows(f"SELECT id, quantity FROM receipts WHERE id IN ({marks}) AND quantity >= 12 ORDER BY id")
        value, most = w.pick(*found)
        receipt = w.ref(value, "receipt {}")
    n = w.number(1, most)
    return Step(
        f"receipts.bounce(room, receipt_id={receipt.code}, quantity={n})",
        "returned",
        (
            f"send {n} pieces of {receipt} back to the supplier",
            f"return {n} of the goods of {receipt} to the supplier",
            f"[send|ship] {n} of the pieces that came with {receipt} back to the supplier",
            f"[book|enter] a return of {n} pieces from {receipt} to the supplier",
            f"give {n} pieces of {receipt} back to the supplier",
        ),
        (
            f"{n} pieces of {receipt} have to go back to the supplier.",
            f"We don't accept {n} of the pieces that came with {receipt}: return them to the supplier.",
            f"The supplier takes back {n} pieces of {receipt}, so send them back.",
        ),
        (Print("print(returned.returned)", "[how many pieces have gone back so far|the quantity returned so far]"),),
    )


def arrivals(w: World, order: Ref | None = None) -> Step:
    if order is None:
        marks = ",".join(str(each) for each in w.ids("order", 1000))
        found = w.rows(f"SELECT DISTINCT order_id FROM receipts WHERE order_id IN ({marks}) ORDER BY order_id")
        order = w.ref(w.fresh(found), "purchase order {}", "order {}", "PO {}")
    return Step(
        f"receipts.arrivals(room, order_id={order.code})",
        "came",
        (
            f"list the receipts of {order} and OUT",
            f"[look up|get] the deliveries so far of {order} and OUT",
            f"[go through|check] the receipts for {order} and OUT",
            f"see what has come in for {order} and OUT",
            f"[find|list] all deliveries received for {order} and OUT",
        ),
        (f"What has come in for {order} so far? List its receipts and OUT.",),
        (
            Print(
                "for receipt in came:\n    print(receipt.id)", "[the id of each receipt|each receipt's id], one a line"
            ),
            Print("for receipt in came:\n    print(receipt.quantity)", "the quantity of each receipt, one a line"),
            Print("for receipt in came:\n    print(receipt.sku)", "the SKU of each receipt on a line of its own"),
            Print("print(len(came))", "[how many receipts there are|the number of receipts]"),
        ),
        reads=True,
    )
