"""The loop of reinforcement learning on practice tasks, on one frozen base with four roles: PPO and its kin.

A step: n completions of a few tasks (rollouts); static checks and execution gate them, the reward model scores them,
and a score becomes what it is worth beside the others of its task; then clipped policy updates with KL to the reference
(the SFT model), with or without a value head, and the likelihood of a few demo references beside (PPO-ptx); formulas
and sources in docs/algorithms.md. The sample stage's completions were drawn from the very policy that RL starts from,
so they are the first rollouts, at no cost. What the final metric knows (the effect match) is never read here.

A killed run goes on from its last checkpoint and gives the same numbers: rollouts depend on seed, step and task alone.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from kohai import progress
from kohai.code import extract_code
from kohai.config import Config
from kohai.errors import TrainingError, UnscoredError
from kohai.judge import answer_runs
from kohai.metrics import effect_match, executability, wilson
from kohai.models import adapters, rollout_server
from kohai.models.base import Base, load_base
from kohai.models.checkpoint import Checkpoint
from kohai.models.generate import generate
from kohai.models.losses import KlController, leave_one_out, standardised, win_rates
from kohai.models.packing import pack
from kohai.models.ppo import Rollout, ValueHead, row_loss
from kohai.models.reward import RewardHead, findings_of, load_head, score_programs
from kohai.models.scoring import token_scores
from kohai.models.tracking import Tracker
from kohai.models.tuning import Pair, answer_ids
from kohai.records import Execution, Feedback, Prompt, Task, Verdict
from kohai.sandbox.of_run import execute
from kohai.verify.of_run import RunChecks
from kohai.workspace import Workspace

EARNED = {"gae": win_rates, "win_rate": win_rates, "rloo": leave_one_out, "grpo": standardised}
WITHOUT_SIGNAL = 1e-6  # scores of a group that are all this small say nothing


@dataclass
class Drawn:
    """What was sampled for one task, before it is scored."""

    task_id: str
    completions: list[list[int]]
    logprobs: list[list[float]]
    finished: list[bool]
    rewards: list[float] | None = None  # the reward model's, where its own stage scored them already
    executions: list[Execution] = field(default_factory=list)  # where the feedback stage ran them already

    def only(self, places: Sequence[int]) -> Drawn:
        """Some of its completions, without what is known of them."""
        completions, logprobs = [self.completions[i] for i in places], [self.logprobs[i] for i in places]
        return Drawn(self.task_id, completions, logprobs, [self.finished[i] for i in places])


@dataclass
class Trainer:
    """All that a step needs."""

    config: Config
    workspace: Workspace
    base: Base
    model: Any
    reward_head: RewardHead
    value_head: ValueHead
    kl: KlController
    prompts: Mapping[str, str]
    tasks: Mapping[str, Task]
    checks: RunChecks
    sampled: Sequence[Drawn]
    references: Sequence[Pair] = ()  # prompt and answer of the demo tasks, where rl.ptx_coef is not 0


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of a stage that trains by this loop."""
    settings = {
        "rl": config.rl.model_dump(mode="json", exclude={"server"}) | ({"server": True} if config.rl.server else {}),
        "sample": config.sample.model_dump(mode="json"),
        "sandbox": config.sandbox.model_dump(mode="json"),
        "package": config.package.model_dump(mode="json"),
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    inputs = [
        workspace.path("prepare", "prompts.jsonl"),
        workspace.path("prepare", "catalog.json"),
        workspace.path("prepare", "docs.json"),
        workspace.path("prepare", "tasks", "demo.jsonl"),
        workspace.path("sft", "adapter"),
        workspace.path("sample", "tokens.json"),
        workspace.path("feedback", "feedback.jsonl"),
        workspace.path("reward_model", "adapter"),
        workspace.path("reward_model", "head.safetensors"),
        workspace.path("reward_model", "scores.json"),
    ]
    return settings, inputs


def train(config: Config, workspace: Workspace, stage: str) -> dict[str, Any]:
    """Trains the adapter `policy`; all that it writes is in the stage's folder.

    Returns:
        Steps taken, the last step's numbers, the probe set before and after, and what the alarm said, if it rang.

    Raises:
        TrainingError: the loss is not a number.
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
    control = {"kl_coef": trainer.kl.coefficient, "completions": 0.0, "unscored": 0.0}
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
    trainer.kl.coefficient = control["kl_coef"]
    done, alarm = first, first_alarm(probes)
    with (
        Tracker(workspace.path(stage), f"{config.run.name}-{stage}", config.report_to) as tracker,
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
            control["kl_coef"] = trainer.kl.coefficient
            tracker.log(step + 1, {name: round(value, 6) for name, value in numbers.items()})
            is_last = step + 1 == settings.steps
            if settings.probe_every and ((step + 1) % settings.probe_every == 0 or is_last):
                probe(trainer, step + 1, probes)
                if probes and best_step(probes) == step + 1:
                    keep(weights, best)
                if not alarm and (alarm := first_alarm(probes)):
                    progress.say(f"{stage}: {alarm}")
            if control["unscored"] > config.feedback.max_unscored * control["completions"]:
                raise UnscoredError(
                    f"{stage}: the environment kept {control['unscored']:.0f} of {control['completions']:.0f} "
                    f"completions from running, more than feedback.max_unscored = {config.feedback.max_unscored:g} "
                    "allows; look at `kohai doctor`, or leave `runs` out of rl.gates"
                )
            if (step + 1) % settings.checkpoint_every == 0 or is_last:
                checkpoint.save(step + 1, state)
            done = step + 1
            bar.advance(note=f"reward {numbers.get('reward', math.nan):+.2f}, KL {numbers.get('kl', math.nan):.2f}")
    if alarm and settings.alarm == "roll_back":
        keep(best, weights)
    adapters.save(trainer.model, "policy", workspace.path(stage, "policy"))
    lines = [probes[key] for key in sorted(probes, key=int)]
    workspace.write_text(f"{stage}/probe.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines))
    checkpoint.remove()
    return {
        "steps": done,
        "completions": int(control["completions"]),
        "unscored": int(control["unscored"]),
        "last": numbers,
        "probe_first": lines[:1],
        "probe_last": lines[-1:],
    } | ({"alarm": alarm, "alarm_answer": settings.alarm, "best_step": best_step(probes)} if alarm else {})


def start(config: Config, workspace: Workspace) -> Trainer:
    """Loads the base once, with its roles: policy (a copy of the SFT adapter), reference, reward model, value head."""
    base = load_base(config.model)
    model = adapters.load(base, base.model, "policy", workspace.path("sft", "adapter"), trainable=True)
    model = adapters.load(base, model, "sft", workspace.path("sft", "adapter"))
    model = adapters.load(base, model, "reward", workspace.path("reward_model", "adapter"))
    prompts = {p.task_id: p.text for p in workspace.read_records(Prompt, "prepare/prompts.jsonl")}
    tasks = workspace.read_records(Task, "prepare/tasks/practice.jsonl")
    tasks += workspace.read_records(Task, "prepare/tasks/probe.jsonl")
    sampled: dict[str, Drawn] = {}
    for row in workspace.read_json("sample/tokens.json"):
        drawn = sampled.setdefault(row["task_id"], Drawn(row["task_id"], [], [], []))
        drawn.completions.append(row["ids"])
        drawn.logprobs.append(row["logprobs"])
        drawn.finished.append(row["ids"][-1] in base.stop_ids)
    scores: dict[str, list[float]] = workspace.read_json("reward_model/scores.json")
    for item in workspace.read_records(Feedback, "feedback/feedback.jsonl"):
        sampled[item.task_id].rewards = scores[item.task_id]
        if item.execution is not None:
            sampled[item.task_id].executions.append(item.execution)
    wanted = workspace.read_records(Task, "prepare/tasks/demo.jsonl") if config.rl.ptx_coef else []
    return Trainer(
        config=config,
        workspace=workspace,
        base=base,
        model=model,
        reward_head=load_head(base, workspace.path("reward_model", "head.safetensors")),
        value_head=ValueHead(base.model.config.hidden_size, config.seed).to(base.device),
        kl=KlController(config.rl.kl_coef, config.rl.kl_target),
        prompts=prompts,
        tasks={t.id: t for t in tasks},
        checks=RunChecks.of(workspace),
        sampled=list(sampled.values()) if config.rl.reuse_samples else [],
        references=[(base.render(prompts[t.id]), answer_ids(base, t.reference or "")) for t in wanted],
    )


def collect(trainer: Trainer, step: int) -> tuple[list[Rollout], dict[str, float]]:
    """A step's rollouts, scored; and numbers for the curves.

    The best of what passes the gates is learned from, by how it fares against all of its task. What a gate stops is
    not pushed down: that is noise at this size, and destroys a policy before it teaches one. Tasks nothing of which
    passes are skipped. What the environment kept from running is unscored: it is in no group, and counted.
    """
    settings = trainer.config.rl
    drawn = trainer.sampled[step * settings.tasks_per_step : (step + 1) * settings.tasks_per_step]
    is_fresh = not drawn
    from_server: dict[str, float] = {}
    if is_fresh:
        drawn, from_server = draw(trainer, step)
    raw, passes = score(trainer, drawn)
    learned = []
    for one, scores, allowed in zip(drawn, raw, passes, strict=True):
        known = [i for i, ok in enumerate(allowed) if ok is not None]
        passing = sorted((i for i in known if allowed[i]), key=lambda i: -scores[i])
        kept = passing[: settings.n_learned]
        in_log_odds = torch.tensor([[scores[i] for i in known]]) * trainer.reward_head.deviation.cpu()
        earned = EARNED[settings.estimator](in_log_odds)[0, [known.index(i) for i in kept]] + settings.baseline_shift
        if kept and bool(earned.abs().max() > WITHOUT_SIGNAL):
            learned.append((one.only(kept), earned))
    groups = [one for one, _ in learned]
    references = reference_logprobs(trainer, groups) if is_fresh else [one.logprobs for one in groups]
    rollouts = []
    for (one, earned), reference in zip(learned, references, strict=True):
        prompt = trainer.base.render(trainer.prompts[one.task_id])
        rollouts.append(Rollout(one.task_id, prompt, one.completions, one.logprobs, reference, earned, not is_fresh))
    everything = [pair for group in zip(raw, passes, strict=True) for pair in zip(*group, strict=True)]
    scored = [(value, ok) for value, ok in everything if ok is not None]
    lengths = [len(ids) for one in drawn for ids in one.completions]
    shares = {}
    if scored:
        shares["reward"] = sum(value for value, _ in scored) / len(scored)
        shares["gated_share"] = sum(not ok for _, ok in scored) / len(scored)
    return rollouts, shares | from_server | {
        "length": sum(lengths) / len(lengths),
        "completions": float(len(everything)),
        "unscored": float(len(everything) - len(scored)),
        "groups_without_signal": float(len(drawn) - len(learned)),
        "fresh": float(is_fresh),
    }


def draw(trainer: Trainer, step: int) -> tuple[list[Drawn], dict[str, float]]:
    """Completions of the step's tasks from the policy as it is; tasks not sampled before come first.

    Where a server draws them, with how far its log-probabilities are from the policy's own, for the curves.
    """
    settings = trainer.config.rl
    seen = {one.task_id for one in trainer.sampled}
    unseen = [t for t in trainer.tasks if trainer.tasks[t].reference is None and t not in seen and t in trainer.prompts]
    pool = unseen or sorted(seen)
    random.Random(trainer.config.seed).shuffle(pool)
    n_reused = -(-len(trainer.sampled) // settings.tasks_per_step)
    at = (step - n_reused) * settings.tasks_per_step
    chosen = [pool[(at + i) % len(pool)] for i in range(min(settings.tasks_per_step, len(pool)))]
    prompts = [trainer.base.render(trainer.prompts[t]) for t in chosen]
    keys = [f"rl/{step}/{task_id}" for task_id in chosen]
    from_server: dict[str, float] = {}
    if settings.server is not None:
        folder = trainer.workspace.path("rollout_server")
        sampled, gap = rollout_server.draw(
            trainer.base, trainer.model, settings.server, settings.sampling, prompts, trainer.config.seed, keys, folder
        )
        from_server["server_gap"] = gap
    else:
        with adapters.merged(trainer.model, "policy") as plain:
            sampled = generate(
                trainer.base,
                plain,
                prompts,
                n=settings.sampling.n,
                temperature=settings.sampling.temperature,
                max_new_tokens=settings.sampling.max_new_tokens,
                batch_tokens=settings.sampling.batch_tokens,
                seed=trainer.config.seed,
                keys=keys,
            )
    return [
        Drawn(task_id, [s.ids for s in group], [s.logprobs for s in group], [s.finished for s in group])
        for task_id, group in zip(chosen, sampled, strict=True)
    ], from_server


@torch.no_grad()
def reference_logprobs(trainer: Trainer, drawn: Sequence[Drawn]) -> list[list[list[float]]]:
    """Per completion token, what the reference gives it."""
    results = []
    with adapters.merged(trainer.model, "sft") as plain:
        for one in drawn:
            distinct = list(dict.fromkeys(map(tuple, one.completions)))
            packed = pack([(trainer.base.render(trainer.prompts[one.task_id]), distinct)], trainer.base.device)
            values = token_scores(plain, packed).logprobs
            parts = values.split([len(ids) for ids in distinct])
            found = {ids: part.tolist() for ids, part in zip(distinct, parts, strict=True)}
            results.append([found[tuple(ids)] for ids in one.completions])
    return results


def score(trainer: Trainer, drawn: Sequence[Drawn]) -> tuple[list[list[float]], list[list[bool | None]]]:
    """Each completion's reward, the reward model's or at most the floor where a gate is shut; and whether it passes.

    None: it passes the static gates and the environment kept it from running, so what it is worth is not known.
    """
    floor, gates = trainer.config.rl.gate_floor, trainer.config.rl.gates
    results, allowed = [], []
    codes_of = {one.task_id: [extract_code(trainer.base.decode(ids)) for ids in one.completions] for one in drawn}
    new = [one for one in drawn if "runs" in gates and not one.executions]
    programs = [(code, trainer.tasks[one.task_id]) for one in new for code in codes_of[one.task_id]]
    found_out = iter(execute(trainer.config, trainer.workspace, programs, label=None) if programs else ())
    for one in new:
        one.executions = [next(found_out) for _ in one.completions]
    is_read = trainer.config.rl.reward == "reward_model" and any(one.rewards is None for one in drawn)
    with adapters.merged(trainer.model, "reward" if is_read else None) as plain:
        for one in drawn:
            task = trainer.tasks[one.task_id]
            codes = codes_of[one.task_id]
            verdicts = [trainer.checks.check(code, task) for code in codes]
            values = one.rewards
            if trainer.config.rl.reward == "execution":
                values = [0.0] * len(codes)  # the gates, of which `runs` is one, tell the rest
            elif values is None:
                findings = [findings_of(found) for found in verdicts]
                values = score_programs(trainer.base, plain, trainer.reward_head, task.instruction, codes, findings)
            if "runs" in gates:
                ran = [answer_runs(execution) for execution in one.executions]
                verdicts = [[*found, verdict] for found, verdict in zip(verdicts, ran, strict=True)]
            passes = [
                passes_gates(found, gates) if done else False
                for done, found in zip(one.finished, verdicts, strict=True)
            ]
            results.append(
                [min(value, floor) if ok is False else value for value, ok in zip(values, passes, strict=True)]
            )
            allowed.append(passes)
    return results, allowed


def passes_gates(verdicts: Sequence[Verdict], gates: Sequence[str]) -> bool | None:
    """Whether no gate says no; None where it is not known whether the program runs."""
    answers = {v.criterion: v.answer for v in verdicts if v.criterion in gates}
    if "no" in answers.values():
        return False
    return None if answers.get("runs") == "unscored" else True


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
    for epoch in range(settings.epochs):
        order = list(rollouts)
        random.Random(f"{trainer.config.seed}/{step}/{epoch}").shuffle(order)
        totals: dict[str, float] = {}
        for at in range(0, len(order), settings.minibatch_tasks):
            minibatch = order[at : at + settings.minibatch_tasks]
            n_tokens = sum(r.n_tokens for r in minibatch)
            for rollout in minibatch:
                loss, parts = row_loss(
                    trainer.model,
                    trainer.value_head,
                    rollout,
                    settings,
                    trainer.kl.coefficient,
                    rollout.n_tokens / n_tokens,
                    trainer.base.device,
                )
                loss.backward()
                for name, value in parts.items():
                    totals[name] = totals.get(name, 0.0) + value / (n_completions if name == "kl" else n_minibatches)
            done = step * n_updates + epoch * n_minibatches + at // settings.minibatch_tasks
            if trainer.references:
                loss = settings.ptx_coef * reference_loss(trainer, done)
                loss.backward()
                totals["ptx_loss"] = totals.get("ptx_loss", 0.0) + float(loss.detach()) / n_minibatches
            norm = torch.nn.utils.clip_grad_norm_([*weights, *trainer.value_head.parameters()], settings.max_grad_norm)
            if not torch.isfinite(norm):
                raise TrainingError(
                    f"rl: the gradient is not a number at step {step + 1}; the last checkpoint is whole. "
                    "Lower rl.learning_rate and run again"
                )
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * schedule(done, settings.steps * n_updates)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        numbers = totals | {k: v for k, v in numbers.items() if k != "kl"}
    return numbers


def reference_loss(trainer: Trainer, done: int) -> torch.Tensor:
    """Mean negative log-likelihood of an answer token of the next demo references, which come round in random order."""
    count, size = trainer.config.rl.ptx_tasks, len(trainer.references)
    chosen = []
    for place in range(done * count, (done + 1) * count):
        order = list(range(size))
        random.Random(f"{trainer.config.seed}/references/{place // size}").shuffle(order)
        chosen.append(trainer.references[order[place % size]])
    packed = pack([(prompt, [answer]) for prompt, answer in chosen], trainer.base.device)
    return -token_scores(trainer.model, packed).logprobs.mean()


def schedule(done: int, total: int) -> float:
    """Share of the peak learning rate after `done` of `total` updates: up over the first tenth, down to zero after.

    Adam's first updates have the full size whatever the gradient's; without the rise they are noise.
    """
    return min(1.0, (done + 1) / max(1.0, 0.1 * total)) * (1 - done / total)


def probe(trainer: Trainer, step: int, probes: dict[str, Any]) -> None:
    """Greedy answers to the probe tasks, run and read by the reward model: executability, effect match and reward."""
    tasks = [t for t in trainer.workspace.read_records(Task, "prepare/tasks/probe.jsonl") if t.id in trainer.prompts]
    if not tasks:
        return
    settings = trainer.config.rl.sampling
    with adapters.merged(trainer.model, "policy") as plain:
        answers = generate(
            trainer.base,
            plain,
            [trainer.base.render(trainer.prompts[t.id]) for t in tasks],
            max_new_tokens=settings.max_new_tokens,
            batch_tokens=settings.batch_tokens,
        )
    codes = [extract_code(trainer.base.decode(group[0].ids)) for group in answers]
    executions = execute(trainer.config, trainer.workspace, list(zip(codes, tasks, strict=True)), label=None)
    matches = [effect_match(e, t.effect) for e, t in zip(executions, tasks, strict=True) if t.effect is not None]
    known = [m for m in matches if m is not None]
    ran = executability(executions)
    rewards = []
    with adapters.merged(trainer.model, "reward") as plain:
        for code, task in zip(codes, tasks, strict=True):
            findings = [findings_of(trainer.checks.check(code, task))]
            rewards += score_programs(trainer.base, plain, trainer.reward_head, task.instruction, [code], findings)
    line: dict[str, Any] = {
        "step": step,
        "executability": {"value": ran.value, "low": ran.low, "high": ran.high, "n": ran.n},
        "reward": sum(rewards) / len(rewards),
        "ran": [execution.ran for execution in executions],
    }
    if known:
        line["effect_match"] = asdict(wilson(sum(known), len(known)))
    probes[str(step)] = line


def best_step(probes: Mapping[str, Any]) -> int:
    """The step at which most of the probe tasks ran; of equal ones the last."""
    return max((sum(map(bool, line["ran"])), line["step"]) for line in probes.values())[1]


def first_alarm(probes: Mapping[str, Any]) -> str:
    """What the first look says at which fewer probe tasks ran than at the best step before; empty where none does."""
    looks = sorted(probes, key=int)
    alarms = (fallen({key: probes[key] for key in looks[: count + 1]}) for count in range(1, len(looks)))
    return next(filter(None, alarms), "")


def fallen(probes: Mapping[str, Any]) -> str:
    """What to say where at the last step fewer tasks ran than at the best one, beyond chance; empty where not.

    Over the tasks known at both steps: more than two standard errors, sqrt(won + lost), are lost.
    """
    now, then = probes[max(probes, key=int)], probes[str(best_step(probes))]
    both = [(a, b) for a, b in zip(then["ran"], now["ran"], strict=True) if a is not None and b is not None]
    lost, won = sum(a and not b for a, b in both), sum(b and not a for a, b in both)
    if lost - won <= 2 * math.sqrt(lost + won):
        return ""
    what = "the reward rose: it is being hacked" if now["reward"] > then["reward"] else "the reward fell too"
    return (
        f"alarm: of {len(both)} probe tasks {sum(b for _, b in both)} run at step {now['step']}, "
        f"{sum(a for a, _ in both)} did at step {then['step']}, and {what} "
        f"({then['reward']:+.2f} to {now['reward']:+.2f})"
    )


@torch.no_grad()
def keep(weights: Sequence[torch.Tensor], into: Sequence[torch.Tensor]) -> None:
    """Copies weights."""
    for target, weight in zip(into, weights, strict=True):
        target.copy_(weight)
