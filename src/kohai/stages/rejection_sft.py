"""rejection_sft: the baseline beside RL. The best-judged completion of each sampled task becomes its reference, and the
SFT adapter is fine-tuned on those and on the demo references (rejection sampling, arXiv 2308.01825), on the same
feedback that the reward model learned from.

A task none of whose completions ended, ran and passes RL's gates teaches nothing and is left out, counted in the
report; so is one without a score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kohai.config import Config
from kohai.errors import TrainingError
from kohai.models.base import load_base
from kohai.models.rollouts import passes_gates
from kohai.models.tracking import Tracker
from kohai.models.tuning import answer_ids, tune
from kohai.records import Completion, Feedback, Task, Verdict
from kohai.verify.of_run import RunChecks
from kohai.workspace import Workspace


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    settings = {
        "rejection_sft": config.rejection_sft.model_dump(mode="json"),
        "gates": config.rl.gates,
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    inputs = [
        workspace.path("prepare", "prompts", "demo.jsonl"),
        workspace.path("prepare", "prompts", "practice.jsonl"),
        *(workspace.path("prepare", "tasks", f"{split}.jsonl") for split in ("demo", "practice")),
        workspace.path("prepare", "catalog.json"),
        workspace.path("sample", "completions.jsonl"),
        workspace.path("feedback", "feedback.jsonl"),
        workspace.path("sft", "adapter"),
    ]
    return settings, inputs


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Trains the adapter `rejection`, from the SFT adapter.

    Returns:
        Practice tasks learned from and left out, updates, loss.

    Raises:
        TrainingError: no completion has a score.
    """
    base = load_base(config.model)
    prompts = {p.task_id: p.text for p in workspace.prompts("demo", "practice")}
    completions = workspace.read_records(Completion, "sample/completions.jsonl")
    codes = {(c.task_id, c.index): c.code for c in completions if c.finished}
    feedback = workspace.read_records(Feedback, "feedback/feedback.jsonl")
    if all(item.score is None for item in feedback):
        raise TrainingError(
            "rejection_sft: no completion has a score, so none is the best; see the feedback stage's report for why, "
            "or leave the arm out of evaluate.arms"
        )
    checks = RunChecks.of(workspace)
    tasks = {task.id: task for task in workspace.read_records(Task, "prepare/tasks/practice.jsonl")}
    static = lambda item: checks.check(codes[item.task_id, item.index], tasks[item.task_id])  # noqa: E731
    ended = [item for item in feedback if (item.task_id, item.index) in codes]
    best = best_completions(passing(ended, static, config.rl.gates))
    learned = {task_id: codes[task_id, item.index] for task_id, item in best.items()}
    learned |= {t.id: t.reference or "" for t in workspace.read_records(Task, "prepare/tasks/demo.jsonl")}
    pairs = [(base.render(prompts[task_id]), answer_ids(base, code)) for task_id, code in learned.items()]
    with Tracker(workspace.path("rejection_sft"), f"{config.run.name}-rejection", config.report_to) as tracker:
        report = tune(
            base,
            pairs,
            workspace.path("rejection_sft", "adapter"),
            name="rejection",
            settings=config.rejection_sft,
            seed=config.seed,
            tracker=tracker,
            start=workspace.path("sft", "adapter"),
        )
    return report | {"tasks": len(best), "tasks_left_out": len({item.task_id for item in feedback}) - len(best)}


def passing(
    feedback: Sequence[Feedback], static: Callable[[Feedback], Sequence[Verdict]], gates: Sequence[str]
) -> list[Feedback]:
    """Those that ran and that no gate stops. The gates are asked of the `static` checks themselves, as in RL: a rubric
    may leave some out.
    """
    ran = [item for item in feedback if item.execution is not None and item.execution.ran]
    return [item for item in ran if passes_gates(static(item), gates)]


def best_completions(feedback: Sequence[Feedback]) -> dict[str, Feedback]:
    """Of each task the scored completion with the highest score; of equal ones the first."""
    best: dict[str, Feedback] = {}
    for item in feedback:
        if item.score is None:
            continue
        if item.task_id not in best or item.score > (best[item.task_id].score or 0.0):
            best[item.task_id] = item
    return best
