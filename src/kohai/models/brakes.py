"""Alarms of RL: what a look at the probe set or a step's numbers say against going on.

The probe set's tasks are answered, run, and read by the reward model. Where fewer run than at the best step, beyond
chance, the alarm rings; if the reward rose meanwhile, it is being hacked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from kohai import progress
from kohai.code import extract_code
from kohai.metrics import auc, effect_match, executability, wilson
from kohai.models import adapters
from kohai.models.generate import generate
from kohai.models.reward import Read, findings_of
from kohai.models.rollouts import Trainer
from kohai.records import Task
from kohai.sandbox.of_run import execute


def look(trainer: Trainer, step: int) -> dict[str, Any] | None:
    """Greedy answers to the probe tasks, run and read by the reward model: executability, effect match and reward; and
    how many of them the environment kept from running.
    """
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
    ran = executability(executions)
    if len(tasks) - ran.n > trainer.config.feedback.max_unscored * len(tasks):
        progress.say(
            f"rl: the environment kept {len(tasks) - ran.n} of {len(tasks)} answers to the probe set from running at "
            f"step {step}, so that the alarm sees little; look at `kohai doctor`"
        )
    rewards = trainer.reward_model.score(
        [
            Read(task.instruction, code, findings_of(trainer.checks.check(code, task)))
            for code, task in zip(codes, tasks, strict=True)
        ]
    )
    line: dict[str, Any] = {
        "step": step,
        "unscored": len(tasks) - ran.n,
        "reward": sum(rewards) / len(rewards),
        "ran": [execution.ran for execution in executions],
    }
    if ran.n:
        line["executability"] = {"value": ran.value, "low": ran.low, "high": ran.high, "n": ran.n}
    known = [
        (reward, is_right)
        for reward, execution, task in zip(rewards, executions, tasks, strict=True)
        if task.effect is not None and (is_right := effect_match(execution, task.effect)) is not None
    ]
    if known:
        of_known, are_right = zip(*known, strict=True)
        line["effect_match"] = asdict(wilson(sum(are_right), len(are_right)))
        if (area := auc(of_known, are_right)) is not None:
            line["effect_auc"] = area
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


def out_of_bounds(numbers: Mapping[str, float], watched: Mapping[Any, tuple[float, float]], step: int) -> str:
    """What to say where a watched number has left its bounds; empty where none has. Of completions that the sample
    stage drew, length and reward tell nothing of the policy, and are not watched.
    """
    drawn_before = () if numbers.get("fresh", 1.0) else ("length", "reward")
    for name, (low, high) in watched.items():
        if name in numbers and name not in drawn_before and not low <= numbers[name] <= high:
            return f"alarm: {name} is {numbers[name]:.4g} at step {step}, outside {low:g} to {high:g}"
    return ""
