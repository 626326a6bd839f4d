"""Requests about shipments: one function for each call."""

from __future__ import annotations

from task_builder.world import Print, Ref, Step, World

SPEEDS = {
    "EXPRESS": "[overnight|as overnight express|by overnight express]",
    "ROAD": "[by road|by truck|on the road, by truck]",
    "FREIGHT": "[by sea or rail|as slow freight|as freight]",
}


PIECES = Print(
    "print(shipment.pieces)",
    "[how many pieces it holds|the number of pieces in it]",
    ("How many pieces are in {}?", "How many pieces does {} hold?"),
)


STATUS = Print(
    "print(shipment.status)", "[its status|the shipment's status]", ("What is the status of {}?", "Has {} left yet?")
)


def crate(w: World, town: Ref | None = None) -> Step:
    town = town or w.town()
    speed, said = w.pick(*SPEEDS.items())
    return Step(
        f"shipments.crate(room, destination={town.code}, speed=Speed.{speed})",
        "shipment",
        (
            f"open a new shipment to {town} that travels {said}",
            f"[start|open] an empty shipment for {town}, going {said}",
            f"[create|set up] a shipment with the destination {town}, sent {said}",
            f"[prepare|open] a shipment to {town}; it goes {said}",
            f"open a shipment bound for {town}, to be sent {said}",
        ),
        (
            f"We need a new shipment to {town}, travelling {said}.",
            f"Something has to go to {town} {said}: open a shipment for it.",
            f"A shipment with destination {town} should be opened; it travels {said}.",
        ),
        (Print("print(shipment.id)", "[the shipment's id|the id of the shipment]"),),
    )


def stow(w: World, shipment: Ref | None = None, item: Ref | None = None, quantity: int = 0) -> Step:
    shipment, item, n = shipment or w.open_shipment(), item or w.item(plenty=True), quantity or w.number(2, 22)
    return Step(
        f"shipments.stow(room, shipment_id={shipment.code}, sku={item.code}, quantity={n})",
        "shipment",
        (
            f"pack {n} pieces of {item} into {shipment}",
            f"[pack|put] {n} of {item} into {shipment}",
            f"add {n} pieces of {item} to {shipment}",
            f"load {n} of {item} into {shipment}",
            f"pack {n} of {item} for {shipment}",
        ),
        (
            f"{n} pieces of {item} should be packed into {shipment}.",
            f"The customer also wants {n} of {item}, so pack them into {shipment}.",
            f"There is room for {n} of {item} in {shipment}: pack them.",
        ),
        (PIECES,),
    )


def depart(w: World, shipment: Ref | None = None) -> Step:
    shipment = shipment or w.open_shipment()
    return Step(
        f"shipments.depart(room, shipment_id={shipment.code})",
        "shipment",
        (
            f"dispatch {shipment}",
            f"send {shipment} off",
            f"send {shipment} on its way",
            f"have {shipment} dispatched",
            f"[mark|book] {shipment} as dispatched",
        ),
        (
            f"{shipment} is packed, so it can be dispatched.",
            f"The truck for {shipment} is here: send it off.",
            f"{shipment} should leave now; dispatch it.",
        ),
        (STATUS, PIECES, Print("print(shipment.destination)", "[its destination|where it goes]")),
    )


def trace(w: World, shipment: Ref | None = None) -> Step:
    if shipment is None:
        shipment = w.ref(w.fresh(w.ids("shipment", 7000)), "shipment {}")
    goes = ("Where does {} go?", "To which town does {} go?")
    return Step(
        f"shipments.trace(room, shipment_id={shipment.code})",
        "shipment",
        (
            f"look up {shipment} and OUT",
            f"check on {shipment} and OUT",
            f"[find|open] {shipment} in the books and OUT",
            f"[get|fetch] the details of {shipment} and OUT",
            f"look {shipment} up, then OUT",
        ),
        prints=(
            STATUS,
            PIECES,
            Print("print(shipment.destination)", "[its destination|the destination]", goes),
            Print("print(shipment.speed)", "[its speed|the speed it travels at]"),
        ),
        reads=True,
        about=str(shipment),
    )


def reroute(w: World, shipment: Ref | None = None) -> Step:
    shipment, town = shipment or w.open_shipment(), w.town()
    return Step(
        f"shipments.reroute(room, shipment_id={shipment.code}, destination={town.code})",
        "shipment",
        (
            f"change the destination of {shipment} to {town}",
            f"send {shipment} to {town} instead",
            f"[redirect|divert] {shipment} to the new destination {town}",
            f"make {town} the destination of {shipment}",
            f"[set|correct] the destination of {shipment} to {town}",
        ),
        (
            f"The customer has moved, so {shipment} must go to {town} instead; change its destination.",
            f"The destination of {shipment} is wrong: it should be {town}.",
            f"{shipment} has to go to another town, {town}, so change its destination.",
        ),
        (PIECES, STATUS),
    )
