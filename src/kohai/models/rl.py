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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from kohai import progress
from kohai.code import extract_code
from kohai.config import Config
from kohai.errors import TrainingError, UnscoredError
from kohai.judge import answer_runs
from kohai.judge.verifiers import Verifier, verified, verifiers
from kohai.metrics import effect_match, executability, wilson
from kohai.models import adapters, distributed, rollout_server
from kohai.models.base import Base, load_base
from kohai.models.checkpoint import Checkpoint
from kohai.models.generate import Sampled, generate
from kohai.models.losses import KlController, leave_one_out, standardised, win_rates
from kohai.models.packing import pack, rows
from kohai.models.ppo import Rollout, ValueHead, row_loss
from kohai.models.reward import Read, RewardModel, findings_of, parts
from kohai.models.scoring import token_scores
from kohai.models.tracking import Tracker
from kohai.models.tuning import Pair, answer_ids
from kohai.records import Execution, Feedback, Prompt, Task, Verdict
from kohai.sandbox.of_run import execute
from kohai.verify.of_run import RunChecks
from kohai.workspace import Workspace

EARNED = {"gae": win_rates, "win_rate": win_rates, "rloo": leave_one_out, "grpo": standardised}
Part = Callable[[], tuple[torch.Tensor, dict[str, float]]]  # a part of an update's loss, and numbers for the curves
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
    reward_model: RewardModel
    value_head: ValueHead
    kl: KlController
    prompts: Mapping[str, str]
    tasks: Mapping[str, Task]
    checks: RunChecks
    sampled: Sequence[Drawn]
    seen: Collection[str] = ()  # tasks of which there are samples, earlier rounds' too
    verifiers: Mapping[str, Verifier] = field(default_factory=dict)
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
        workspace.path("reward_model", "scores.json"),
        *parts(workspace),
    ]
    if workspace.round > 1:
        inputs.append(workspace.newest_policy)
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
    control: dict[str, Any] = {"kl_coef": trainer.kl.coefficient, "completions": 0.0, "unscored": 0.0, "alarm": ""}
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
    done, alarm = first, first_alarm(probes) or control["alarm"]
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
            control["kl_coef"] = trainer.kl.coefficient
            if not alarm and (alarm := out_of_bounds(numbers, settings.watched, step + 1)):
                control["alarm"] = alarm
                progress.say(f"{stage}: {alarm}")
            if leads:
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
            if leads and settings.keep_every and (step + 1) % settings.keep_every == 0:
                adapters.save(trainer.model, "policy", workspace.path(stage, "policies", f"step-{step + 1}"))
            if leads and ((step + 1) % settings.checkpoint_every == 0 or is_last):
                checkpoint.save(step + 1, state)
            done = step + 1
            bar.advance(note=f"reward {numbers.get('reward', math.nan):+.2f}, KL {numbers.get('kl', math.nan):.2f}")
    if alarm and settings.alarm == "roll_back":
        keep(best, weights)
    lines = [probes[key] for key in sorted(probes, key=int)]
    if leads:
        adapters.save(trainer.model, "policy", workspace.path(stage, "policy"))
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


def out_of_bounds(numbers: Mapping[str, float], watched: Mapping[Any, tuple[float, float]], step: int) -> str:
    """What to say where a watched number has left its bounds; empty where none has."""
    for name, (low, high) in watched.items():
        if name in numbers and not low <= numbers[name] <= high:
            return f"alarm: {name} is {numbers[name]:.4g} at step {step}, outside {low:g} to {high:g}"
    return ""


