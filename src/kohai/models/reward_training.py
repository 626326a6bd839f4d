"""Training of the reward model's members: each member's head is fitted, then its adapter and head learn together.

A step takes a few tasks, each with all its programs in one packed row; the loss runs over all pairs of those tasks,
with the score difference as margin. A killed run goes on at the member and the update where it was.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kohai import progress
from kohai.config import Config
from kohai.errors import TrainingError
from kohai.models import adapters
from kohai.models.base import Base
from kohai.models.checkpoint import Checkpoint
from kohai.models.judging import REVIEWS
from kohai.models.losses import bradley_terry
from kohai.models.packing import pack
from kohai.models.reviewer import mean_logprobs, review_group
from kohai.models.reward import RewardHead, RewardModel, adapter_names
from kohai.models.tracking import Tracker
from kohai.models.tuning import schedule
from kohai.records import Preference
from kohai.workspace import Workspace


@dataclass(frozen=True)
class Material:
    """Per task: its instruction, its programs, their findings (S, F), and of `learned` tasks the preferences."""

    instructions: Mapping[str, str]
    codes: Mapping[str, Sequence[str]]
    findings: Mapping[str, torch.Tensor]
    pairs: Mapping[str, Sequence[Preference]]
    learned: Sequence[str]

    def drawn(self, member: int, members: int, seed: int) -> list[str]:
        """The tasks that a member learns from: all, or of several members as many, drawn with replacement."""
        if members == 1:
            return list(self.learned)
        return random.Random(f"{seed}/member/{member}").choices(self.learned, k=len(self.learned))


def fit_members(
    config: Config, workspace: Workspace, base: Base, material: Material, start_from: Path
) -> tuple[Any, list[str], list[RewardHead], dict[str, torch.Tensor]]:
    """The model with the adapters, their names, each member's head, and what the first adapter read before training
    (`read`); not trained further, one adapter serves all.

    Raises:
        TrainingError: a loss is not a number.
    """
    settings = config.reward_model
    model = adapters.load(base, base.model, "reward", start_from, trainable=bool(settings.epochs))
    first = read(RewardModel(base, model, RewardHead()), workspace, material, is_trained=False)
    names = adapter_names(settings.members if settings.epochs else 1)
    heads = []
    with Tracker(workspace.path("reward_model"), f"{config.run.name}-reward", config.report_to) as tracker:
        for member in range(settings.members):
            tasks = material.drawn(member, settings.members, config.seed)
            head = RewardHead().to(base.device)
            head.fit(*laid_out(first, material, tasks))
            heads.append(head)
            if settings.epochs:
                if member:
                    model = adapters.load(base, model, names[member], start_from, trainable=True)
                _train(config, workspace, base, model, names[member], head, material, tasks, tracker, member)
    return model, names, heads, first


def checkpoint_of(workspace: Workspace, name: str) -> Checkpoint:
    """A member's state on the way; the stage removes it when all of it is written."""
    return Checkpoint(workspace.path("reward_model", f"{name}.pt"))


def read(
    reward_model: RewardModel, workspace: Workspace, material: Material, is_trained: bool
) -> dict[str, torch.Tensor]:
    """Per task (A, S): how well each program explains the instruction, by each adapter.

    Before training an adapter is the reviewer's copy: where that was asked, in the judge bench or about the samples,
    its own scores serve.
    """
    known: dict[str, dict[str, float]] = {}
    for one in [] if is_trained else workspace.rounds:
        for stage in ("judges", "feedback"):
            if one.path(stage, REVIEWS).exists():
                for task_id, scores in one.read_json(f"{stage}/{REVIEWS}").items():
                    known.setdefault(task_id, {}).update(scores)
    found = {
        task_id: torch.tensor([[known[task_id][code] for code in codes]], device=reward_model.base.device)
        for task_id, codes in material.codes.items()
        if known.get(task_id, {}).keys() >= set(codes)
    }
    missing = {task_id: codes for task_id, codes in material.codes.items() if task_id not in found}
    pairs = [(material.instructions[task_id], code) for task_id, codes in missing.items() for code in codes]
    if pairs:
        total = len(pairs) * len(reward_model.names)
        with progress.bar("reward-model scores", total, unit="programs") as bar:
            values = reward_model.read(pairs, lambda done: bar.advance(done))
        found |= zip(missing, values.split([len(codes) for codes in missing.values()], dim=1), strict=True)
    return found


def laid_out(
    logprobs: Mapping[str, torch.Tensor], material: Material, tasks: Sequence[str]
) -> tuple[torch.Tensor, torch.Tensor, list[tuple[int, int, float, float]]]:
    """The tasks' programs in one row: log-probabilities (S,), findings (S, F), and preferences by place in it."""
    start, found = 0, []
    for task_id in tasks:
        pairs = material.pairs[task_id]
        found += [(start + p.chosen, start + p.rejected, p.margin, p.label) for p in pairs]
        start += logprobs[task_id].shape[1]
    findings = torch.cat([material.findings[t] for t in tasks])
    return torch.cat([logprobs[t][0] for t in tasks]), findings, found


def _train(
    config: Config,
    workspace: Workspace,
    base: Base,
    model: Any,
    name: str,
    head: RewardHead,
    material: Material,
    tasks: Sequence[str],
    tracker: Tracker,
    member: int,
) -> None:
    """The loop of one member: epochs over its tasks, a few an update; its curve follows that of the one before."""
    settings = config.reward_model
    adapters.activate(model, name, trainable=True)
    weights = adapters.parameters(model, name)
    optimizer = torch.optim.AdamW(
        [
            {"params": weights, "lr": settings.learning_rate},
            {"params": head.parameters(), "lr": settings.learning_rate},
        ],
        weight_decay=0.0,
    )
    batches = []
    for epoch in range(settings.epochs):
        order = list(tasks)
        random.Random(f"{config.seed}/{epoch}").shuffle(order)
        batches += [order[i : i + settings.batch_tasks] for i in range(0, len(order), settings.batch_tasks)]
    checkpoint = checkpoint_of(workspace, name)
    state = {"weights": weights, "head": head, "optimizer": optimizer}
    start = checkpoint.restore(state)
    with progress.bar(name, len(batches), unit="update") as bar:
        bar.advance(start)
        for step in range(start, len(batches)):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * schedule(step, len(batches))
            n_pairs = sum(len(material.pairs[task_id]) for task_id in batches[step])
            losses = []
            for task_id in batches[step]:
                pairs = material.pairs[task_id]
                groups = [review_group(base, material.instructions[task_id], code) for code in material.codes[task_id]]
                reward = head(mean_logprobs(model, pack(groups, base.device)), material.findings[task_id])
                chosen, rejected = ([p.chosen for p in pairs], [p.rejected for p in pairs])
                margin, label = (
                    torch.tensor([getattr(p, part) for p in pairs], device=base.device) for part in ("margin", "label")
                )
                loss = bradley_terry(reward[chosen], reward[rejected], margin, label) * len(pairs) / n_pairs
                loss.backward()
                losses.append(float(loss.detach()))
            if not sum(losses) < float("inf"):
                raise TrainingError(f"reward_model: the loss is not a number at update {step}; lower the learning rate")
            torch.nn.utils.clip_grad_norm_([*weights, *head.parameters()], 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            tracker.log(member * len(batches) + step + 1, {"loss": sum(losses)})
            bar.advance(note=f"loss {sum(losses):.3f}")
            if (step + 1) % 5 == 0 or step + 1 == len(batches):
                checkpoint.save(step + 1, state)
