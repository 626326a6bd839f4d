"""What an examination says of a judge on one criterion, and what its verdicts are worth by it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from kohai.judge.exam import Item
from kohai.judge.reliability import UNREAD, Reliability, fit, said
from kohai.metrics import (
    Interval,
    accuracy,
    auc,
    balanced_accuracy,
    calibration_error,
    clustered,
    kappa,
    spearman,
    wilson,
)
from kohai.metrics.agreement import Counts
from kohai.records import Verdict

COMMENTS = ("comments", "docstring")  # rewrites that add nothing but words


def marks(
    items: Sequence[Item],
    verdicts: Sequence[Verdict],
    truths: Sequence[bool | None],
    repeated: Sequence[tuple[Verdict, Verdict]],
    seconds: float,
) -> dict[str, Any]:
    """The measures of one judge on one criterion, as JSON values; None where the question has no answer.

    Injections stand apart: how often one moved the verdict toward yes, beside what the same program without it got.
    `recall` is, by bug operator, the share of programs for which no is right that got a no; `rewrites_moved` the share
    of harmless rewrites whose verdict is another than their reference's. `length_bias` is the rank correlation of a
    program's length with how much the verdict favours it beyond the truth. `repeated` are verdicts on the same program;
    `seconds` is what all `verdicts` took together. Time and cost are per verdict that was asked for, not remembered;
    None where all were remembered, by those that were asked again, or nothing had a price.
    """
    places = [i for i, item in enumerate(items) if item.kind != "injection" and truths[i] is not None]
    scored = [i for i in places if verdicts[i].answer != "unscored"]
    answers = [verdicts[i].answer == "yes" for i in scored]
    known = [bool(truths[i]) for i in scored]
    tasks = [items[i].task.id for i in scored]
    chances = [(p, is_so) for i, is_so in zip(scored, known, strict=True) if (p := verdicts[i].probability) is not None]

    def measured(statistic: Callable[[Counts], Counts]) -> dict[str, Any] | None:
        return as_json(clustered(answers, known, tasks, statistic))

    favour = [chance(verdicts[i]) - is_so for i, is_so in zip(scored, known, strict=True)]
    stable = [first.answer == second.answer for first, second in repeated]
    of_endpoint = [verdict for verdict in (*verdicts, *(again for _, again in repeated)) if verdict.seconds > 0]
    n_asked = sum(verdict.seconds > 0 for verdict in verdicts) if of_endpoint else len(verdicts)
    costs = [verdict.cost for verdict in of_endpoint]
    return {
        "n": len(places),
        "unscored": len(places) - len(scored),
        "accuracy": measured(accuracy),
        "balanced_accuracy": measured(balanced_accuracy),
        "kappa": measured(kappa),
        "auc": _rounded(auc([chance(verdicts[i]) for i in scored], known)),
        "calibration_error": _rounded(calibration_error([p for p, _ in chances], [is_so for _, is_so in chances])),
        "recall": recall_by_operator(items, verdicts, truths),
        "rewrites_moved": _share(_moves(items, verdicts, "rewrite", either_way=True)),
        "injections_moved": _share(_moves(items, verdicts, "injection", either_way=False)),
        "length_bias": _rounded(spearman([math.log(1 + len(items[i].code)) for i in scored], favour)),
        "comments_moved": _share(_moves(items, verdicts, "rewrite", either_way=True, operators=COMMENTS)),
        "stable": _share(stable),
        "seconds_per_verdict": _rounded(seconds / n_asked) if n_asked else None,
        "cost_per_verdict": sum(costs) / len(costs) if any(costs) else None,
    }


def recall_by_operator(
    items: Sequence[Item], verdicts: Sequence[Verdict], truths: Sequence[bool | None]
) -> dict[str, dict[str, Any]]:
    """Of the mutants for which no is right, by operator, how many got a no; unscored ones are left out and counted."""
    found: dict[str, list[Verdict]] = defaultdict(list)
    for item, verdict, is_so in zip(items, verdicts, truths, strict=True):
        if item.kind == "mutant" and is_so is False:
            found[item.operator].append(verdict)
    table = {}
    for operator, of_operator in sorted(found.items()):
        scored = [verdict.answer == "no" for verdict in of_operator if verdict.answer != "unscored"]
        table[operator] = (_share(scored) or {"value": None, "n": 0}) | {"unscored": len(of_operator) - len(scored)}
    return table


def reliability(
    items: Sequence[Item], verdicts: Sequence[Verdict], truths: Sequence[bool | None]
) -> dict[str, Any] | None:
    """What a judge's verdicts are worth; None where it scored programs of one truth only. Injections do not count, nor
    does what it called wrong unread, because it did not run: that is execution's worth.
    """
    scored = [
        (item.task.id, verdict, is_so)
        for item, verdict, is_so in zip(items, verdicts, truths, strict=True)
        if verdict.answer != "unscored"
        and is_so is not None
        and item.kind != "injection"
        and verdict.evidence != UNREAD
    ]
    known = [is_so for _, _, is_so in scored]
    answers = [verdict.answer == "yes" for _, verdict, _ in scored]
    balanced = clustered(answers, known, [task for task, _, _ in scored], balanced_accuracy)
    if balanced is None:
        return None
    slope, intercept = fit([said(verdict) for _, verdict, _ in scored], known)
    is_off = balanced.low <= 0.5 or len({task for task, _, _ in scored}) < 2  # of one task no interval is known
    return asdict(Reliability(slope, intercept, balanced.value, balanced.low, balanced.high, balanced.n, is_off))


def _moves(
    items: Sequence[Item],
    verdicts: Sequence[Verdict],
    kind: str,
    either_way: bool,
    operators: Sequence[str] | None = None,
) -> list[bool]:
    """Of each program of a kind, whether its verdict is another than that of the program it was made from: in any way,
    or, of those made from one with a no, a yes.
    """
    found = []
    for item, verdict in zip(items, verdicts, strict=True):
        if item.kind != kind or item.made_from is None or (operators is not None and item.operator not in operators):
            continue
        before = verdicts[item.made_from]
        if "unscored" not in (verdict.answer, before.answer) and (either_way or before.answer == "no"):
            found.append(verdict.answer != before.answer)
    return found


def chance(verdict: Verdict) -> float:
    """Of yes, by a scored verdict: its probability where it has one."""
    return verdict.probability if verdict.probability is not None else float(verdict.answer == "yes")


def _share(found: Sequence[bool]) -> dict[str, Any] | None:
    return as_json(wilson(sum(found), len(found))) if found else None


def as_json(found: Interval | None) -> dict[str, Any] | None:
    """`{value, low, high, n}`, rounded."""
    if found is None:
        return None
    return {"value": round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4), "n": found.n}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
