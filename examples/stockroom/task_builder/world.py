"""What a task is made from: one split's values in one seeded database, and the pieces a program is put together of."""

from __future__ import annotations

import random
import re
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from task_builder.pools import Pool, code_of
from task_builder.seeds import bins_of


def spin(rng: random.Random, text: str) -> str:
    """The text with every [one|or|other] replaced by one of its choices."""
    while found := re.search(r"\[([^\[\]]*)\]", text):
        text = text[: found.start()] + rng.choice(found[1].split("|")) + text[found.end() :]
    return text


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class Ref:
    """A thing a program talks about: its key in code, its name in words, its value in the database."""

    code: str
    said: str
    value: Any

    def __str__(self) -> str:
        return self.said


@dataclass(frozen=True)
class Print:
    """Something to print: the code lines, ways to name it after "print", and questions that ask for it."""

    code: str
    nouns: str
    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One request: a call (or a block of lines), requests in the infinitive, sentences in other registers.

    A step that only reads writes OUT where its requests ask for the printed thing, and must be printed; about is
    what its questions ask about.
    """

    call: str
    var: str
    asks: tuple[str, ...]
    says: tuple[str, ...] = ()
    prints: tuple[Print, ...] = ()
    reads: bool = False
    block: tuple[str, ...] = ()
    about: str = ""


@dataclass
class World:
    """One split's values in one seeded database."""

    rng: random.Random
    db: sqlite3.Connection
    pool: Pool
    used: set[str] = field(default_factory=set)

    def fresh(self, values: list[Any]) -> Any:
        """One of the values that this task has not used yet."""
        left = [each for each in values if str(each) not in self.used] or values
        value = self.rng.choice(left)
        self.used.add(str(value))
        return value

    def rows(self, query: str, *values: Any) -> list[Any]:
        """The rows of a query that belong to this split's slice; one-column rows as bare values."""
        found = self.db.execute(query, values).fetchall()
        return [each[0] if len(each) == 1 else each for each in found]

    def number(self, low: int, high: int) -> int:
        """One of the split's own numbers in the range; the nearest one if there is none."""
        own = [each for each in range(low, high + 1) if self.pool.owns(each)]
        near = [each for each in (*range(low - 1, 0, -1), *range(high + 1, high + 41)) if self.pool.owns(each)]
        number: int = self.rng.choice(own or near[:1])
        return number

    def pick(self, *choices: Any) -> Any:
        return self.rng.choice(choices)

    def quoted(self, text: str) -> str:
        return self.rng.choice([f'"{text}"', f"'{text}'", f'"{text}"'])

    def ref(self, value: Any, *ways: str) -> Ref:
        """A reference by literal, named one of the ways ({} is the value)."""
        code = f'"{value}"' if isinstance(value, str) else str(value)
        return Ref(code, self.pick(*ways).format(value), value)

    def item(self, plenty: bool = False) -> Ref:
        """An item in the database; one with much stock if plenty."""
        skus = self.pool.old["sku"]
        if plenty:
            skus = [sku for number, sku in enumerate(skus) if number % 6 != 5]
        return self.ref(self.fresh(skus), "{}", "{}", "item {}", "SKU {}")

    def new_item(self) -> Ref:
        return self.ref(self.fresh(self.pool.new["sku"]), "{}")

    def supplier(self, ordered: bool = False) -> Ref:
        """A supplier in the database; one that has placed orders if ordered."""
        codes = [code_of(firm) for firm in self.pool.old["firm"]]
        if ordered:
            busy = set(self.rows("SELECT supplier FROM orders WHERE status = 'placed'"))
            codes = [code for code in codes if code in busy]
        return self.ref(self.fresh(codes), "{}", "supplier {}", "{}", "the supplier {}")

    def user(self) -> Ref:
        return self.ref(self.fresh(self.pool.old["login"]), "user {}", "the user {}", "user {}", "the login {}")

    def zone(self) -> Ref:
        return self.ref(self.fresh(self.pool.old["zone"]), "zone {}")

    def bin(self) -> Ref:
        return self.ref(self.fresh(bins_of(self.pool)), "bin {}", "{}")

    def town(self) -> Ref:
        return self.ref(self.fresh(self.pool.old["town"]), "{}")

    def ids(self, kind: str, first: int) -> list[int]:
        return [first + each for each in self.pool.ids[kind]]

    def order(self, line: bool = False) -> tuple[Ref, str, int]:
        """A placed order with one of its lines (SKU, outstanding quantity of at least 20)."""
        marks = ",".join(str(each) for each in self.ids("order", 1000))
        query = (
            f"SELECT id, sku, quantity - received FROM orders JOIN order_lines ON order_id = id WHERE id IN ({marks}) "
            "AND status = 'placed' AND quantity - received >= 41 ORDER BY id, sku"
        )
        order_id, sku, left = self.rng.choice(self.rows(query))
        self.used.add(sku)
        return self.ref(order_id, "purchase order {}", "order {}", "PO {}"), sku, left

    def later(self, ref: Ref, *ways: str) -> Ref:
        """The same thing named again, by a pronoun or a description."""
        return Ref(ref.code, self.pick(*ways), ref.value)

    def result(self, code: str, *ways: str, value: Any = None) -> Ref:
        """A value that an earlier call returns."""
        return Ref(code, self.pick(*ways), value)

    def open_shipment(self) -> Ref:
        marks = ",".join(str(each) for each in self.ids("shipment", 7000))
        found = self.rows(f"SELECT id FROM shipments WHERE id IN ({marks}) AND status = 'open' ORDER BY id")
        return self.ref(self.fresh(found), "shipment {}")
