"""Requests about cycle counts: one function for each call."""

from __future__ import annotations

from task_builder.world import Print, Ref, Step, World


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
