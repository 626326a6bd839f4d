"""Requests about suppliers: one function for each call."""

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
