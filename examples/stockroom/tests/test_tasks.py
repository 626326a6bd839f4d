"""The shipped task files keep the rules that make a comparison between splits fair."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from build_tasks import HERE
from task_builder.calls import calls_in, literal_calls, public_callables
from task_builder.corpus import normal
from task_builder.effects import database_from, run, scratch_folder, state_digest
from task_builder.pools import SPLITS, TASKS
from task_builder.unseen import UNSEEN

FOLDER = HERE / "tasks"


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def splits() -> dict[str, list[dict[str, Any]]]:
    """Every split with references and effects, practice's joined in."""
    found = {name: read(name) for name in SPLITS}
    hidden = {row["id"]: row for row in read("practice.references")}
    found["practice"] = [row | hidden[row["id"]] for row in found["practice"]]
    return found


def test_sizes_and_ids(splits: dict[str, list[dict[str, Any]]]) -> None:
    """Every split has its size, and no id occurs twice."""
    assert {name: len(rows) for name, rows in splits.items()} == TASKS
    ids = [row["id"] for rows in splits.values() for row in rows]
    assert len(ids) == len(set(ids))


def test_practice_carries_no_answers() -> None:
    """practice.jsonl shows neither references nor effects."""
    assert all(set(row) == {"id", "instruction", "apis", "fixture"} for row in read("practice"))


def test_no_instruction_occurs_twice(splits: dict[str, list[dict[str, Any]]]) -> None:
    """Casefolded and with single spaces, each instruction is the only one of its kind in all splits."""
    texts = [normal(row["instruction"]) for rows in splits.values() for row in rows]
    assert len(texts) == len(set(texts))


def test_no_call_with_literals_is_shared(splits: dict[str, list[dict[str, Any]]]) -> None:
    """No (call, arguments) pair with a literal in it occurs in two splits."""
    owner: dict[str, str] = {}
    for name, rows in splits.items():
        for row in rows:
            for call in literal_calls(row["reference"]):
                assert owner.setdefault(call, name) == name, f"{row['id']} shares {call}"


def test_unseen_callables(splits: dict[str, list[dict[str, Any]]]) -> None:
    """Each task of test_unseen needs a callable that no other split has."""
    assert all(set(row["apis"]) & set(UNSEEN) for row in splits["test_unseen"])
    seen = {api for name, rows in splits.items() if name != "test_unseen" for row in rows for api in row["apis"]}
    assert not seen & set(UNSEEN)
    assert seen | set(UNSEEN) == set(public_callables())


def test_apis_are_what_the_reference_calls(splits: dict[str, list[dict[str, Any]]]) -> None:
    """The list is read from the reference's syntax tree."""
    for rows in splits.values():
        for row in rows:
            assert row["apis"] == sorted({dotted for dotted, _ in calls_in(row["reference"])}), row["id"]


def test_instructions_carry_every_literal(splits: dict[str, list[dict[str, Any]]]) -> None:
    """Each string and number of a reference stands in its instruction; an e-mail address counts as one string."""
    for rows in splits.values():
        for row in rows:
            constants = [node.value for node in ast.walk(ast.parse(row["reference"])) if isinstance(node, ast.Constant)]
            missing = [value for value in constants if str(value) not in row["instruction"]]
            assert not missing, f"{row['id']} does not say {missing}"


def test_references_are_short(splits: dict[str, list[dict[str, Any]]]) -> None:
    """Two to twelve lines that aren't blank."""
    for rows in splits.values():
        for row in rows:
            assert 2 <= sum(bool(line.strip()) for line in row["reference"].splitlines()) <= 12, row["id"]


def test_effects(splits: dict[str, list[dict[str, Any]]]) -> None:
    """No effect is empty, and 60 references of all splits give theirs again when run."""
    with scratch_folder() as folder:
        databases, untouched = {}, {}
        for path in sorted((FOLDER / "fixtures").glob("*.sql")):
            databases[f"fixtures/{path.name}"] = data = database_from(path.read_text(encoding="utf-8"))
            (folder / "stockroom.db").write_bytes(data)
            untouched[f"fixtures/{path.name}"] = state_digest("stockroom.db")
        for rows in splits.values():
            for row in rows:
                assert row["effect"]["stdout"] or row["effect"]["state"] != untouched[row["fixture"]], row["id"]
            for row in rows[:: len(rows) // 12]:
                assert run(row["reference"], databases[row["fixture"]]) == row["effect"], row["id"]


@pytest.mark.slow
def test_files_are_what_the_builder_writes() -> None:
    """Bit for bit, from the seed alone."""
    command = [sys.executable, str(Path(HERE) / "build_tasks.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
