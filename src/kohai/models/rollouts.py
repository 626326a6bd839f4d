"""A step's rollouts: completions of a few tasks, run, gated, scored, and what each is worth beside its task's others.

The sample stage's completions come first: they were drawn from the very policy that RL starts from, at no cost. What
the final metric knows (the effect match) is never read here. Rollouts depend on seed, step and task alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from kohai.code import extract_code
from kohai.config import Config
from kohai.errors import TrainingError
from kohai.judge import answer_runs
from kohai.judge.verifiers import Verifier, verified
from kohai.models import adapters, distributed, rollout_server
from kohai.models.base import Base
from kohai.models.generate import Sampled, generate
from kohai.models.losses import KlController, leave_one_out, standardised, win_rates
from kohai.models.packing import pack
from kohai.models.ppo import Rollout, ValueHead
from kohai.models.reward import Read, RewardModel, findings_of
from kohai.models.scoring import token_scores
from kohai.models.tuning import Pair
from kohai.records import Execution, Task, Verdict
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
    reward_model: RewardModel
    value_head: ValueHead
    kl: KlController
    prompts: Mapping[str, str]
    tasks: Mapping[str, Task]  # those of practice
    checks: RunChecks
    sampled: Sequence[Drawn]
    seen: Collection[str] = ()  # tasks of which there are samples, earlier rounds' too
    verifiers: Mapping[str, Verifier] = field(default_factory=dict)
    references: Sequence[Pair] = ()  # prompt and answer of the demo tasks, where rl.ptx_coef is not 0


def collect(trainer: Trainer, step: int) -> tuple[list[Rollout], dict[str, float]]:
    """A step's rollouts, scored; and numbers for the curves.

    The best of what passes the gates is learned from, by how it fares against all of its task. What a gate stops is
    not pushed down: that is noise at this size, and destroys a policy before it teaches one. Tasks nothing of which
    passes are skipped. What the environment kept from running is unscored: it is in no group, and counted.

    Raises:
        TrainingError: a reward is not a number.
    """
    settings = trainer.config.rl
    drawn = trainer.sampled[step * settings.tasks_per_step : (step + 1) * settings.tasks_per_step]
    is_fresh = not drawn
    from_server: dict[str, float] = {}
    if is_fresh:
        drawn, from_server = draw(trainer, step)
    is_from_reference = not is_fresh and trainer.workspace.round == 1
    drawn, raw, passes = scored(trainer, drawn)
    learned, n_alike = [], 0
    for one, scores, allowed in zip(drawn, raw, passes, strict=True):
        if not all(map(math.isfinite, scores)):
            raise TrainingError(f"rl: a reward of {one.task_id} is not a number at step {step + 1}")
        known = [i for i, ok in enumerate(allowed) if ok is not None]
        n_alike += bool(known) and max(scores[i] for i in known) - min(scores[i] for i in known) < WITHOUT_SIGNAL
        passing = sorted((i for i in known if allowed[i]), key=lambda i: -scores[i])
        if settings.dropped_band is not None and one.rewards is not None and settings.reward == "reward_model":
            low, high = settings.dropped_band
            passing = [i for i in passing if not low <= one.rewards[i] <= high]
        kept = passing[: settings.n_learned]
        in_log_odds = torch.tensor([[scores[i] for i in known]])
        if settings.reward == "reward_model":  # else its units are not asked either
            in_log_odds = in_log_odds * trainer.reward_model.head.deviation.cpu()
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
        "groups_without_signal": float(len(drawn) - len(learned)),  # skipped
        "groups_without_variance": float(n_alike),  # skipped where no shift makes them worth something
        "fresh": float(is_fresh),
    }


def draw(trainer: Trainer, step: int) -> tuple[list[Drawn], dict[str, float]]:
    """Completions of the step's tasks from the policy as it is; tasks not sampled before come first.

    Where a server draws them, with how far its log-probabilities are from the policy's own, for the curves.
    """
    settings = trainer.config.rl
    seen = trainer.seen if trainer.sampled else ()
    parts = [t for t in trainer.tasks if t not in seen], [t for t in trainer.tasks if t in seen]
    seed, number = trainer.config.seed, trainer.workspace.round
    for part in parts:
        random.Random(seed if number == 1 else f"{seed}/{number}").shuffle(part)
    pool = [*parts[0], *parts[1]]
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
            keys=keys_of(trainer, step, chosen),
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
        keys_of(trainer, step, chosen),
        trainer.workspace.path("rollout_server"),
    )


def keys_of(trainer: Trainer, step: int, chosen: Sequence[str]) -> list[str]:
    """The random stream of each task's completions: its own in each step of each round."""
    return [f"{trainer.workspace.folder_of('rl')}/{step}/{task_id}" for task_id in chosen]


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
    by_execution = settings.reward == "execution"
    if not by_execution:
        read(trainer, drawn, codes_of, verdicts_of)
    if "runs" in settings.gates or "runs" in trainer.verifiers:
        run(trainer, drawn, codes_of)
        for one, verdicts in zip(drawn, verdicts_of, strict=True):
            for found, execution in zip(verdicts, one.executions, strict=True):
                found.append(answer_runs(execution))
    results, allowed = [], []
    for one, verdicts in zip(drawn, verdicts_of, strict=True):
        # By execution alone the gates, `runs` among them, tell them apart, whatever the reward model has said.
        values = [0.0] * len(verdicts) if by_execution or one.rewards is None else one.rewards
        values = [value + verified(found, trainer.verifiers) for value, found in zip(values, verdicts, strict=True)]
        passes = [
            passes_gates(found, settings.gates, trainer.verifiers) if done else False
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


def passes_gates(verdicts: Sequence[Verdict], gates: Collection[str], verifiers: Collection[str] = ()) -> bool | None:
    """Whether no gate says no; None where a gate or a verifier asks whether the program runs, and nobody knows."""
    answers = {v.criterion: v.answer for v in verdicts}
    if any(answers.get(gate) == "no" for gate in gates):
        return False
    return None if answers.get("runs") == "unscored" and "runs" in (*gates, *verifiers) else True
