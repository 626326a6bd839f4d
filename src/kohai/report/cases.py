"""Ten tasks side by side: the code before and after, and what happened when each ran.

Chosen without looking at the code: a fixed mix of better, worse, right in both and wrong in both, in the order of a
digest of the task's id, so that a report of the same run always shows the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from kohai.records import Evaluation, Task
from kohai.report.tables import ByArm, answer

COUNT = 10
QUOTA = {"better": 4, "worse": 2, "both wrong": 2, "both failed": 2, "both right": 2, "both ran": 2}
COMPARISONS = (("sft", "rlaif"), ("sft", "rejection_sft"), ("sft", "best_of_n"), ("base", "sft"))


def choose(
    by_arm: ByArm, tasks: Mapping[str, Task], which: Sequence[tuple[str, str]] = COMPARISONS
) -> list[dict[str, Any]]:
    """At most ten cases of the first comparison whose two arms were evaluated; empty where there is none."""
    for before, after in which:
        if before in by_arm and after in by_arm:
            return _choose(by_arm, before, after, tasks)
    return []


def _choose(by_arm: ByArm, before: str, after: str, tasks: Mapping[str, Task]) -> list[dict[str, Any]]:
    sides = []
    for split, evaluations in by_arm[after].items():
        earlier = {evaluation.task_id: evaluation for evaluation in by_arm[before].get(split, [])}
        sides += [(earlier[new.task_id], new) for new in evaluations if new.task_id in earlier]
    sides.sort(key=lambda side: hashlib.sha256(side[0].task_id.encode()).digest())
    waiting: dict[str, list[tuple[Evaluation, Evaluation]]] = {change: [] for change in QUOTA}
    for side in sides:
        if all(one.execution.ran is not None for one in side):  # what the environment stopped tells nothing
            waiting[_change(*side)].append(side)
    chosen = [(change, side) for change, count in QUOTA.items() for side in waiting[change][:count]][:COUNT]
    rest = [(change, side) for change, count in QUOTA.items() for side in waiting[change][count:]]
    chosen += rest[: COUNT - len(chosen)]
    order = list(QUOTA)
    chosen.sort(key=lambda item: order.index(item[0]))
    return [
        {
            "task_id": old.task_id,
            "split": old.split,
            "change": change,
            "instruction": tasks[old.task_id].instruction if old.task_id in tasks else None,
            "reference": tasks[old.task_id].reference if old.task_id in tasks else None,
            "before": answer(old),
            "after": answer(new),
        }
        for change, (old, new) in chosen
    ]


def _change(before: Evaluation, after: Evaluation) -> str:
    old, new = _rank(before), _rank(after)
    if new != old:
        return "better" if new > old else "worse"
    if all(one.metrics.get("effect_match") is None for one in (before, after)):  # which effect is right, nobody knows
        return "both ran" if new else "both failed"
    return "both right" if new == 2 else "both wrong"


def _rank(evaluation: Evaluation) -> int:
    """2 = the right effect, 1 = it ran, 0 = it did not."""
    if evaluation.metrics.get("effect_match"):
        return 2
    return int(bool(evaluation.execution.ran))
