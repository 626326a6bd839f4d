"""The seeded databases: each holds every split's old values, with other numbers in each database."""

from __future__ import annotations

import random
import sqlite3
from datetime import date, timedelta

from stockroom.room import SCHEMA
from task_builder.pools import ADJECTIVES, SPLITS, TRADES, Pool, code_of

FIXTURES = ("amber", "birch", "cobalt", "dune", "ember", "fjord")
FIRST_ID = {"order": 1000, "receipt": 3000, "sheet": 500, "shipment": 7000}


def make_fixture(seed: int, name: str, pools: dict[str, Pool]) -> sqlite3.Connection:
    """One seeded database, in memory."""
    db = sqlite3.connect(":memory:")
    db.executescript(SCHEMA)
    rng = random.Random(f"{seed}/{name}")
    today = date(2031, 3, 3) + timedelta(days=rng.randrange(300))
    db.execute("UPDATE meta SET value = ? WHERE key = 'today'", (today.isoformat(),))
    for split in SPLITS:
        labels = random.Random(f"{seed}/labels/{split}")
        seed_masters(db, rng, labels, pools[split])
        seed_orders(db, rng, today, pools[split])
        seed_documents(db, rng, pools[split])
    db.commit()
    return db


def dump(db: sqlite3.Connection) -> str:
    """The database as SQL text, one statement a line and stable."""
    return "\n".join(db.iterdump()) + "\n"


def bins_of(pool: Pool) -> list[str]:
    """The split's bins: five in each of its zones."""
    return [f"{zone}-{number:02d}" for zone in pool.old["zone"] for number in (3, 8, 14, 21, 27)]


def seed_masters(db: sqlite3.Connection, rng: random.Random, labels: random.Random, pool: Pool) -> None:
    """Bins, suppliers, items with stock and offers, users."""
    bins = bins_of(pool)
    db.executemany("INSERT INTO bins VALUES (?, ?)", [(each, each.split("-")[0]) for each in bins])
    for firm in pool.old["firm"]:
        row = (code_of(firm), f"{firm.title()} {labels.choice(TRADES)}")
        terms = rng.choice(["upfront", "monthly", "delivery"])
        db.execute("INSERT INTO suppliers VALUES (?, ?, ?, ?, NULL)", (*row, terms, rng.randrange(3, 25)))
    codes = [code_of(firm) for firm in pool.old["firm"]]
    for number, sku in enumerate(pool.old["sku"]):
        label = f"{labels.choice(ADJECTIVES)} {pool.old['noun'][number % len(pool.old['noun'])]}".capitalize()
        low = number % 6 == 5
        floor = rng.randrange(90, 160) if low else rng.choice([0, 10, 15, 20, 25, 30])
        unit, turnover = rng.choice(["each", "carton", "pallet"]), rng.choice(["fast", "steady", "slow"])
        db.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, 1)", (sku, label, unit, floor, turnover))
        for bin in rng.sample(bins, rng.choice([1, 2, 2, 3])):
            db.execute("INSERT INTO stock VALUES (?, ?, ?)", (sku, bin, rng.randrange(18, 30 if low else 120)))
        if not low:
            db.execute("INSERT INTO stock VALUES (?, 'DOCK', ?)", (sku, rng.randrange(30, 90)))
        for code in rng.sample(codes, min(len(codes), rng.choice([1, 2, 3]))):
            db.execute("INSERT INTO offers VALUES (?, ?, ?)", (code, sku, rng.randrange(120, 4000)))
    for login in pool.old["login"]:
        zone = rng.choice([None, *pool.old["zone"]])
        user = (login, f"{login}@stock.example", rng.choice(["picker", "clerk", "foreman"]), zone)
        db.execute("INSERT INTO users VALUES (?, ?, ?, ?, 1)", user)


def seed_orders(db: sqlite3.Connection, rng: random.Random, today: date, pool: Pool) -> None:
    """Purchase orders with lines, and the receipts of some of them."""
    receipts = list(pool.ids["receipt"])
    codes = [code_of(firm) for firm in pool.old["firm"]]
    for number, order in enumerate(pool.ids["order"]):
        order_id = FIRST_ID["order"] + order
        due = (today + timedelta(days=rng.randrange(-60, 30))).isoformat()
        status = "placed" if number % 6 else rng.choice(["placed", "scrapped"])
        urgency = rng.choice(["normal", "normal", "rush", "critical"])
        code = rng.choice(codes)
        db.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", (order_id, code, status, urgency, due))
        for sku in rng.sample(pool.old["sku"], rng.choice([1, 2, 3])):
            quantity, received = rng.randrange(40, 150), 0
            db.execute("INSERT OR IGNORE INTO offers VALUES (?, ?, ?)", (code, sku, rng.randrange(120, 4000)))
            if receipts and status == "placed" and rng.random() < 0.6:
                received = rng.randrange(5, 30)
                row = (FIRST_ID["receipt"] + receipts.pop(), order_id, sku, received)
                db.execute("INSERT INTO receipts VALUES (?, ?, ?, ?, 0, 'unseen')", row)
                upsert = "INSERT INTO stock VALUES (?, 'DOCK', ?) ON CONFLICT DO UPDATE SET quantity = quantity + excluded.quantity"
                db.execute(upsert, (sku, received))
            db.execute("INSERT INTO order_lines VALUES (?, ?, ?, ?)", (order_id, sku, quantity, received))


def seed_documents(db: sqlite3.Connection, rng: random.Random, pool: Pool) -> None:
    """Reservations, count sheets and shipments."""
    plenty = [sku for number, sku in enumerate(pool.old["sku"]) if number % 6 != 5]
    for hold in pool.ids["hold"]:
        row = (f"H-{hold:04d}", rng.choice(plenty), rng.randrange(2, 7), rng.choice(["customer", "repair", "exhibit"]))
        db.execute("INSERT INTO holds VALUES (?, ?, ?, ?, 1)", row)
    for sheet in pool.ids["sheet"]:
        zone = rng.choice(pool.old["zone"])
        db.execute("INSERT INTO sheets VALUES (?, ?, 'closed')", (FIRST_ID["sheet"] + sheet, zone))
        query = "SELECT bin, sku, quantity FROM stock JOIN bins USING (bin) WHERE zone = ? ORDER BY bin, sku"
        there = db.execute(query, (zone,)).fetchall()
        for bin, sku, quantity in rng.sample(there, min(len(there), 3)):
            found = max(0, quantity + rng.choice([-4, -2, -1, 0, 1, 3]))
            db.execute(
                "INSERT INTO tallies VALUES (?, ?, ?, ?, ?)", (FIRST_ID["sheet"] + sheet, bin, sku, found, quantity)
            )
    for number, shipment in enumerate(pool.ids["shipment"]):
        shipment_id = FIRST_ID["shipment"] + shipment
        status = "departed" if number % 5 == 4 else "open"
        head = (shipment_id, rng.choice(pool.old["town"]), rng.choice(["express", "road", "freight"]), status)
        db.execute("INSERT INTO shipments VALUES (?, ?, ?, ?)", head)
        for sku in rng.sample(plenty, rng.choice([1, 2, 3])):
            db.execute("INSERT INTO shipment_lines VALUES (?, ?, ?)", (shipment_id, sku, rng.randrange(2, 40)))
