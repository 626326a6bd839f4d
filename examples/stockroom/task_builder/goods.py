"""Requests about items, moves, reservations and counts: one function for each call."""

from __future__ import annotations

from task_builder.pools import ADJECTIVES
from task_builder.world import Print, Ref, Step, World

UNITS = {
    "EACH": "[counted in single pieces|counted as single pieces|kept in single pieces]",
    "CARTON": "[counted by the carton|kept by the carton|counted in cartons]",
    "PALLET": "[counted by the pallet|kept by the pallet|counted in pallets]",
}
TURNOVERS = {
    "FAST": "[a fast mover|a fast-moving item|a fast seller]",
    "STEADY": "[a steady seller|a steadily selling item]",
    "SLOW": "[a slow mover|a slow-moving item|a slow seller]",
}
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
ON_HAND = Print(
    "print(item.on_hand)",
    "[how many pieces are on hand|the quantity on hand|the number of pieces on hand]",
    ("How many pieces of {} are on hand?", "How much {} do we have on hand?"),
)
FLOOR = Print(
    "print(item.floor)", "[its reorder level|the item's reorder level]", ("What is the reorder level of {}?",)
)
LABEL = Print(
    "print(item.label)", "[its label|the item's label]", ("What is the label of {}?", "Which label does {} have?")
)
AVAILABLE = Print(
    "print(item.available)",
    "[how many pieces are available|the available quantity|the number of available pieces]",
    ("How many pieces of {} are available?", "How much of {} is still available?"),
)
TURNOVER = Print("print(item.turnover)", "[its turnover|the item's turnover]")


def a_label(w: World) -> str:
    return f"{w.pick(*ADJECTIVES)} {w.pick(*w.pool.old['noun'])}".capitalize()


def enroll(w: World, item: Ref | None = None) -> Step:
    item = item or w.new_item()
    label, (unit, said) = w.quoted(a_label(w)), w.pick(*UNITS.items())
    code = label[1:-1]
    return Step(
        f'items.enroll(room, sku={item.code}, label="{code}", unit=Unit.{unit})',
        "item",
        (
            f"[add|register|enter] a new item {item} [labelled|with the label|called] {label}, {said}",
            f"add {label} to the catalogue [as|under the SKU] {item}, {said}",
            f"[create|set up] an item with SKU {item} and label {label}, {said}",
            f"[put|take] a new product into the catalogue: SKU {item}, label {label}, {said}",
            f"add the new product {label} [under|with] SKU {item}; it is {said}",
        ),
        (
            f"We [now stock|have started to carry] a new item, {label}, {said}; [add it|it needs adding] under SKU {item}.",
            f"[A new item|A new product] {item} has to be added, {said}, label {label}.",
            f"The catalogue lacks {label}: add it as a new item with SKU {item}, {said}.",
        ),
        (Print("print(item.sku)", "[its SKU|the new item's SKU]"), LABEL, ON_HAND),
    )


def peek(w: World, item: Ref | None = None) -> Step:
    item = item or w.item()
    return Step(
        f"items.peek(room, sku={item.code})",
        "item",
        (
            f"look up {item} and OUT",
            f"[check|look at] {item} in the catalogue and OUT",
            f"[find|fetch] the item record of {item} and OUT",
            f"[go to|open] the record of {item} and OUT",
            f"look {item} up in the catalogue, then OUT",
        ),
        prints=(LABEL, ON_HAND, AVAILABLE, FLOOR),
        reads=True,
        about=str(item),
    )


def relabel(w: World, item: Ref | None = None) -> Step:
    item = item or w.item()
    label = w.quoted(a_label(w))
    return Step(
        f'items.relabel(room, sku={item.code}, label="{label[1:-1]}")',
        "item",
        (
            f"rename {item} to {label}",
            f"change the label of {item} to {label}",
            f"give {item} the new label {label}",
            f"[set|correct] the label of {item} to {label}",
            f"relabel {item} as {label}",
        ),
        (
            f"The label of {item} is wrong, it should read {label}; change it.",
            f"From now on {item} goes by the name {label}, so rename it.",
            f"The label of {item} has to become {label}.",
        ),
        (LABEL, ON_HAND),
    )


def watermark(w: World, item: Ref | None = None) -> Step:
    item = item or w.item()
    floor = w.number(5, 90)
    return Step(
        f"items.watermark(room, sku={item.code}, floor={floor})",
        "item",
        (
            f"set the reorder level of {item} to {floor}",
            f"[change|put] the reorder level of {item} to {floor} pieces",
            f"give {item} a reorder level of {floor}",
            f"[use|enter] {floor} as the minimum stock of {item}",
            f"set the minimum stock of {item} to {floor} pieces",
        ),
        (
            f"The reorder level of {item} should be {floor} from now on.",
            f"We never want fewer than {floor} in stock of {item}, so set that reorder level.",
            f"Minimum stock of {item}: make it {floor}.",
        ),
        (FLOOR, ON_HAND),
    )


def grade(w: World, item: Ref | None = None) -> Step:
    item = item or w.item()
    turnover, said = w.pick(*TURNOVERS.items())
    return Step(
        f"items.grade(room, sku={item.code}, turnover=Turnover.{turnover})",
        "item",
        (
            f"mark {item} as {said}",
            f"classify {item} as {said}",
            f"[record|note] that {item} is {said}",
            f"[flag|file] {item} as {said}",
            f"change the turnover class of {item}: it is {said}",
        ),
        (
            f"Going by its sales, {item} should be classified as {said}.",
            f"Sales figures show that {item} is {said}, so mark it that way.",
            f"{item} ought to be marked as {said}.",
        ),
        (TURNOVER, LABEL),
    )


