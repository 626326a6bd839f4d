"""Requests about moves and reservations: one function for each call."""

from __future__ import annotations

from task_builder.world import Print, Ref, Step, World

PURPOSES = {
    "CUSTOMER": "[a customer's order|a customer|a customer order]",
    "REPAIR": "[a repair job|a repair]",
    "EXHIBIT": "[a trade fair exhibit|an exhibit|an exhibit at a trade fair]",
}


CAUSES = {
    "BROKEN": "[broken|broken on inspection]",
    "EXPIRED": "[past their date|expired]",
    "LOST": "[missing|lost]",
}


def shelve(w: World, item: Ref | None = None, quantity: int | None = None) -> Step:
    item, n, bin = item or w.item(plenty=True), quantity or w.number(3, 28), w.bin()
    return Step(
        f"moves.shelve(room, sku={item.code}, quantity={n}, bin={bin.code})",
        "stock",
        (
            f"put {n} pieces of {item} away from the dock into {bin}",
            f"[put away|shelve] {n} of {item} from the dock in {bin}",
            f"take {n} pieces of {item} from the dock and put them away in {bin}",
            f"[clear|bring] {n} pieces of {item} off the dock into {bin}",
            f"put away {n} pieces of {item}, which are on the dock, into {bin}",
        ),
        (
            f"{n} pieces of {item} are waiting on the dock; they [belong in|go into] {bin}, so put them away.",
            f"There are {n} of {item} to be put away from the dock, into {bin}.",
            f"{bin} has room for {n} pieces of {item} from the dock: put them away there.",
        ),
        (Print("print(stock.quantity)", "[how many pieces now lie in that bin|the quantity now in that bin]"),),
    )


def shift(w: World, item: Ref | None = None) -> Step:
    skus = w.pool.old["sku"]
    query = "SELECT sku, bin, quantity FROM stock WHERE bin <> 'DOCK' AND quantity >= 18 ORDER BY sku, bin"
    sku, origin, _ = w.pick(*[row for row in w.rows(query) if row[0] in skus and (not item or row[0] == item.value)])
    w.used.add(origin)
    item = item or w.ref(sku, "{}", "item {}")
    n, target = w.number(2, 17), w.bin()
    return Step(
        f'moves.shift(room, sku={item.code}, quantity={n}, origin="{origin}", target={target.code})',
        "stock",
        (
            f"move {n} pieces of {item} from bin {origin} to {target}",
            f"transfer {n} of {item} from {origin} to {target}",
            f"take {n} pieces of {item} out of bin {origin} and move them to {target}",
            f"[move|bring] {n} of {item} over to {target}; they lie in {origin}",
            f"relocate {n} pieces of {item}: from bin {origin} to {target}",
        ),
        (
            f"{n} pieces of {item} lie in the wrong bin: move them from {origin} to {target}.",
            f"Bin {origin} is too full, so {n} of {item} should be moved from there to {target}.",
            f"{n} of {item} have to move from {origin} to {target}.",
        ),
        (
            Print(
                "print(stock.quantity)", "[how many pieces the target bin now holds|the quantity now in the target bin]"
            ),
        ),
    )


def hold(w: World, item: Ref | None = None, quantity: Ref | None = None) -> Step:
    item = item or w.item(plenty=True)
    n = quantity or w.ref(w.number(2, 22), "{}", "{} pieces")
    purpose, said = w.pick(*PURPOSES.items())
    return Step(
        f"moves.hold(room, sku={item.code}, quantity={n.code}, purpose=Purpose.{purpose})",
        "hold",
        (
            f"reserve {n} of {item} for {said}",
            f"set aside {n} of {item} for {said}",
            f"[make|enter] a reservation of {n} of {item} for {said}",
            f"[keep|hold] {n} of {item} back for {said}",
            f"put {n} of {item} on reserve for {said}",
        ),
        (
            f"{said} [needs|calls for] {n} of {item}, so reserve that much.",
            f"For {said}, {n} of {item} should be reserved.",
            f"{n} of {item} must be set aside: they are for {said}.",
        ),
        (Print("print(hold.token)", "[the reservation's token|the token of the reservation]"),),
    )


def free(w: World) -> Step:
    token = w.ref(f"H-{w.fresh(w.pool.ids['hold']):04d}", "{}", "reservation {}", "the reservation {}")
    return Step(
        f"moves.free(room, token={token.code})",
        "hold",
        (
            f"release reservation {token.value}",
            f"lift the reservation with the token {token.value}",
            f"[release|give back] the stock reserved under {token.value}",
            f"[release|undo] the reservation {token.value}",
            f"make the stock of reservation {token.value} available again",
        ),
        (
            f"Reservation {token.value} isn't needed any more, so release it.",
            f"Nobody came for the goods reserved under {token.value}; release them.",
            f"The reservation {token.value} should be lifted.",
        ),
        (
            Print("print(hold.sku)", "[the SKU of the released item|which SKU it was for]"),
            Print("print(hold.quantity)", "[the quantity it held|how many pieces it held]"),
        ),
    )


def whereabouts(w: World, item: Ref | None = None) -> Step:
    item = item or w.item()
    return Step(
        f"moves.whereabouts(room, sku={item.code})",
        "places",
        (
            f"list the bins in which {item} lies and OUT",
            f"[find out|look up|check] in which bins {item} is stored and OUT",
            f"see where {item} is stored and OUT",
            f"[go through|get] the list of bins that hold {item} and OUT",
            f"find the bins holding {item} and OUT",
        ),
        (f"Where is {item} stored? Look up its bins and OUT.",),
        (
            Print("for stock in places:\n    print(stock.bin)", "[the name of each bin|each bin] on a line of its own"),
            Print(
                "for stock in places:\n    print(stock.quantity)",
                "[the quantity in each bin|each bin's quantity], one a line",
            ),
            Print("print(len(places))", "[how many bins there are|the number of bins]"),
        ),
        reads=True,
    )


def junk(w: World, item: Ref | None = None) -> Step:
    query = "SELECT sku, bin, quantity FROM stock WHERE bin <> 'DOCK' AND quantity >= 18 ORDER BY sku, bin"
    wanted = [item.value] if item else w.pool.old["sku"]
    sku, bin, _ = w.pick(*[row for row in w.rows(query) if row[0] in wanted])
    item = item or w.ref(w.fresh([sku]), "{}", "item {}")
    n, (cause, said) = w.number(2, 17), w.pick(*CAUSES.items())
    return Step(
        f'moves.junk(room, sku={item.code}, quantity={n}, bin="{bin}", cause=Cause.{cause})',
        "stock",
        (
            f"write off {n} pieces of {item} in bin {bin} because they are {said}",
            f"write off {n} of {item} in {bin} as {said}",
            f"take {n} pieces of {item} out of the stock in bin {bin}; they are {said}",
            f"[book|enter] a write-off for bin {bin}: {n} pieces of {item} that are {said}",
            f"write {n} of {item} in {bin} off, since they are {said}",
        ),
        (
            f"{n} pieces of {item} in bin {bin} are {said} and have to be written off.",
            f"In bin {bin}, {n} of {item} turned out to be {said}: write them off.",
            f"Stock in {bin} has to be written off: {n} pieces of {item} are {said}.",
        ),
        (Print("print(stock.quantity)", "[how many pieces are left in that bin|the quantity left in that bin]"),),
    )
