"""sft: fine-tune the base on the demo references, loss on the completion only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kohai.config import Config
from kohai.models.base import load_base
from kohai.models.tracking import Tracker
from kohai.models.tuning import answer_ids, tune
from kohai.records import Task
from kohai.workspace import Workspace


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    settings = {
        "sft": config.sft.model_dump(mode="json"),
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    inputs = [workspace.path("prepare", kind, "demo.jsonl") for kind in ("prompts", "tasks")]
    if config.sft.start_from is not None:
        inputs.append(config.sft.start_from)
    return settings, inputs


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Trains the adapter `sft`.

    Returns:
        Updates, the loss at the end, trained tokens, dtype and device.
    """
    base = load_base(config.model)
    prompts = {p.task_id: p.text for p in workspace.prompts("demo")}
    tasks = workspace.read_records(Task, "prepare/tasks/demo.jsonl")
    pairs = [(base.render(prompts[task.id]), answer_ids(base, task.reference or "")) for task in tasks]
    with Tracker(workspace.path("sft"), f"{config.run.name}-sft", config.report_to) as tracker:
        report = tune(
            base,
            pairs,
            workspace.path("sft", "adapter"),
            name="sft",
            settings=config.sft,
            seed=config.seed,
            tracker=tracker,
            start=config.sft.start_from or config.sft.lora,
        )
    return report | {"dtype": str(base.dtype).removeprefix("torch."), "device": str(base.device)}
