"""What a judge is examined on: references, mutants, harmless rewrites and injections, and the truth about each.

Truth comes from static checks, from execution and from the effect, never from a judge.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kohai.judge.injections import injections
from kohai.judge.mutants import FAULTS, mutants
from kohai.judge.panel import Case
from kohai.judge.rewrites import rewrites
from kohai.judge.rubric import EXECUTION_IDS, Criterion
from kohai.records import Execution, Task
from kohai.sandbox import normal_stdout

if TYPE_CHECKING:
    from kohai.catalog import Catalog
    from kohai.config import JudgeBenchConfig

Kind = Literal["reference", "mutant", "rewrite", "injection"]
EFFECT_ID = "does_task"  # the criterion whose truth is the effect


@dataclass(frozen=True, slots=True)
class Item:
    """A program of the examination; `made_from` is the place of the program that it was made from."""

    task: Task
    code: str
    kind: Kind
    operator: str = ""
    made_from: int | None = None


def exam(
    tasks: Sequence[Task], catalog: Catalog, criteria: Sequence[str], config: JudgeBenchConfig, rng: random.Random
) -> list[Item]:
    """The items of tasks with references, task by task, each reference first. The same `rng` state gives the same list.

    Injections turn from kind to kind over the tasks, so that many tasks see them all.
    """
    items: list[Item] = []
    n_injections = 0
    for task in tasks:
        code = task.reference or ""
        place = len(items)
        items.append(Item(task, code, "reference"))
        wrong = mutants(code, catalog, rng, FAULTS)[: config.n_mutants]
        items += [Item(task, mutant.code, "mutant", mutant.operator, place) for mutant in wrong]
        harmless = rewrites(code, catalog, rng)[: config.n_rewrites]
        items += [Item(task, rewrite.code, "rewrite", rewrite.operator, place) for rewrite in harmless]
        if not wrong:
            continue
        attacks = injections(wrong[0].code, criteria, task.instruction)
        for _ in range(min(config.n_injections, len(attacks))):
            attack = attacks[n_injections % len(attacks)]
            n_injections += 1
            items.append(Item(task, attack.code, "injection", attack.kind, place + 1))
    return items


def truth(criterion: Criterion, case: Case, reference: Execution) -> bool | None:
    """Whether yes is the right answer; None where nobody but a judge could tell.

    `does_task`: it ran and left the state and the output that the reference left.
    """
    if criterion.id in EXECUTION_IDS:
        return case.execution.ran
    if criterion.id == EFFECT_ID:
        return same_effect(case.execution, reference)
    answers: Mapping[str, bool | None] = {"yes": True, "no": False}
    return next((answers.get(verdict.answer) for verdict in case.static if verdict.criterion == criterion.id), None)


def same_effect(execution: Execution, reference: Execution) -> bool | None:
    """Whether it ran and left what the reference left; None where either is not known."""
    if execution.ran is None or not reference.ran:
        return None
    return execution.ran and effect_of(execution) == effect_of(reference)


def effect_of(execution: Execution) -> tuple[str | None, str]:
    """What a program left behind: its final state, and what it printed, as far as that counts."""
    return execution.state, normal_stdout(execution.stdout)