def start(config: Config, workspace: Workspace) -> Trainer:
    """Loads the base once, with its roles: policy (a copy of the SFT adapter, or the last round's policy), reference,
    reward model, value head.
    """
    base = load_base(config.model)
    model = adapters.load(base, base.model, "policy", workspace.newest_policy, trainable=True)
    model = adapters.load(base, model, "sft", workspace.path("sft", "adapter"))
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
    feedback = workspace.read_records(Feedback, "feedback/feedback.jsonl")
    for item in feedback:
        sampled[item.task_id].rewards = scores[item.task_id]
        if item.execution is not None:
            sampled[item.task_id].executions.append(item.execution)
    wanted = workspace.read_records(Task, "prepare/tasks/demo.jsonl") if config.rl.ptx_coef else []
    return Trainer(
        config=config,
        workspace=workspace,
        base=base,
        model=model,
        reward_model=RewardModel.load(base, model, workspace),
        value_head=ValueHead(base.model.config.hidden_size, config.seed).to(base.device),
        kl=KlController(config.rl.kl_coef, config.rl.kl_target),
        prompts=prompts,
        tasks={t.id: t for t in tasks},
        checks=RunChecks.of(workspace),
        sampled=list(sampled.values()) if config.rl.reuse_samples else [],
        seen={row["task_id"] for one in workspace.rounds for row in one.read_json("sample/tokens.json")},
        verifiers=verifiers(config.rl.verifiers, feedback),
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
    is_from_reference = not is_fresh and trainer.workspace.round == 1
    drawn, raw, passes = scored(trainer, drawn)
    learned = []
    for one, scores, allowed in zip(drawn, raw, passes, strict=True):
        known = [i for i, ok in enumerate(allowed) if ok is not None]
        passing = sorted((i for i in known if allowed[i]), key=lambda i: -scores[i])
        if settings.dropped_band is not None and one.rewards is not None:
            low, high = settings.dropped_band
            passing = [i for i in passing if not low <= one.rewards[i] <= high]
        kept = passing[: settings.n_learned]
        in_log_odds = torch.tensor([[scores[i] for i in known]]) * trainer.reward_model.head.deviation.cpu()
        earned = EARNED[settings.estimator](in_log_odds)[0, [known.index(i) for i in kept]] + settings.baseline_shift
        if kept and bool(earned.abs().max() > WITHOUT_SIGNAL):
            learned.append((one.only(kept), earned))
    groups = [one for one, _ in learned]
    references = (
        [one.logprobs for one in groups]
        if is_from_reference
        else distributed.spread(lambda part: reference_logprobs(trainer, part), groups)
    )
    rollouts = []
    for (one, earned), reference in zip(learned, references, strict=True):
        prompt = trainer.base.render(trainer.prompts[one.task_id])
        rollouts.append(
            Rollout(one.task_id, prompt, one.completions, one.logprobs, reference, earned, is_from_reference)
        )
    everything = [pair for group in zip(raw, passes, strict=True) for pair in zip(*group, strict=True)]
    rated = [(value, ok) for value, ok in everything if ok is not None]
    lengths = [len(ids) for one in drawn for ids in one.completions]
    shares = {}
    if rated:
        shares["reward"] = sum(value for value, _ in rated) / len(rated)
        shares["gated_share"] = sum(not ok for _, ok in rated) / len(rated)
    return rollouts, shares | from_server | {
        "length": sum(lengths) / len(lengths),
        "completions": float(len(everything)),
        "unscored": float(len(everything) - len(rated)),
        "groups_without_signal": float(len(drawn) - len(learned)),
        "fresh": float(is_fresh),
    }


def draw(trainer: Trainer, step: int) -> tuple[list[Drawn], dict[str, float]]:
    """Completions of the step's tasks from the policy as it is; tasks not sampled before come first.

    Where a server draws them, with how far its log-probabilities are from the policy's own, for the curves.
    """
    settings = trainer.config.rl
    seen = trainer.seen if trainer.sampled else ()
    unseen = [t for t in trainer.tasks if trainer.tasks[t].reference is None and t not in seen and t in trainer.prompts]
    pool = unseen or sorted(seen)
    random.Random(trainer.config.seed).shuffle(pool)
    n_reused = -(-len(trainer.sampled) // settings.tasks_per_step)
    at = (step - n_reused) * settings.tasks_per_step
    chosen = [pool[(at + i) % len(pool)] for i in range(min(settings.tasks_per_step, len(pool)))]
    if settings.server is None:
        return distributed.spread(lambda part: draw_of(trainer, step, part), chosen), {}
    sampled, gap = distributed.from_leader(lambda: ask_server(trainer, step, chosen))
    return drawn_of(chosen, sampled), {"server_gap": gap}


def draw_of(trainer: Trainer, step: int, chosen: Sequence[str]) -> list[Drawn]:
    """The completions of some of a step's tasks, by Kohai's own decoder."""
    settings = trainer.config.rl.sampling
    with adapters.merged(trainer.model, "policy") as plain:
        sampled = generate(
            trainer.base,
            plain,
            [trainer.base.render(trainer.prompts[t]) for t in chosen],
            n=settings.n,
            temperature=settings.temperature,
            max_new_tokens=settings.max_new_tokens,
            batch_tokens=settings.batch_tokens,
            seed=trainer.config.seed,
            keys=[f"rl/{step}/{task_id}" for task_id in chosen],
        )
    return drawn_of(chosen, sampled)


def ask_server(trainer: Trainer, step: int, chosen: Sequence[str]) -> tuple[list[list[Sampled]], float]:
    """The same by the server that the configuration names, and its log-probabilities' distance from the policy's."""
    settings = trainer.config.rl
    assert settings.server is not None
    return rollout_server.draw(
        trainer.base,
        trainer.model,
        settings.server,
        settings.sampling,
        [trainer.base.render(trainer.prompts[t]) for t in chosen],
        trainer.config.seed,
        [f"rl/{step}/{task_id}" for task_id in chosen],
        trainer.workspace.path("rollout_server"),
    )


def drawn_of(chosen: Sequence[str], sampled: Sequence[Sequence[Sampled]]) -> list[Drawn]:
    """Samples by their tasks."""
    return [
        Drawn(task_id, [s.ids for s in group], [s.logprobs for s in group], [s.finished for s in group])
        for task_id, group in zip(chosen, sampled, strict=True)
    ]


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


def scored(trainer: Trainer, drawn: Sequence[Drawn]) -> tuple[list[Drawn], list[list[float]], list[list[bool | None]]]:
    """The completions as they are after scoring, with `score`'s rewards and passes; each process scores a part."""

    def of(part: Sequence[Drawn]) -> list[tuple[Drawn, list[float], list[bool | None]]]:
        return list(zip(part, *score(trainer, part), strict=True))

    found = distributed.spread(of, drawn)
    return [one for one, _, _ in found], [values for _, values, _ in found], [passes for _, _, passes in found]


def score(trainer: Trainer, drawn: Sequence[Drawn]) -> tuple[list[list[float]], list[list[bool | None]]]:
    """Each completion's reward, the reward model's or at most the floor where a gate is shut; and whether it passes.

    None: it passes the static gates and the environment kept it from running, so what it is worth is not known.
    """
    settings = trainer.config.rl
    codes_of = [[extract_code(trainer.base.decode(ids)) for ids in one.completions] for one in drawn]
    verdicts_of = []
    for one, codes in zip(drawn, codes_of, strict=True):
        verdicts_of.append([trainer.checks.check(code, trainer.tasks[one.task_id]) for code in codes])
    if settings.reward == "reward_model":
        read(trainer, drawn, codes_of, verdicts_of)
    if "runs" in settings.gates or "runs" in trainer.verifiers:
        run(trainer, drawn, codes_of)
        for one, verdicts in zip(drawn, verdicts_of, strict=True):
            for found, execution in zip(verdicts, one.executions, strict=True):
                found.append(answer_runs(execution))
    results, allowed = [], []
    for one, verdicts in zip(drawn, verdicts_of, strict=True):
        values = one.rewards or [0.0] * len(verdicts)  # by execution alone: the gates, of which `runs` is one, tell it
        values = [value + verified(found, trainer.verifiers) for value, found in zip(values, verdicts, strict=True)]
        passes = [
            passes_gates(found, settings.gates) if done else False
            for done, found in zip(one.finished, verdicts, strict=True)
        ]
        floor = settings.gate_floor
        results.append([min(value, floor) if ok is False else value for value, ok in zip(values, passes, strict=True)])
        allowed.append(passes)
    return results, allowed


def read(
    trainer: Trainer,
    drawn: Sequence[Drawn],
    codes_of: Sequence[Sequence[str]],
    verdicts_of: Sequence[Sequence[Sequence[Verdict]]],
) -> None:
    """Gives each completion the reward model's reward, where its own stage has not read it already."""
    new = [place for place, one in enumerate(drawn) if one.rewards is None]
    programs = [
        Read(trainer.tasks[drawn[place].task_id].instruction, code, findings_of(verdicts))
        for place in new
        for code, verdicts in zip(codes_of[place], verdicts_of[place], strict=True)
    ]
    rewards = iter(trainer.reward_model.score(programs))
    for place in new:
        drawn[place].rewards = [next(rewards) for _ in codes_of[place]]


def run(trainer: Trainer, drawn: Sequence[Drawn], codes_of: Sequence[Sequence[str]]) -> None:
    """Runs what the feedback stage has not run already."""
    new = [place for place, one in enumerate(drawn) if not one.executions]
    programs = [(code, trainer.tasks[drawn[place].task_id]) for place in new for code in codes_of[place]]
    executions = iter(execute(trainer.config, trainer.workspace, programs, label=None) if programs else ())
    for place in new:
        drawn[place].executions = [next(executions) for _ in codes_of[place]]


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
            done = step * n_updates + epoch * n_minibatches + at // settings.minibatch_tasks
            units: list[Part] = [
                partial(rollouts_loss, trainer, row, n_tokens) for row in rows_of(minibatch, settings.row_tokens)
            ]
            for unit in distributed.mine(units + references_losses(trainer, done)):
                loss, parts = unit()
                loss.backward()
                for name, value in parts.items():
                    totals[name] = totals.get(name, 0.0) + value / (n_completions if name == "kl" else n_minibatches)
            trained = [*weights, *trainer.value_head.parameters()]
            distributed.sum_gradients(trained)
            norm = torch.nn.utils.clip_grad_norm_(trained, settings.max_grad_norm)
            if not torch.isfinite(norm):
                raise TrainingError(
                    f"rl: the gradient is not a number at step {step + 1}; the last checkpoint is whole. "
                    "Lower rl.learning_rate and run again"
                )
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * schedule(done, settings.steps * n_updates)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        numbers = distributed.sum_numbers(totals) | {k: v for k, v in numbers.items() if k != "kl"}
    return numbers


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


def look(trainer: Trainer, step: int) -> dict[str, Any] | None:
    """Greedy answers to the probe tasks, run and read by the reward model: executability, effect match and reward."""
    tasks = [t for t in trainer.workspace.read_records(Task, "prepare/tasks/probe.jsonl") if t.id in trainer.prompts]
    if not tasks:
        return None
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
    rewards = trainer.reward_model.score(
        [
            Read(task.instruction, code, findings_of(trainer.checks.check(code, task)))
            for code, task in zip(codes, tasks, strict=True)
        ]
    )
    line: dict[str, Any] = {
        "step": step,
        "executability": {"value": ran.value, "low": ran.low, "high": ran.high, "n": ran.n},
        "reward": sum(rewards) / len(rewards),
        "ran": [execution.ran for execution in executions],
    }
    if known:
        line["effect_match"] = asdict(wilson(sum(known), len(known)))
    return line


def best_step(probes: Mapping[str, Any]) -> int:
    """The step at which most of the probe tasks ran; of equal ones the last, and 0 where none was looked at."""
    return max(((sum(map(bool, line["ran"])), line["step"]) for line in probes.values()), default=(0, 0))[1]


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
