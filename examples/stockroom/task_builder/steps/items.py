"""Requests about items: one function for each call."""

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
            f"change the turnover class of {item} to that of {said}",
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
