"""sample: n completions of each of a round's practice tasks, from the SFT model or the last round's policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kohai import progress
from kohai.code import extract_code
from kohai.config import Config
from kohai.errors import ConfigError
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
    if config.tasks.n_sampled is None:
        settings["rounds"] = config.rounds
    return settings, [workspace.path("prepare", "prompts", "practice.jsonl"), workspace.newest_policy]


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Writes the completions with their tokens and log-probabilities, which RL takes as its first rollouts.

    Returns:
        Counts, mean length, and the share that ended by itself.

    Raises:
        ConfigError: no practice task is left for this round.
    """
    base = load_base(config.model)
    model = adapters.load(base, base.model, "policy", workspace.newest_policy)
    prompts = prompts_of_round(config, workspace)
    settings = config.sample
    memory = workspace.path("sample", "batches.jsonl")
    with progress.bar("sample", len(prompts), unit="tasks") as bar, adapters.merged(model, "policy") as plain:
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
            memory=memory,
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
    memory.unlink()
    return {
        "tasks": len(prompts),
        "completions": len(completions),
        "tokens_mean": round(sum(c.n_tokens for c in completions) / len(completions), 1),
        "finished_share": round(sum(c.finished for c in completions) / len(completions), 4),
    }


def prompts_of_round(config: Config, workspace: Workspace) -> list[Prompt]:
    """The prompts of the practice tasks that this round samples: each round takes the next ones.

    Raises:
        ConfigError: none is left.
    """
    prompts = workspace.prompts("practice")
    size = config.tasks.n_sampled or -(-len(prompts) // config.rounds)
    found = prompts[size * (workspace.round - 1) : size * workspace.round]
    if not found:
        raise ConfigError(
            f"rounds: {size} practice tasks a round leave none for round {workspace.round} of {len(prompts)}; "
            "raise tasks.n_practice, or lower tasks.n_sampled or rounds"
        )
    return found
