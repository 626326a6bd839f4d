"""dpo: a baseline beside RL. Direct preference optimisation (arXiv 2305.18290) of the SFT adapter, on the sampled pairs
that the reward model learned from; the bench's wrong programs are none of the policy's own, and are left out.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from kohai.config import Config
from kohai.errors import TrainingError
from kohai.models.base import load_base
from kohai.models.losses import direct_preference
from kohai.models.packing import Packed
from kohai.models.scoring import per_segment, token_scores
from kohai.models.tracking import Tracker
from kohai.models.tuning import Row, tune
from kohai.records import Preference
from kohai.workspace import Workspace


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    settings = {
        "dpo": config.dpo.model_dump(mode="json"),
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    inputs = [
        workspace.path("prepare", "prompts", "practice.jsonl"),
        workspace.path("sample", "tokens.json"),
        workspace.path("reward_model", "preferences.jsonl"),
        workspace.path("sft", "adapter"),
    ]
    return settings, inputs


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Trains the adapter `dpo`, from the SFT adapter.

    Returns:
        Updates, loss, pairs.

    Raises:
        TrainingError: no sampled completion is preferred to another.
    """
    base = load_base(config.model)
    prompts = {p.task_id: p.text for p in workspace.prompts("practice")}
    sampled = {(row["task_id"], row["index"]): row for row in workspace.read_json("sample/tokens.json")}
    rows = []
    for pair in workspace.read_records(Preference, "reward_model/preferences.jsonl"):
        if pair.source == "sampled":
            both = [sampled[pair.task_id, index] for index in (pair.chosen, pair.rejected)]
            # The SFT model sampled them, and is the reference.
            facts = [*(sum(row["logprobs"]) for row in both), pair.label]
            rows.append(Row(base.render(prompts[pair.task_id]), [row["ids"] for row in both], facts))
    if not rows:
        raise TrainingError("dpo: no sampled completion is preferred to another; leave the arm out of evaluate.arms")
    with Tracker(workspace.path("dpo"), f"{config.run.name}-dpo", config.report_to) as tracker:
        return tune(
            base,
            rows,
            workspace.path("dpo", "adapter"),
            name="dpo",
            settings=config.dpo,
            seed=config.seed,
            tracker=tracker,
            start=workspace.path("sft", "adapter"),
            loss=partial(loss, config.dpo.beta),
        )


def loss(beta: float, model: Any, packed: Packed, facts: torch.Tensor) -> torch.Tensor:
    """(R,): of R rows of a chosen and a rejected completion; facts: what the reference gives either, and the label."""
    chosen, rejected = per_segment(token_scores(model, packed).logprobs, packed).view(-1, 2).unbind(1)
    return direct_preference(chosen, rejected, facts[:, 0], facts[:, 1], beta, facts[:, 2])
