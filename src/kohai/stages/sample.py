"""sample: n completions of each of a round's practice tasks, from the SFT model or the last round's policy.

Tasks none of whose completions passes RL's static gates may get more: `sample.n_more` are drawn of each, and those that
pass are kept, so that RL learns from what the model mostly fails, too (docs/log.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from kohai import progress
from kohai.code import extract_code
from kohai.config import Config
from kohai.errors import ConfigError
from kohai.models import adapters
from kohai.models.base import Base, load_base
from kohai.models.generate import Sampled, generate
from kohai.models.rollouts import passes_gates
from kohai.records import Completion, Prompt, Task
from kohai.verify.of_run import RunChecks
from kohai.workspace import Workspace


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    settings: dict[str, Any] = {
        "sample": config.sample.model_dump(mode="json"),
        "n_sampled": config.tasks.n_sampled,
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    if config.tasks.n_sampled is None:
        settings["rounds"] = config.rounds
    inputs = [workspace.path("prepare", "prompts", "practice.jsonl"), workspace.newest_policy]
    if config.sample.n_more:
        settings["gates"] = config.rl.gates
        inputs.append(workspace.path("prepare", "catalog.json"))
    return settings, inputs


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Writes the completions with their tokens and log-probabilities, which RL takes as its first rollouts.

    Returns:
        Counts; of the first n of each task the mean length and the share that ended by itself; and, of the tasks that
        got more, how many they are and how many of so many completions were kept.

    Raises:
        ConfigError: no practice task is left for this round.
    """
    base = load_base(config.model)
    model = adapters.load(base, base.model, "policy", workspace.newest_policy)
    prompts = prompts_of_round(config, workspace)
    settings = config.sample
    drawn_again: dict[str, int] = {}
    with adapters.merged(model, "policy") as plain:
        drawn = draw(config, workspace, base, plain, prompts, settings.n)
        first = [sampled for group in drawn for sampled in group]
        if settings.n_more:
            tasks = {task.id: task for task in workspace.read_records(Task, "prepare/tasks/practice.jsonl")}
            passing_of = partial(passing, base, RunChecks.of(workspace), config.rl.gates)
            lacking = [at for at, group in enumerate(drawn) if not passing_of(tasks[prompts[at].task_id], group)]
            more = draw(config, workspace, base, plain, [prompts[at] for at in lacking], settings.n_more, again=True)
            kept = [passing_of(tasks[prompts[at].task_id], group) for at, group in zip(lacking, more, strict=True)]
            for at, group in zip(lacking, kept, strict=True):
                drawn[at] += group
            drawn_again = {"tasks": len(lacking), "completions": sum(map(len, more)), "kept": sum(map(len, kept))}
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
    for memory in workspace.path("sample").glob("*batches.jsonl"):
        memory.unlink()
    return {
        "tasks": len(prompts),
        "completions": len(completions),
        "tokens_mean": round(sum(len(sampled.ids) for sampled in first) / len(first), 1),
        "finished_share": round(sum(sampled.finished for sampled in first) / len(first), 4),
    } | ({"again": drawn_again} if drawn_again else {})


def draw(
    config: Config, workspace: Workspace, base: Base, plain: Any, prompts: Sequence[Prompt], n: int, again: bool = False
) -> list[list[Sampled]]:
    """So many completions a prompt; `again`, by random streams of their own."""
    settings = config.sample
    label, stream, memory = (
        ("sample again", "again/", "again-batches.jsonl") if again else ("sample", "", "batches.jsonl")
    )
    with progress.bar(label, len(prompts), unit="tasks") as bar:
        return generate(
            base,
            plain,
            [base.render(p.text) for p in prompts],
            n=n,
            temperature=settings.temperature,
            max_new_tokens=settings.max_new_tokens,
            batch_tokens=settings.batch_tokens,
            seed=config.seed,
            keys=[stream + p.task_id for p in prompts],
            on_done=lambda done: bar.advance(done - bar.done),
            memory=workspace.path("sample", memory),
        )


def passing(base: Base, checks: RunChecks, gates: Sequence[str], task: Task, group: Sequence[Sampled]) -> list[Sampled]:
    """A task's completions that ended and that no static gate stops, each program once."""
    found: dict[str, Sampled] = {}
    for sampled in group:
        code = extract_code(base.decode(sampled.ids))
        if sampled.finished and passes_gates(checks.check(code, task), gates):
            found.setdefault(code, sampled)
    return list(found.values())


def prompts_of_round(config: Config, workspace: Workspace) -> list[Prompt]:
    """The prompts of the practice tasks that this round samples: each round takes the next ones, all of them together
    all tasks where `tasks.n_sampled` does not say how many.

    Raises:
        ConfigError: none would be left for the last round.
    """
    prompts, size, rounds = workspace.prompts("practice"), config.tasks.n_sampled, config.rounds
    if len(prompts) <= (size or 1) * (rounds - 1):
        raise ConfigError(
            f"rounds: {size or 1} practice task(s) a round leave none of {len(prompts)} for round {rounds}; "
            "raise tasks.n_practice, or lower tasks.n_sampled or rounds"
        )
    ends = [size * number if size else len(prompts) * number // rounds for number in range(rounds + 1)]
    return prompts[ends[workspace.round - 1] : ends[workspace.round]]
