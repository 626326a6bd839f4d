"""Makes every split: draws scenarios in turn, words them, runs the references, keeps what is new and does something."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from task_builder.calls import calls_in, literal_calls
from task_builder.conditions import CONDITIONS
from task_builder.effects import database_from, run, scratch_folder, state_digest
from task_builder.loops import LOOPS
from task_builder.phrasing import body, instruct, program
from task_builder.pools import SPLITS, TASKS, make_pools
from task_builder.scenarios import ONE, THREE, TWO, Scenario, show
from task_builder.seeds import FIXTURES, dump, make_fixture
from task_builder.unseen import FLOWS_UNSEEN, ONE_UNSEEN, TWO_UNSEEN
from task_builder.world import Step, World

Task = dict[str, object]
ENUMS = {
    **{"Unit": "items", "Turnover": "items", "Terms": "suppliers", "Fault": "suppliers", "Urgency": "orders"},
    **{"Verdict": "receipts", "Purpose": "moves", "Cause": "moves", "Speed": "shipments", "Role": "users"},
}
# Up to which percentage tasks are one request, two requests, and more than two or a loop or a condition.
MIX = (("one", 45), ("two", 80), ("many", 100))
LONGEST_INSTRUCTION, LONGEST_REFERENCE = 85, 150


def flow(make: Callable[[World], Step]) -> Scenario:
    return lambda w: [show(w, make(w))]


def scenarios_of(split: str) -> dict[str, dict[str, Scenario]]:
    """The split's scenarios by kind."""
    if split == "test_unseen":
        many = {name: flow(make) for name, make in FLOWS_UNSEEN.items()}
        return {"one": ONE_UNSEEN, "two": TWO_UNSEEN, "many": many}
    flows = {name: flow(make) for name, make in {**LOOPS, **CONDITIONS}.items()}
    return {"one": ONE, "two": TWO, "many": {**THREE, **flows}}


def turns(rng: random.Random, names: list[str]) -> Iterator[str]:
    """The names in endless rounds, each round in another order."""
    while True:
        rng.shuffle(names)
        yield from names


def pieces(text: str) -> int:
    """About how many tokens a language model needs: words, digits and signs."""
    return len(re.findall(r"[A-Za-z]{1,7}|\d|[^\sA-Za-z\d]", text))


def normal(text: str) -> str:
    return " ".join(text.casefold().split())


class Corpus:
    """All tasks of a seed, with what has to stay unique over the splits."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.pools = make_pools(seed)
        self.fixtures = {name: make_fixture(seed, name, self.pools) for name in FIXTURES}
        self.dumps = {name: dump(db) for name, db in self.fixtures.items()}
        self.databases = {name: database_from(text) for name, text in self.dumps.items()}
        self.untouched: dict[str, str] = {}
        self.instructions: set[str] = set()

    def candidate(self, rng: random.Random, split: str, make: Scenario) -> Task | None:
        """One task, or None if it is a duplicate, too long or without an effect."""
        fixture = rng.choice(FIXTURES)
        world = World(rng, self.fixtures[fixture], self.pools[split])
        segments = make(world)
        instruction = instruct(rng, segments)
        reference = program(body(segments), ENUMS)
        lines = [line for line in reference.splitlines() if line]
        if normal(instruction) in self.instructions or pieces(instruction) > LONGEST_INSTRUCTION:
            return None
        if len(lines) > 12 or pieces(reference) > LONGEST_REFERENCE:
            return None
        try:
            effect = run(reference, self.databases[fixture])
        except Exception as error:
            raise RuntimeError(f"a reference of {split} raised {error!r}:\n{instruction}\n{reference}") from error
        if not effect["stdout"] and effect["state"] == self.untouched[fixture]:
            return None
        self.instructions.add(normal(instruction))
        return {
            "instruction": instruction,
            "reference": reference,
            "apis": sorted({dotted for dotted, _ in calls_in(reference)}),
            "fixture": f"fixtures/{fixture}.sql",
            "effect": effect,
        }

    def split(self, name: str) -> list[Task]:
        """The split's tasks, shuffled and numbered."""
        rng = random.Random(f"{self.seed}/{name}")
        tasks: list[Task] = []
        for kind, percent in MIX:
            scenarios = scenarios_of(name)[kind]
            wanted = TASKS[name] * percent // 100
            for scenario in turns(rng, sorted(scenarios)):
                if len(tasks) == wanted:
                    break
                for _ in range(20):
                    task = self.candidate(rng, name, scenarios[scenario])
                    if task:
                        tasks.append(task)
                        break
        rng.shuffle(tasks)
        return [{"id": f"{name}-{number:04d}", **task} for number, task in enumerate(tasks, 1)]

    def make(self) -> dict[str, list[Task]]:
        """Every split, checked against the rules that bind them."""
        with scratch_folder():
            for name, database in self.databases.items():
                Path("stockroom.db").write_bytes(database)
                self.untouched[name] = state_digest("stockroom.db")
            splits = {name: self.split(name) for name in SPLITS}
        check_apart(splits)
        return splits


def check_apart(splits: dict[str, list[Task]]) -> None:
    """Raise ValueError if two splits share a call with literal arguments."""
    owner: dict[str, str] = {}
    for name, tasks in splits.items():
        for task in tasks:
            for call in literal_calls(str(task["reference"])):
                if owner.setdefault(call, name) != name:
                    raise ValueError(f"{owner[call]} and {name} ({task['id']}) share {call}")


def write(splits: dict[str, list[Task]], dumps: dict[str, str], folder: Path) -> None:
    """The task files and the fixtures; practice's references and effects go into a file of their own."""

    def save(name: str, rows: list[Task]) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")

    (folder / "fixtures").mkdir(parents=True, exist_ok=True)
    for name, text in dumps.items():
        (folder / "fixtures" / f"{name}.sql").write_text(text, encoding="utf-8")
    for name, rows in splits.items():
        if name == "practice":
            save("practice.references", [{key: row[key] for key in ("id", "reference", "effect")} for row in rows])
            rows = [{key: row[key] for key in ("id", "instruction", "apis", "fixture")} for row in rows]
        save(name, rows)


def summary(splits: dict[str, list[Task]]) -> str:
    """Counts for people: tasks and mean lengths by split, tasks by callable and split."""
    lines = []
    for name, rows in splits.items():
        told = sum(pieces(str(row["instruction"])) for row in rows) / len(rows)
        coded = sum(pieces(str(row["reference"])) for row in rows) / len(rows)
        lines.append(f"{name:12} {len(rows):4} tasks, instruction {told:.0f} pieces, reference {coded:.0f} pieces")
    counts = {name: Counter(api for row in rows for api in row["apis"]) for name, rows in splits.items()}  # type: ignore[attr-defined]
    lines.append(f"{'':36}" + "".join(f"{name:>13}" for name in splits))
    for api in sorted(set().union(*counts.values())):
        lines.append(f"{api:36}" + "".join(f"{counts[name][api]:13}" for name in splits))
    return "\n".join(lines)
