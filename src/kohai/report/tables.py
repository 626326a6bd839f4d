"""From evaluations to the numbers of the table: shares with intervals, paired differences, failure kinds.

A metric that no evaluation carries, or that is unscored everywhere, is absent from the result: never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kohai import metrics
from kohai.metrics.comparisons import detectable_difference, holm, mcnemar
from kohai.records import Evaluation, Task

ARMS = ("base", "sft", "best_of_n", "rejection_sft", "dpo", "rl_execution", "rlaif", "rlaif_best_of_n")
METRICS = ("executability", "effect_match", "exact_api")
LIKENESS = (
    "api_name",
    "api_argument_names",
    "hallucinated_api",
    "gorilla_ast",
    "rouge_l",
    "codebleu",
)  # to the reference's text
PAIRS = (
    ("rlaif", "sft"),
    ("best_of_n", "sft"),
    ("rejection_sft", "sft"),
    ("dpo", "sft"),
    ("rl_execution", "sft"),
    ("rlaif", "best_of_n"),
    ("rlaif", "rejection_sft"),
    ("rlaif", "dpo"),
    ("rlaif", "rl_execution"),
    ("rlaif_best_of_n", "sft"),
    ("rlaif_best_of_n", "best_of_n"),
    ("sft", "base"),
)

ByArm = dict[str, dict[str, list[Evaluation]]]


def group(evaluations: Iterable[Evaluation]) -> ByArm:
    """Evaluations by arm and split; arms in the table's order."""
    found: ByArm = {}
    for evaluation in evaluations:
        found.setdefault(evaluation.arm, {}).setdefault(evaluation.split, []).append(evaluation)
    order = {arm: place for place, arm in enumerate(ARMS)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))


