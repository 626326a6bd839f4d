"""rejection_sft: the baseline beside RL. The best-judged completion of each sampled task becomes its reference, and the
SFT adapter is fine-tuned on those (rejection sampling), on the same feedback that the reward model learned from.

A completion that ran to its end is preferred to any that did not, whatever their scores; a task none of whose
completions ran gives its best-judged one all the same, and is counted in the report. Completions without a score are
left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kohai.config import Config
from kohai.errors import TrainingError
from kohai.models.base import load_base
from kohai.models.tracking import Tracker
from kohai.models.tuning import answer_ids, tune
from kohai.records import Completion, Feedback, Prompt
from kohai.workspace import Workspace


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    settings = {
        "rejection_sft": config.rejection_sft.model_dump(mode="json"),
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    inputs = [
        workspace.path("prepare", "prompts.jsonl"),
        workspace.path("sample", "completions.jsonl"),
        workspace.path("feedback", "feedback.jsonl"),
        workspace.path("sft", "adapter"),
    ]
    return settings, inputs


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Trains the adapter `rejection`, from the SFT adapter.

    Returns:
        Tasks learned from, how many of those had no completion that ran, updates, loss.

    Raises:
        TrainingError: no completion has a score.
    """
    base = load_base(config.model)
    prompts = {p.task_id: p.text for p in workspace.read_records(Prompt, "prepare/prompts.jsonl")}
    codes = {(c.task_id, c.index): c.code for c in workspace.read_records(Completion, "sample/completions.jsonl")}
    best = best_completions(workspace.read_records(Feedback, "feedback/feedback.jsonl"))
    if not best:
        raise TrainingError(
            "rejection_sft: no completion has a score, so none is the best; see the feedback stage's report for why, "
            "or leave the arm out of evaluate.arms"
        )
    pairs = [
        (base.render(prompts[task_id]), answer_ids(base, codes[task_id, item.index])) for task_id, item in best.items()
    ]
    settings = config.rejection_sft
    with Tracker(workspace.path("rejection_sft"), f"{config.run.name}-rejection", config.report_to) as tracker:
        report = tune(
            base,
            pairs,
            workspace.path("rejection_sft", "adapter"),
            name="rejection",
            lora=settings.lora,
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            seed=config.seed,
            tracker=tracker,
            start_from=workspace.path("sft", "adapter"),
        )
    return report | {
        "tasks": len(best),
        "tasks_without_a_running_completion": sum(not ran(item) for item in best.values()),
    }


def best_completions(feedback: Sequence[Feedback]) -> dict[str, Feedback]:
    """Of each task the scored completion that ran, with the highest score; where none ran, the highest of all.

    Equal ones: the first. Tasks without a score are left out.
    """
    best: dict[str, Feedback] = {}
    for item in feedback:
        if item.score is not None and (item.task_id not in best or rank(item) > rank(best[item.task_id])):
            best[item.task_id] = item
    return best


def rank(item: Feedback) -> tuple[bool, float]:
    """What completions of a task are ordered by."""
    return ran(item), item.score or 0.0


def ran(item: Feedback) -> bool:
    """The completion's program ran to its end."""
    return item.execution is not None and item.execution.kind == "ok"
