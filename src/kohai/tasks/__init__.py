"""Tasks: read from JSON Lines, made into prompts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from kohai import code, records
from kohai.errors import DataError
from kohai.records import Task
from kohai.tasks.demonstrations import Demonstrations

_PLAIN_IMPORT = re.compile(r"from (\S+) import (\w+)$")

__all__ = ["Demonstrations", "build_prompt_text", "load_tasks"]


def load_tasks(path: Path) -> list[Task]:
    """The tasks of a JSON Lines file, one a line.

    Raises:
        DataError: names file, line and field: not JSON, an unknown or missing field, a wrong type, an id used twice, an
            empty instruction, a reference that is not Python, a fixture that is not there or leads out of the folder.
    """
    lines = records.read_text(path, "check tasks.folder and the file names").split("\n")
    tasks = records.read_lines(Task, lines, str(path))
    numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
    seen: dict[str, int] = {}
    for number, task in zip(numbers, tasks, strict=True):
        _check(task, f"{path}:{number}", path.parent, seen)
        seen[task.id] = number
    if not tasks:
        raise DataError(f"{path}: no task in it; expected one JSON object a line")
    return tasks


def build_prompt_text(
    instruction: str,
    docs: Sequence[str],
    system: str,
    layout: Literal["docs_first", "gorilla"] = "docs_first",
    demonstrations: Sequence[Task] = (),
) -> str:
    """What the user says to the model: the standing order, the docs, the facts that they share, the demonstrations, of
    which the first comes last, and the instruction.

    A doc's indented lines are its facts (imports, attributes, enum members): each is shown once, plain imports from the
    same module on one line. Gorilla's layout has the instruction before the docs, and no demonstrations.
    """
    if layout == "gorilla":
        lines = [system.strip(), instruction.strip()]
        lines += [f"Use this API documentation for reference: {doc.strip()}" for doc in docs]
        return "\n".join(filter(None, lines))
    heads: list[str] = []
    facts: dict[str, None] = {}
    for doc in filter(str.strip, docs):
        head, *rest = doc.strip().splitlines()
        heads.append(head.strip())
        facts.update(dict.fromkeys(line.strip() for line in rest))
    shown = [f"Example: {one.instruction.strip()}\n\n{(one.reference or '').strip()}" for one in demonstrations[::-1]]
    parts = [system.strip(), "\n".join(heads), "\n".join(_joined(list(facts))), *shown, instruction.strip()]
    return "\n\n".join(part for part in parts if part)


def _joined(facts: Sequence[str]) -> list[str]:
    """Facts, `from a import b` and `from a import c` made one line."""
    names: dict[str, list[str]] = {}
    for fact in facts:
        plain = _PLAIN_IMPORT.match(fact)
        names.setdefault(plain[1] if plain else fact, []).extend([plain[2]] if plain else [])
    return [f"from {module} import {', '.join(sorted(found))}" if found else module for module, found in names.items()]


def _check(task: Task, where: str, folder: Path, seen: dict[str, int]) -> None:
    if task.id in seen:
        raise DataError(f"{where}: field 'id': {task.id!r} is also the task of line {seen[task.id]}; ids are unique")
    if not task.id.strip():
        raise DataError(f"{where}: field 'id' is empty; give a unique one")
    if not task.instruction.strip():
        raise DataError(f"{where}: field 'instruction' is empty; say what the program is to do")
    if task.reference is not None:
        tree = code.parse(task.reference)
        if tree is None or not code.strip_noise(task.reference):
            what = "is not Python" if tree is None else "has no code"
            raise DataError(f"{where}: field 'reference' {what}; mend it or leave it out")
    if task.fixture is not None:
        source = folder / task.fixture
        if not source.exists():
            raise DataError(f"{where}: field 'fixture': {source} does not exist")
        if not source.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{where}: field 'fixture': {task.fixture!r} leads out of {folder}; keep them inside")
