"""sample: n completions of each sampled practice task from the SFT model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kohai import progress
from kohai.code import extract_code
from kohai.config import Config
from kohai.models import adapters
from kohai.models.base import load_base
from kohai.models.generate import generate
from kohai.records import Completion, Prompt
from kohai.workspace import Workspace


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    settings = {
        "sample": config.sample.model_dump(mode="json"),
        "n_sampled": config.tasks.n_sampled,
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    return settings, [workspace.path("prepare", "prompts.jsonl"), workspace.path("sft", "adapter")]


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Writes the completions with their tokens and log-probabilities, which RL takes as its first rollouts.

    Returns:
        Counts, mean length, and the share that ended by itself.
    """
    base = load_base(config.model)
    model = adapters.load(base, base.model, "sft", workspace.path("sft", "adapter"))
    prompts = [p for p in workspace.read_records(Prompt, "prepare/prompts.jsonl") if p.split == "practice"]
    prompts = prompts[: config.tasks.n_sampled]
    settings = config.sample
    with progress.bar("sample", len(prompts), unit="tasks") as bar, adapters.merged(model, "sft") as plain:
        drawn = generate(
            base,
            plain,
            [base.render(p.text) for p in prompts],
            n=settings.n,
            temperature=settings.temperature,
            max_new_tokens=settings.max_new_tokens,
            batch_tokens=settings.batch_tokens,
            seed=config.seed,
            keys=[p.task_id for p in prompts],
            on_done=lambda done: bar.advance(done - bar.done),
        )
    completions, tokens = [], []
    for prompt, group in zip(prompts, drawn, strict=True):
        for index, sampled in enumerate(group):
            text = base.decode(sampled.ids)
            completions.append(
                Completion(
                    prompt.task_id,
                    index,
                    text,
                    extract_code(text),
                    len(sampled.ids),
                    sampled.finished,
                    sum(sampled.logprobs),
                )
            )
            tokens.append({"task_id": prompt.task_id, "index": index, "ids": sampled.ids, "logprobs": sampled.logprobs})
    workspace.write_json("sample/tokens.json", tokens)
    workspace.write_records("sample/completions.jsonl", completions)
    return {
        "tasks": len(prompts),
        "completions": len(completions),
        "tokens_mean": round(sum(c.n_tokens for c in completions) / len(completions), 1),
        "finished_share": round(sum(c.finished for c in completions) / len(completions), 4),
    }
