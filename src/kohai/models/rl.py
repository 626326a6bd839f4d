"""The loop of reinforcement learning on practice tasks, on one frozen base with four roles: PPO and its kin.

A step: n completions of a few tasks, scored (`rollouts.py`); then clipped policy updates with KL to the reference (the
SFT model), with or without a value head, and the likelihood of a few demo references beside (PPO-ptx). Formulas and
sources are in docs/algorithms.md; what stops it in `brakes.py`.

A killed run goes on from its last checkpoint and gives the same numbers.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from kohai import progress
from kohai.config import Config
from kohai.errors import TrainingError, UnscoredError
from kohai.judge.verifiers import verifiers
from kohai.models import adapters, distributed
from kohai.models.base import load_base
from kohai.models.brakes import best_step, first_alarm, look, out_of_bounds
from kohai.models.checkpoint import Checkpoint
from kohai.models.losses import KlController
from kohai.models.packing import pack, rows
from kohai.models.ppo import Rollout, ValueHead, row_loss
from kohai.models.reward import RewardModel, parts
from kohai.models.rollouts import Drawn, Trainer, collect
from kohai.models.scoring import token_scores
from kohai.models.tracking import Tracker
from kohai.models.tuning import answer_ids
from kohai.records import Completion, Feedback, Task
from kohai.sandbox import of_run
from kohai.verify.of_run import RunChecks
from kohai.workspace import Workspace

Part = Callable[[], tuple[torch.Tensor, dict[str, float]]]  # a part of an update's loss, and numbers for the curves


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of a stage that trains by this loop."""
    outcomes, fixtures = of_run.depends(config, workspace)
    settings = {
        "rl": config.rl.model_dump(mode="json", exclude={"server"}) | ({"server": True} if config.rl.server else {}),
        "sample": config.sample.model_dump(mode="json"),
        "outcomes": outcomes,
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    inputs = [
        *(workspace.path("prepare", "prompts", f"{split}.jsonl") for split in ("demo", "practice", "probe")),
        workspace.path("prepare", "catalog.json"),
        fixtures,
        *(workspace.path("prepare", "tasks", f"{split}.jsonl") for split in ("demo", "practice", "probe")),
        workspace.path("sft", "adapter"),
        workspace.path("sample", "tokens.json"),
        workspace.path("feedback", "feedback.jsonl"),
        workspace.path("reward_model", "scores.json"),
        *parts(workspace),
    ]
    if workspace.round > 1:
        inputs.append(workspace.newest_policy)
    return settings, inputs


def train(config: Config, workspace: Workspace, stage: str) -> dict[str, Any]:
    """Trains the adapter `policy`; all that it writes is in the stage's folder.

    Returns:
        Steps taken, and those that had something to learn from, the last step's numbers, the probe set before and with
        the weights that are saved, and what the alarm said, if it rang.

    Raises:
        TrainingError: a reward or a gradient is not a number.
        UnscoredError: the environment kept more completions from running than `feedback.max_unscored` allows.
    """
    trainer = start(config, workspace)
    settings = config.rl
    weights = adapters.parameters(trainer.model, "policy")
    optimizer = torch.optim.AdamW(
        [
            {"params": weights, "peak": settings.learning_rate},
            {"params": trainer.value_head.parameters(), "peak": settings.value_learning_rate},
        ],
        weight_decay=0.0,
    )
    control: dict[str, Any] = {
        "kl_coef": trainer.kl.coefficient, "completions": 0.0, "unscored": 0.0, "alarm": "", "best_step": 0,
        "learned": 0,
    }  # fmt: skip
    best = [weight.detach().clone() for weight in weights]  # by the probe set
    probes: dict[str, Any] = {}
    numbers: dict[str, float] = {}
    state = {
        "weights": weights,
        "best": best,
        "value_head": trainer.value_head,
        "optimizer": optimizer,
        "control": control,
        "probes": probes,
        "numbers": numbers,
    }
    checkpoint = Checkpoint(workspace.path(stage, "checkpoint.pt"))
    first = checkpoint.restore(state)
    distributed.union({})  # none of several is so late that the leader has removed it
    trainer.kl.coefficient = control["kl_coef"]
    control.setdefault("learned", first)  # a checkpoint of an older version has no count
    done, alarm = first, control["alarm"] or first_alarm(probes)
    leads = distributed.leads()
    with (
        Tracker(workspace.path(stage), f"{config.run.name}-{stage}", config.report_to if leads else ()) as tracker,
        progress.bar(stage, settings.steps, unit="steps") as bar,
    ):
        if first == 0 and settings.probe_every:
            probe(trainer, 0, probes)
        bar.advance(first)
        for step in range(first, settings.steps):
            if alarm and settings.alarm != "warn":
                break
            rollouts, collected = collect(trainer, step)
            for name in ("completions", "unscored"):
                control[name] += collected[name]
            numbers.clear()
            numbers |= collected | {"kl_coef": trainer.kl.coefficient}
            if rollouts:
                numbers |= update(trainer, rollouts, weights, optimizer, step)
                trainer.kl.update(numbers["kl"])
                control["learned"] += 1
            control["kl_coef"] = trainer.kl.coefficient
            if not alarm and (alarm := out_of_bounds(numbers, settings.watched, step + 1)):
                control["alarm"] = alarm
                progress.say(f"{stage}: {alarm}")
            if leads:
                tracker.log(step + 1, {name: round(value, 6) for name, value in numbers.items()})
            is_last = step + 1 == settings.steps
            if settings.probe_every and ((step + 1) % settings.probe_every == 0 or is_last):
                probe(trainer, step + 1, probes)
                if probes and not alarm and best_step(probes) == step + 1:
                    keep(weights, best)
                    control["best_step"] = step + 1
                if not alarm and (alarm := first_alarm(probes)):
                    progress.say(f"{stage}: {alarm}")
            if control["unscored"] > config.feedback.max_unscored * control["completions"]:
                raise UnscoredError(
                    f"{stage}: the environment kept {control['unscored']:.0f} of {control['completions']:.0f} "
                    f"completions from running, more than feedback.max_unscored = {config.feedback.max_unscored:g} "
                    "allows; look at `kohai doctor`, or leave `runs` out of rl.gates"
                )
            if leads and settings.keep_every and (step + 1) % settings.keep_every == 0:
                adapters.save(trainer.model, "policy", workspace.path(stage, "policies", f"step-{step + 1}"))
            if leads and ((step + 1) % settings.checkpoint_every == 0 or is_last):
                checkpoint.save(step + 1, state)
            done = step + 1
            bar.advance(note=f"reward {numbers.get('reward', math.nan):+.2f}, KL {numbers.get('kl', math.nan):.2f}")
    if done and not control["learned"]:
        progress.say(
            f"{stage}: none of its {done} steps had anything to learn from (no completion passes rl.gates, or their "
            "credit is nil): its policy is the one that it started from"
        )
    is_rolled_back = bool(alarm) and settings.alarm == "roll_back"
    if is_rolled_back:
        keep(best, weights)
    lines = [probes[key] for key in sorted(probes, key=int)]
    of_saved = [line for line in lines if line["step"] == (control["best_step"] if is_rolled_back else done)]
    if leads:
        if settings.keep_every and probes:
            last = [weight.detach().clone() for weight in weights]
            keep(best, weights)
            adapters.save(trainer.model, "policy", workspace.path(stage, "policies", "best"))
            keep(last, weights)
        adapters.save(trainer.model, "policy", workspace.path(stage, "policy"))
        workspace.write_text(f"{stage}/probe.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines))
        checkpoint.remove()
    return {
        "reward": settings.reward,
        "steps": done,
        "steps_learned_from": control["learned"],
        "completions": int(control["completions"]),
        "unscored": int(control["unscored"]),
        "last": numbers,
        "probe_first": lines[:1],
        "probe_saved": of_saved[-1:],
    } | ({"alarm": alarm, "alarm_answer": settings.alarm, "best_step": control["best_step"]} if alarm else {})


def start(config: Config, workspace: Workspace) -> Trainer:
    """Loads the base once, with its roles: policy (a copy of the SFT adapter, or the last round's policy), reference,
    reward model, value head.
    """
    base = load_base(config.model)
    model = adapters.load(base, base.model, "policy", workspace.newest_policy, trainable=True)
    model = adapters.load(base, model, "sft", workspace.path("sft", "adapter"))
    prompts = {p.task_id: p.text for p in workspace.prompts("demo", "practice", "probe")}
    tasks = {task.id: task for task in workspace.read_records(Task, "prepare/tasks/practice.jsonl")}
    checks = RunChecks.of(workspace)
    sampled: dict[str, Drawn] = {}
    for row in workspace.read_json("sample/tokens.json"):
        drawn = sampled.setdefault(row["task_id"], Drawn(row["task_id"], [], [], []))
        drawn.completions.append(row["ids"])
        drawn.logprobs.append(row["logprobs"])
        drawn.finished.append(row["ids"][-1] in base.stop_ids)
    scores: dict[str, list[float]] = workspace.read_json("reward_model/scores.json")
    codes = {(c.task_id, c.index): c.code for c in workspace.read_records(Completion, "sample/completions.jsonl")}
    judged = []
    for item in workspace.read_records(Feedback, "feedback/feedback.jsonl"):
        sampled[item.task_id].rewards = scores[item.task_id]
        if item.execution is not None:
            sampled[item.task_id].executions.append(item.execution)
        if config.rl.verifiers:  # the rubric may ask for other checks
            found = checks.check(codes[item.task_id, item.index], tasks[item.task_id])
            judged.append(replace(item, verdicts=tuple(found)))
    wanted = workspace.read_records(Task, "prepare/tasks/demo.jsonl") if config.rl.ptx_coef else []
    return Trainer(
        config=sharing(config),
        workspace=workspace,
        base=base,
        model=model,
        reward_model=RewardModel.load(base, model, workspace),
        value_head=ValueHead(base.model.get_output_embeddings().weight.shape[1], config.seed).to(base.device),
        kl=KlController(config.rl.kl_coef, config.rl.kl_target),
        prompts=prompts,
        tasks=tasks,
        checks=checks,
        sampled=list(sampled.values()) if config.rl.reuse_samples else [],
        seen={row["task_id"] for one in workspace.rounds for row in one.read_json("sample/tokens.json")},
        verifiers=verifiers(config.rl.verifiers, judged),
        references=[(base.render(prompts[t.id]), answer_ids(base, t.reference or "")) for t in wanted],
    )


def sharing(config: Config) -> Config:
    """With a sandbox as wide as this process's share of the machine, where the configuration does not say how wide."""
    sandbox = config.sandbox
    if sandbox.processes or sandbox.engine == "ray":
        return config
    return config.model_copy(update={"sandbox": sandbox.model_copy(update={"processes": distributed.threads()})})


def update(
    trainer: Trainer,
    rollouts: Sequence[Rollout],
    weights: Sequence[torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    step: int,
) -> dict[str, float]:
    """PPO's epochs over the step's rollouts; the numbers are those of the first epoch but for the KL, of the last."""
    settings = trainer.config.rl
    adapters.activate(trainer.model, "policy", trainable=True)
    numbers: dict[str, float] = {}
    n_minibatches = -(-len(rollouts) // settings.minibatch_tasks)
    n_completions = sum(len(r.completions) for r in rollouts)
    n_updates = settings.epochs * -(-settings.tasks_per_step // settings.minibatch_tasks)  # at most
    earlier = (trainer.workspace.round - 1) * settings.steps * n_updates  # rounds' updates: its references come next
    for epoch in range(settings.epochs):
        order = list(rollouts)
        random.Random(f"{trainer.config.seed}/{step}/{epoch}").shuffle(order)
        totals: dict[str, float] = {}
        for at in range(0, len(order), settings.minibatch_tasks):
            minibatch = order[at : at + settings.minibatch_tasks]
            n_tokens = sum(r.n_tokens for r in minibatch)
            done = step * n_updates + epoch * n_minibatches + at // settings.minibatch_tasks
            units: list[Part] = [
                partial(rollouts_loss, trainer, row, n_tokens) for row in rows_of(minibatch, settings.row_tokens)
            ]
            for unit in distributed.mine(units + references_losses(trainer, earlier + done)):
                loss, parts = unit()
                loss.backward()
                for name, value in parts.items():
                    totals[name] = totals.get(name, 0.0) + value / (n_completions if name == "kl" else n_minibatches)
            trained = [*weights, *trainer.value_head.parameters()]
            distributed.sum_gradients(trained)
            norm = torch.nn.utils.clip_grad_norm_(trained, settings.max_grad_norm)
            if not torch.isfinite(norm):
                raise TrainingError(
                    f"rl: the gradient is not a number at step {step + 1}; nothing of it was learned. "
                    "Lower rl.learning_rate and run again"
                )
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * schedule(done, settings.steps * n_updates)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if epoch == 0 and settings.epochs > 1:
            share_kept(rollouts, trainer.base.device)
        numbers = distributed.sum_numbers(totals) | {k: v for k, v in numbers.items() if k != "kl"}
    return numbers


def share_kept(rollouts: Sequence[Rollout], device: torch.device) -> None:
    """Gives each process what the others kept of the rows that they saw first: the next epoch deals them anew."""
    found = {i: {name: part.cpu() for name, part in one.kept.items()} for i, one in enumerate(rollouts) if one.kept}
    for i, kept in distributed.union(found).items():
        rollouts[i].kept = {name: part.to(device) for name, part in kept.items()}


def rows_of(rollouts: Sequence[Rollout], max_tokens: int) -> Iterator[list[Rollout]]:
    """Tasks in rows of at most so many tokens (or one task), the longest first."""
    groups = {id(one): (one.prompt, [*map(list, dict.fromkeys(map(tuple, one.completions)))]) for one in rollouts}
    size = lambda one: len(one.prompt) + sum(map(len, groups[id(one)][1]))  # noqa: E731
    order = sorted(rollouts, key=lambda one: -size(one))
    return ([order[i] for i in row] for row in rows([groups[id(one)] for one in order], max_tokens))


def rollouts_loss(trainer: Trainer, row: Sequence[Rollout], n_tokens: int) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of a few tasks of a minibatch of so many tokens, and numbers for the curves."""
    return row_loss(
        trainer.model,
        trainer.value_head,
        row,
        trainer.config.rl,
        trainer.kl.coefficient,
        sum(rollout.n_tokens for rollout in row) / n_tokens,
        trainer.base.device,
    )


def references_losses(trainer: Trainer, done: int) -> list[Part]:
    """Mean negative log-likelihood of an answer token of the next demo references, which come round in random order, by
    parts that add up to it; and those numbers, without `rl.ptx_coef`.
    """
    count, size = trainer.config.rl.ptx_tasks, len(trainer.references)
    chosen = []
    for place in range(done * count, (done + 1) * count if size else 0):
        order = list(range(size))
        random.Random(f"{trainer.config.seed}/references/{place // size}").shuffle(order)
        chosen.append(trainer.references[order[place % size]])
    groups = [(prompt, [answer]) for prompt, answer in chosen]
    n_tokens = sum(len(answer) for _, answer in chosen)

    def loss(row: Sequence[int]) -> tuple[torch.Tensor, dict[str, float]]:
        packed = pack([groups[i] for i in row], trainer.base.device)
        found = -token_scores(trainer.model, packed).logprobs.sum() / n_tokens
        return trainer.config.rl.ptx_coef * found, {"ptx_loss": float(found.detach())}

    return [partial(loss, row) for row in rows(groups, trainer.config.rl.row_tokens)]


def schedule(done: int, total: int) -> float:
    """Share of the peak learning rate after `done` of `total` updates: up over the first tenth, down to zero after.

    Adam's first updates have the full size whatever the gradient's; without the rise they are noise.
    """
    return min(1.0, (done + 1) / max(1.0, 0.1 * total)) * (1 - done / total)


def probe(trainer: Trainer, step: int, probes: dict[str, Any]) -> None:
    """Looks at the probe set, where there is one."""
    line = distributed.from_leader(lambda: look(trainer, step))
    if line is not None:
        probes[str(step)] = line
        if step == 0 and len(line["ran"]) < 5 and distributed.leads():
            progress.say("rl: with fewer than five probe tasks (tasks.n_probe) none are lost beyond chance: no alarm")


@torch.no_grad()
def keep(weights: Sequence[torch.Tensor], into: Sequence[torch.Tensor]) -> None:
    """Copies weights."""
    for target, weight in zip(into, weights, strict=True):
        target.copy_(weight)
