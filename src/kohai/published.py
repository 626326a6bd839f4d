"""APIBench's published files as the task files of a run: who learns from what, and what nobody learns from.

    write_tasks(Path("data/apibench"), Path("data/apibench/tasks"), image="hub")

A part's published training file, where it is there, is learned from and its evaluation file is tested on; else the one
file is dealt. `test_unseen` holds the tasks whose api occurs in no other split, `test` others; a split that no task is
left for has no file. A reference that fails by its own fault teaches nothing: its task becomes one of practice, and so
does a demo task without Python code.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from kohai import code, progress
from kohai.config import SandboxConfig
from kohai.errors import DataError
from kohai.records import Execution, Task
from kohai.sandbox import Program, Sandbox
from kohai.tasks import apibench
from kohai.tasks.apibench_files import DOCS
from kohai.workspace import Workspace

Item = TypeVar("Item")
FILES: dict[apibench.Part, tuple[str, tuple[str, ...]]] = {  # by part: training, evaluation (the first that is there)
    "huggingface": ("huggingface_train.json", ("huggingface_eval.json", "huggingface_eval_dev.jsonl")),
    "torchhub": ("torchhub_train.json", ("torchhub_eval.json",)),
    "tensorhub": ("tensorflow_train.json", ("tensorflow_eval.json",)),
}
LEARNED = {"demo": 0.7, "practice": 0.3}
DEALT = {"demo": 0.5, "practice": 0.2, "dev": 0.12, "test": 0.18}  # of what is left of one file without `test_unseen`
TESTED = {"dev": 0.25, "test": 0.75}
UNSEEN = 0.15


def write_tasks(
    folder: Path, target: Path, part: apibench.Part = "huggingface", image: str | None = None, seed: int = 0
) -> dict[str, Any]:
    """Writes `target/{demo,practice,dev,test,test_unseen}.jsonl`, for `tasks.folder` of a configuration.

    Args:
        folder: The published files.
        target: Where the task files go.
        part: One of `FILES`.
        image: Where to run the demo references, and the docs' example code, which is learned from too where it runs;
            None = nothing is run, and no example is taken.
        seed: Of the dealing.

    Returns:
        Tasks by split; how many are doubtful and why; the kinds of what was run.

    Raises:
        DataError: a file is not there, or is not APIBench's.
    """
    training, evaluation = FILES[part]
    found = [folder / name for name in evaluation if (folder / name).is_file()]
    docs_file = folder / DOCS[part]
    if not found or not docs_file.is_file():
        raise DataError(f"{folder}: expected {' or '.join(evaluation)} and {DOCS[part]}; `--download` fetches them")
    tested = own_tasks(found[0])
    learned = own_tasks(folder / training) if (folder / training).is_file() else []
    splits = deal(learned, tested, seed)
    docs = apibench.read_docs(docs_file)[0]
    report: dict[str, Any] = {"files": [path.name for path in (folder / training, found[0]) if path.is_file()]}
    if image is not None:
        config = SandboxConfig(image=image, catalogue=docs_file, offer_inputs=True, cold_share=0.0)
        held_out = {api for task in splits["test_unseen"] for api in task.apis}
        examples = [task for task in example_tasks(docs) if not held_out & set(task.apis)]
        report["kinds"] = keep_what_runs(splits, examples, config)
    splits["demo"], unusable = parted(splits["demo"], lambda task: task.reference is not None)
    splits["practice"] += unusable
    files = Workspace(target)
    for name, tasks in splits.items():
        if tasks:
            files.write_records(f"{name}.jsonl", tasks)
        else:
            files.path(f"{name}.jsonl").unlink(missing_ok=True)
    known = {apibench.api_id(doc.api_call) for doc in docs}
    everything = [task for tasks in splits.values() for task in tasks]
    return report | {
        "tasks": {name: len(tasks) for name, tasks in splits.items()},
        "without_reference": sum(task.reference is None for task in everything),
        "without_docs": sum(task.apis[0] not in known for task in everything),
    }


def own_tasks(path: Path) -> list[Task]:
    """A published file's tasks as Kohai's own, named by file and row; a reference only where it is a Python program."""
    tasks = []
    for task in apibench.read_tasks(path)[0]:
        text = task.code or ""
        reference = text if code.parse(text) is not None and code.strip_noise(text) else None
        tasks.append(Task(f"{path.stem}/{task.row}", task.instruction, (apibench.api_id(task.api_call),), reference))
    return tasks


def example_tasks(docs: Sequence[apibench.ApiDoc]) -> list[Task]:
    """The docs' example code that is Python and more than a word, each with its row's description as instruction."""
    tasks: dict[str, Task] = {}
    for doc in docs:
        tree = code.parse(doc.example_code)
        if tree is not None and len(tree.body) > 1 and code.strip_noise(doc.example_code) and doc.description:
            name = f"docs/{doc.row}"
            tasks.setdefault(
                doc.example_code, Task(name, doc.description, (apibench.api_id(doc.api_call),), doc.example_code)
            )
    return list(tasks.values())


def deal(learned: Sequence[Task], tested: Sequence[Task], seed: int) -> dict[str, list[Task]]:
    """The splits; tasks with equal instructions are in one of them, and an api of `test_unseen` in no other."""
    if learned:
        apis = {api for task in learned for api in task.apis}
        asked = {plain(task.instruction) for task in learned}
        tested = [task for task in tested if plain(task.instruction) not in asked]
        seen, unseen = parted(tested, lambda task: bool(apis & set(task.apis)))
        splits = dealt(learned, LEARNED, seed, instruction_of) | dealt(seen, TESTED, seed, instruction_of)
        return splits | {"test_unseen": unseen}
    by_api = dealt(tested, {"seen": 1 - UNSEEN, "test_unseen": UNSEEN}, seed, lambda task: task.apis[0])
    asked = {plain(task.instruction) for task in by_api["test_unseen"]}
    seen = [task for task in by_api["seen"] if plain(task.instruction) not in asked]
    return dealt(seen, DEALT, seed, instruction_of) | {"test_unseen": by_api["test_unseen"]}


def dealt(
    items: Sequence[Item], shares: Mapping[str, float], seed: int, key: Callable[[Item], str]
) -> dict[str, list[Item]]:
    """Items into sets of about the given shares; those of one key stay together, wherever they stand.

    Groups go in the order of their seeded digests, each to the set in whose stretch its middle lies: which set an item
    is in does not hang on the items' order.
    """
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    bounds = list(zip(shares, accumulate(shares.values()), strict=True))
    sets: dict[str, list[Item]] = {name: [] for name in shares}
    done = 0
    for name in sorted(groups, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest()):
        middle = (done + len(groups[name]) / 2) / len(items)
        sets[next((into for into, bound in bounds if middle < bound), bounds[-1][0])] += groups[name]
        done += len(groups[name])
    return sets


def keep_what_runs(splits: dict[str, list[Task]], examples: Sequence[Task], config: SandboxConfig) -> dict[str, Any]:
    """Runs what is to be learned from: a demo reference at fault itself goes, an example stays only where it ran.

    Returns:
        Outcomes by kind, of the demo references and of the examples.
    """
    demo = [task for task in splits["demo"] if task.reference is not None]
    programs = [Program(task.reference or "") for task in (*demo, *examples)]
    with Sandbox(config) as sandbox, progress.bar("execute", len(programs), unit="programs") as bar:
        outcomes = sandbox.execute(programs, lambda done: bar.advance(done - bar.done))
    of_demo, of_examples = outcomes[: len(demo)], outcomes[len(demo) :]
    failed = {task.id for task, outcome in zip(demo, of_demo, strict=True) if outcome.ran is False}
    splits["demo"] = [replace(task, reference=None) if task.id in failed else task for task in splits["demo"]]
    splits["demo"] += [task for task, outcome in zip(examples, of_examples, strict=True) if outcome.ran]
    return {"demo": kinds(of_demo), "examples": kinds(of_examples)}


def kinds(outcomes: Sequence[Execution]) -> dict[str, int]:
    """How many of each kind, the commonest first."""
    return dict(Counter(outcome.kind for outcome in outcomes).most_common())


def parted(items: Sequence[Item], is_first: Callable[[Item], bool]) -> tuple[list[Item], list[Item]]:
    """Those that are, and those that are not."""
    return [item for item in items if is_first(item)], [item for item in items if not is_first(item)]


def instruction_of(task: Task) -> str:
    """What two tasks that ask the same share."""
    return plain(task.instruction)


def plain(instruction: str) -> str:
    """An instruction without case and spaces that do not matter."""
    return " ".join(instruction.casefold().split())


def as_text(report: Mapping[str, Any]) -> str:
    """The report as lines to read."""
    lines = [", ".join(f"{name} {count}" for name, count in report["tasks"].items())]
    lines.append(
        f"{report['without_reference']} without a reference that is Python and, where it was run, not at fault"
    )
    lines.append(f"{report['without_docs']} whose api no row of the docs has")
    for what, counts in report.get("kinds", {}).items():
        lines.append(f"{what} run: " + ", ".join(f"{kind} {count}" for kind, count in counts.items()))
    return "\n".join(lines)
