"""The rubric: which yes/no questions are asked of a completion, who answers each, and what a yes weighs.

Leaves out the answering (panel, endpoint) and the meaning of the static ids (kohai.verify).
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kohai.config import ANSWERERS, read_yaml
from kohai.errors import DataError
from kohai.verify import CRITERIA

EXECUTION_IDS = ("runs",)
_ID = re.compile(r"[a-z][a-z0-9_]*")
_KEYS = ("version", "criteria")
_CRITERION_KEYS = ("id", "question", "answerers", "weight", "hard", "evidence")


@dataclass(frozen=True, slots=True)
class Criterion:
    """One question; `answerers` are the kinds that may answer it, the most trusted first."""

    id: str
    question: str
    answerers: tuple[str, ...]
    weight: float = 1.0
    hard: bool = False  # a no makes the whole score 0
    evidence: str = ""  # what counts as evidence, for whoever answers


@dataclass(frozen=True, slots=True)
class Rubric:
    """All criteria, in the order of their file; `version` is the user's own number."""

    criteria: tuple[Criterion, ...]
    version: int = 1

    def asked_of(self, answerer: str) -> tuple[Criterion, ...]:
        """The criteria that an answerer (static, execution, llm or human) may answer."""
        return tuple(criterion for criterion in self.criteria if answerer in criterion.answerers)

    @property
    def gates(self) -> tuple[str, ...]:
        """Ids of the hard criteria."""
        return tuple(criterion.id for criterion in self.criteria if criterion.hard)

    @property
    def digest(self) -> str:
        """SHA-256 of everything in it: a manifest's proof of which rubric a score came from."""
        rows = [[c.id, c.question, c.evidence, list(c.answerers), c.weight, c.hard] for c in self.criteria]
        return hashlib.sha256(json.dumps([self.version, rows]).encode()).hexdigest()


def load_rubric(path: str | Path) -> Rubric:
    """The rubric of a YAML file.

    Raises:
        DataError: no such file, not YAML, or mistakes: all of them, one a line, each with its field.
    """
    path = Path(path)
    data = read_yaml(path, DataError, "a rubric")
    problems = list(_problems(data))
    if problems:
        raise DataError(f"{path}: {len(problems)} mistake(s)\n" + "\n".join(f"  {problem}" for problem in problems))
    return Rubric(tuple(_criterion(row) for row in data["criteria"]), data["version"])


def _criterion(row: dict[str, Any]) -> Criterion:
    return Criterion(
        id=row["id"],
        question=" ".join(row["question"].split()),
        answerers=tuple(row["answerers"]),
        weight=float(row.get("weight", 1.0)),
        hard=row.get("hard", False),
        evidence=" ".join(row.get("evidence", "").split()),
    )


def _problems(data: Any) -> Iterator[str]:
    if not isinstance(data, dict):
        yield f"expected `version` and `criteria`, found {type(data).__name__}"
        return
    yield from _unknown(data, _KEYS, "")
    version = data.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        yield f"version: expected a whole number from 1, found {version!r}"
    rows = data.get("criteria")
    if not isinstance(rows, list) or not rows:
        yield f"criteria: expected a list of at least one criterion, found {rows!r}"
        return
    seen: dict[str, int] = {}
    for number, row in enumerate(rows):
        where = f"criteria[{number}]"
        if not isinstance(row, dict):
            yield f"{where}: expected `id`, `question` and `answerers`, found {row!r}"
            continue
        yield from _criterion_problems(row, where)
        name = row.get("id")
        if isinstance(name, str) and seen.setdefault(name, number) != number:
            yield f"{where}.id: {name!r} is taken by criteria[{seen[name]}]; each id once"


def _criterion_problems(row: dict[Any, Any], where: str) -> Iterator[str]:
    yield from _unknown(row, _CRITERION_KEYS, where + ".")
    name = row.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        yield f"{where}.id: expected lower-case letters, digits and _, found {name!r}"
    question = row.get("question")
    if not isinstance(question, str) or not question.strip():
        yield f"{where}.question: expected a yes/no question, found {question!r}"
    weight = row.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not (math.isfinite(weight) and weight > 0):
        yield f"{where}.weight: expected a number above 0, found {weight!r}; to drop a criterion, delete its entry"
    hard = row.get("hard", False)
    if not isinstance(hard, bool):
        yield f"{where}.hard: expected true or false, found {hard!r}"
    evidence = row.get("evidence", "")
    if not isinstance(evidence, str):
        yield f"{where}.evidence: expected what counts as evidence, in words, found {evidence!r}"
    yield from _answerer_problems(row.get("answerers"), name, f"{where}.answerers")


def _answerer_problems(answerers: Any, name: Any, where: str) -> Iterator[str]:
    if not isinstance(answerers, list) or not answerers:
        yield f"{where}: expected a list of {', '.join(ANSWERERS)}, found {answerers!r}"
        return
    if len(set(map(str, answerers))) < len(answerers):
        yield f"{where}: {answerers!r} names an answerer twice"
    for answerer in answerers:
        if answerer not in ANSWERERS:
            yield f"{where}: {answerer!r} is not one of {', '.join(ANSWERERS)}"
        elif answerer == "static" and name not in CRITERIA:
            yield f"{where}: `static` knows no check for {name!r}; it answers {', '.join(CRITERIA)}"
        elif answerer == "execution" and name not in EXECUTION_IDS:
            yield f"{where}: `execution` cannot answer {name!r}; it answers {', '.join(EXECUTION_IDS)}"


def _unknown(row: dict[Any, Any], known: tuple[str, ...], prefix: str) -> Iterator[str]:
    for key in row:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            yield f"{prefix}{key}: unknown key; {hint}"