def retire(w: World, item: Ref | None = None) -> Step:
    item = item or w.item()
    return Step(
        f"items.retire(room, sku={item.code})",
        "item",
        (
            f"discontinue {item}",
            f"take {item} out of the active range",
            f"[discontinue|drop] {item} so that nobody can order it any more",
            f"[stop|end] all ordering of {item} by discontinuing it",
            f"remove {item} from our active range of items",
        ),
        (
            f"{item} should be discontinued.",
            f"We are not going to sell {item} any more, so discontinue it.",
            f"{item} must not be ordered any more: take it out of the active range.",
        ),
        (LABEL, ON_HAND),
    )


def forage(w: World) -> Step:
    word, limit = w.pick(*w.pool.old["noun"]), w.number(3, 30)
    quoted = w.quoted(word)
    most = w.pick(f"at most {limit} matches", f"up to {limit} of them", f"no more than {limit} items", f"limit {limit}")
    return Step(
        f'items.forage(room, text="{word}", limit={limit})',
        "found",
        (
            f"search the catalogue for items with {quoted} in the label, {most}, and OUT",
            f"find the items whose label contains {quoted} ({most}) and OUT",
            f"look for items with the word {quoted} in their label, {most}, and OUT",
            f"search item labels for {quoted}, {most}, then OUT",
            f"[list|get] the catalogue items whose label has {quoted} in it, {most}, and OUT",
        ),
        (f"Which items have the word {quoted} in their label? Search for {most} and OUT.",),
        (
            Print("for item in found:\n    print(item.sku)", "[the SKU of each|each one's SKU] on a line of its own"),
            Print(
                "for item in found:\n    print(item.label)", "[the label of each|each one's label] on a line of its own"
            ),
            Print("print(len(found))", "[how many were found|the number of matches]"),
        ),
        reads=True,
    )


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


def count(w: World, lines: int = 1) -> Step:
    """A count sheet with one or two tallies."""
    query = "SELECT sku, bin, zone FROM stock JOIN bins USING (bin) WHERE zone <> 'DOCK' ORDER BY sku, bin"
    mine = [row for row in w.rows(query) if row[0] in w.pool.old["sku"]]
    zone = w.pick(*sorted({row[2] for row in mine}))
    rows = w.rng.sample(sorted(row for row in mine if row[2] == zone), lines)
    found = [(sku, bin, w.number(4, 80)) for sku, bin, _ in rows]
    code = tuple(f'    sheet.tally(bin="{bin}", sku="{sku}", found={n})' for sku, bin, n in found)
    said = " and ".join(w.pick(f"{n} of {sku} in bin {bin}", f"{n} pieces of {sku} in {bin}") for sku, bin, n in found)
    w.used.update(sku for sku, _, _ in found)
    return Step(
        "",
        "sheet",
        (
            f"start a cycle count of zone {zone} and [write down|enter|record] {said}",
            f"[open|start] a count sheet for zone {zone} with {said}",
            f"[take|do] a stocktake of zone {zone} in which {said} were counted",
            f"[enter|record] a cycle count of zone {zone}: we found {said}",
            f"count zone {zone} on a new count sheet; found were {said}",
        ),
        (
            f"Zone {zone} was counted: {said}. Enter that on a new count sheet.",
            f"During the cycle count of zone {zone} we found {said}; record it on a count sheet.",
            f"A count sheet is needed for zone {zone}, where people found {said}.",
        ),
        (Print("print(sheet.id)", "[the id of the count sheet|the count sheet's id]"),),
        block=(f'with counts.sheet(room, zone="{zone}") as sheet:', *code),
    )


def sheet_id(w: World) -> Ref:
    return w.ref(w.fresh(w.ids("sheet", 500)), "count sheet {}")


def settle(w: World, sheet: Ref | None = None) -> Step:
    sheet = sheet or sheet_id(w)
    return Step(
        f"counts.settle(room, sheet_id={sheet.code})",
        "settled",
        (
            f"apply {sheet} to the stock",
            f"correct the stock to what was counted on {sheet}",
            f"[settle|apply] {sheet} so that the stock follows the count",
            f"correct the booked quantities by {sheet}",
            f"bring the booked stock in line with {sheet}",
        ),
        (
            f"{sheet} has been checked and should be applied to the stock.",
            f"The counted quantities of {sheet} are right, so correct the stock to them.",
            f"{sheet} is waiting to be applied to the booked quantities.",
        ),
        (Print("print(settled.corrected)", "[how many quantities it corrected|how many quantities were wrong]"),),
    )


def drift(w: World, sheet: Ref | None = None) -> Step:
    sheet = sheet or sheet_id(w)
    return Step(
        f"counts.drift(room, sheet_id={sheet.code})",
        "gaps",
        (
            f"list the differences of {sheet} and OUT",
            f"[look up|get] the gaps between {sheet} and the books and OUT",
            f"find out where {sheet} and the books disagree and OUT",
            f"[go through|check] the differences on {sheet} and OUT",
            f"compare {sheet} with the books and OUT",
        ),
        (f"Where do {sheet} and the books disagree? List the differences and OUT.",),
        (
            Print("for tally in gaps:\n    print(tally.sku)", "the SKU of each difference on a line of its own"),
            Print("for tally in gaps:\n    print(tally.gap)", "the gap of each difference, one a line"),
            Print("print(len(gaps))", "[how many differences there are|the number of differences]"),
        ),
        reads=True,
    )
