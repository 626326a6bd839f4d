"""Requests about receipts: one function for each call."""

from __future__ import annotations

from task_builder.world import Print, Ref, Step, World

VERDICTS = {
    "SOUND": "[in good order|sound and in good order]",
    "DAMAGED": "damaged",
    "MISLABELLED": "[wrongly labelled|labelled wrongly]",
}


def land(w: World, order: Ref | None = None, item: Ref | None = None, most: int = 40) -> Step:
    if order is None or item is None:
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