def describe(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """One arm on one split: `{metric: {value, low, high, n}, environment_share, bounds, kinds}`.

    Intervals are Wilson's for yes and no, the bootstrap's for shares.

    `environment_share` is the share of programs that nobody can judge because the machine, not the program, failed;
    `bounds` are the executability rates if all of those had failed, or had all run.
    """
    entry: dict[str, Any] = {}
    for metric in (*METRICS, *LIKENESS):
        values = [value for evaluation in evaluations if (value := evaluation.metrics.get(metric)) is not None]
        if values:
            interval = metrics.interval_of(values, 2000)
            entry[metric] = {"value": interval.value, "low": interval.low, "high": interval.high, "n": interval.n}
    if not evaluations:
        return entry
    ran = metrics.executability([evaluation.execution for evaluation in evaluations])
    entry["environment_share"] = ran.environment_share
    entry["bounds"] = list(ran.bounds)
    entry["kinds"] = dict(sorted(ran.kinds.items(), key=lambda item: (-item[1], item[0])))
    return entry


def pair(after: Sequence[Evaluation], before: Sequence[Evaluation], resamples: int, seed: int) -> dict[str, Any]:
    """`{metric: {difference, low, high, n}}` of `after` less `before`, over the tasks scored in both.

    Where a metric is yes or no, with `p` (McNemar's exact test) and `needed`, the smallest difference that so many
    tasks show four times of five where arms differ on as many of them as these; null where they show none.
    """
    earlier = {evaluation.task_id: evaluation for evaluation in before}
    entry: dict[str, Any] = {}
    for metric in (*METRICS, *LIKENESS):
        left, right = [], []
        for evaluation in after:
            other = earlier.get(evaluation.task_id)
            new = evaluation.metrics.get(metric)
            old = None if other is None else other.metrics.get(metric)
            if new is not None and old is not None:
                left.append(float(new))
                right.append(float(old))
        if left:
            found = metrics.paired_bootstrap(left, right, resamples=resamples, seed=seed)
            entry[metric] = {"difference": found.difference, "low": found.low, "high": found.high, "n": found.n}
        if left and metric in METRICS:
            test = mcnemar([bool(value) for value in left], [bool(value) for value in right])
            differ = (test.wins + test.losses) / len(left)
            entry[metric] |= {"p": test.p, "needed": detectable_difference(len(left), differ) if differ else None}
    return entry


def pairs(
    by_arm: ByArm, resamples: int, seed: int, which: Sequence[tuple[str, str]] | None = None, mark: str = "-"
) -> dict[str, Any]:
    """All pairs whose two arms were evaluated: `{"rlaif-sft": {split: {metric: ...}}}`.

    `which` by default: PAIRS, and ours against each arm that was made elsewhere.
    """
    if which is None:
        elsewhere = [arm for arm in by_arm if arm not in ARMS]
        which = [*PAIRS, *((ours, other) for other in elsewhere for ours in ("rlaif", "sft"))]
    found: dict[str, Any] = {}
    for after, before in which:
        for split, evaluations in by_arm.get(after, {}).items():
            others = by_arm.get(before, {}).get(split)
            if others and (entry := pair(evaluations, others, resamples, seed)):
                found.setdefault(f"{after}{mark}{before}", {})[split] = entry
    _correct(found)
    return found


def _correct(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Gives each difference that was tested `p_holm`: its p-value, corrected for all pairs of its split and metric."""
    for split in {split for by_split in found.values() for split in by_split}:
        for metric in METRICS:
            entries = {
                pair: by_split[split][metric] for pair, by_split in found.items() if metric in by_split.get(split, {})
            }
            for pair, p in holm({pair: entry["p"] for pair, entry in entries.items()}).items():
                entries[pair]["p_holm"] = p


def pooled(runs: Sequence[ByArm], seed: int) -> dict[str, Any]:
    """PAIRS over several runs that differ by their seed: `{"all runs: rlaif less all runs: sft": {split: ...}}`.

    As `pair`, over the tasks that each run answered; the interval is for new seeds and new tasks alike.
    """
    found: dict[str, Any] = {}
    for after, before in PAIRS:
        if all(after in by_arm and before in by_arm for by_arm in runs):
            for split in runs[0][after]:
                sides = [[_by_task(by_arm[arm].get(split, [])) for by_arm in runs] for arm in (after, before)]
                shared = sorted(set.intersection(*(set(answers) for side in sides for answers in side)))
                if entry := {m: gap for m in (*METRICS, *LIKENESS) if (gap := _pooled(sides, shared, m, seed))}:
                    found.setdefault(f"all runs: {after} less all runs: {before}", {})[split] = entry
    return found


def _by_task(evaluations: Sequence[Evaluation]) -> dict[str, Evaluation]:
    return {evaluation.task_id: evaluation for evaluation in evaluations}


def _pooled(sides: Sequence[Sequence[Mapping[str, Evaluation]]], tasks: Sequence[str], metric: str, seed: int) -> Any:
    after, before = ([[answers[task].metrics.get(metric) for task in tasks] for answers in side] for side in sides)
    if not tasks:
        return None
    found = metrics.pooled_difference(after, before, seed=seed)
    return {"difference": found.difference, "low": found.low, "high": found.high, "n": found.n} if found.n else None


def by_task(by_arm: ByArm, tasks: Mapping[str, Task]) -> dict[str, Any]:
    """`{split: {task id: {instruction, arms: {arm: {code, kind, blame, evidence, stdout, metrics}}}}}`."""
    found: dict[str, Any] = {}
    for arm, by_split in by_arm.items():
        for split, evaluations in by_split.items():
            for evaluation in evaluations:
                task = tasks.get(evaluation.task_id)
                entry: dict[str, Any] = {"instruction": task.instruction if task else None, "arms": {}}
                of_split = found.setdefault(split, {})
                of_split.setdefault(evaluation.task_id, entry)["arms"][arm] = answer(evaluation)
    return found


def answer(evaluation: Evaluation) -> dict[str, Any]:
    """One arm's answer to a task and what happened when it ran."""
    execution = evaluation.execution
    return {
        "arm": evaluation.arm,
        "code": evaluation.code,
        "kind": execution.kind,
        "blame": execution.blame,
        "evidence": execution.evidence,
        "stdout": execution.stdout,
        "metrics": dict(evaluation.metrics),
    }
