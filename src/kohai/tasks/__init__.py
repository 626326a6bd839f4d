"""Tasks: read from JSON Lines, made into prompts, given the files that their programs start from."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from kohai import code, records
from kohai.errors import DataError
from kohai.records import Task

_PLAIN_IMPORT = re.compile(r"from (\S+) import (\w+)$")

__all__ = ["build_prompt_text", "load_tasks", "make_fixture"]


def load_tasks(path: Path) -> list[Task]:
    """The tasks of a JSON Lines file, one a line.

    Raises:
        DataError: names file, line and field: not JSON, an unknown or missing field, a wrong type, an id used twice, an
            empty instruction, a reference that is not Python, a fixture that is not there.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check tasks.folder and the file names") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    tasks = records.read_lines(Task, lines, str(path))
    numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
    seen: dict[str, int] = {}
    for number, task in zip(numbers, tasks, strict=True):
        _check(task, f"{path}:{number}", path.parent, seen)
        seen[task.id] = number
    if not tasks:
        raise DataError(f"{path}: no task in it; expected one JSON object a line")
    return tasks


def build_prompt_text(instruction: str, docs: Sequence[str], system: str) -> str:
    """What the user says to the model: the standing order, the docs, the facts that they share, the instruction last.

    A doc's indented lines are its facts (imports, attributes, enum members): each is shown once, plain imports from the
    same module on one line.
    """
    heads: list[str] = []
    facts: dict[str, None] = {}
    for doc in filter(str.strip, docs):
        head, *rest = doc.strip().splitlines()
        heads.append(head.strip())
        facts.update(dict.fromkeys(line.strip() for line in rest))
    parts = [system.strip(), "\n".join(heads), "\n".join(_joined(list(facts))), instruction.strip()]
    return "\n\n".join(part for part in parts if part)


def _joined(facts: Sequence[str]) -> list[str]:
    """Facts, `from a import b` and `from a import c` made one line."""
    names: dict[str, list[str]] = {}
    for fact in facts:
        plain = _PLAIN_IMPORT.match(fact)
        names.setdefault(plain[1] if plain else fact, []).extend([plain[2]] if plain else [])
    return [f"from {module} import {', '.join(sorted(found))}" if found else module for module, found in names.items()]


def make_fixture(task_folder: Path, task: Task, into: Path, state: str | None) -> None:
    """Puts a task's fixture into the folder `into` (made if need be): what its program starts from.

    A `.sql` file becomes a SQLite database named `state`; any other file is copied under its name; a folder's content
    is copied, its `.sql` file (at most one) made into the database. No fixture: an empty folder.

    Raises:
        DataError: it is not there, leads out of the folder, its SQL fails, or there is no name for the database.
    """
    into.mkdir(parents=True, exist_ok=True)
    if task.fixture is None:
        return
    source = _fixture_path(task_folder, task)
    if source.is_file():
        _place(source, into, state, task)
        return
    scripts = sorted(source.glob("*.sql"))
    if len(scripts) > 1:
        raise DataError(f"{source}: {len(scripts)} .sql files; one makes the database, merge them")
    for item in sorted(source.iterdir()):
        if item.is_dir():
            shutil.copytree(item, into / item.name, dirs_exist_ok=True)
        else:
            _place(item, into, state, task)


def _check(task: Task, where: str, folder: Path, seen: dict[str, int]) -> None:
    if task.id in seen:
        raise DataError(f"{where}: field 'id': {task.id!r} is also the task of line {seen[task.id]}; ids are unique")
    if not task.id.strip():
        raise DataError(f"{where}: field 'id' is empty; give a unique one")
    if not task.instruction.strip():
        raise DataError(f"{where}: field 'instruction' is empty; say what the program is to do")
    if task.reference is not None and code.parse(task.reference) is None:
        raise DataError(f"{where}: field 'reference' is not Python; mend it or leave it out")
    if task.fixture is not None and not (folder / task.fixture).exists():
        raise DataError(f"{where}: field 'fixture': {folder / task.fixture} does not exist")


def _fixture_path(folder: Path, task: Task) -> Path:
    source = folder / (task.fixture or "")
    if not source.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"task {task.id}: fixture {task.fixture!r} leads out of {folder}; keep fixtures inside it")
    if not source.exists():
        raise DataError(f"task {task.id}: fixture {source} does not exist")
    return source


def _place(source: Path, into: Path, state: str | None, task: Task) -> None:
    if source.suffix != ".sql":
        shutil.copy2(source, into / source.name)
        return
    if state is None:
        raise DataError(f"task {task.id}: {source} is SQL, but tasks.state names no database; set it")
    database = into / state
    database.unlink(missing_ok=True)
    connection = sqlite3.connect(database)
    try:
        connection.executescript(source.read_text(encoding="utf-8"))
        connection.commit()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise DataError(f"{source}: its SQL fails: {error}") from None
    finally:
        connection.close()
