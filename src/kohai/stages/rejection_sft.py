"""rejection_sft: the baseline beside RL. The best-judged completion of each sampled task becomes its reference, and the
SFT adapter is fine-tuned on those (rejection sampling), on the same feedback that the reward model learned from.
"""

from __future__ import annotations

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
        Tasks that had a completion which ran, updates, loss.

    Raises:
        TrainingError: no task has one.
    """
    base = load_base(config.model)
    prompts = {p.task_id: p.text for p in workspace.read_records(Prompt, "prepare/prompts.jsonl")}
    codes = {(c.task_id, c.index): c.code for c in workspace.read_records(Completion, "sample/completions.jsonl")}
    best: dict[str, Feedback] = {}
    feedback = workspace.read_records(Feedback, "feedback/feedback.jsonl")
    for item in feedback:
        ran = item.execution is not None and item.execution.kind == "ok"
        if (
            ran
            and item.score is not None
            and item.score > (best[item.task_id].score or 0.0 if item.task_id in best else -1.0)
        ):
            best[item.task_id] = item
    if not best:
        raise TrainingError(
            "rejection_sft: no completion of any task ran to its end; train SFT longer, or leave the arm "
            "out of evaluate.arms"
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
        "tasks_without_a_running_completion": len({f.task_id for f in feedback}) - len(best),
    }
