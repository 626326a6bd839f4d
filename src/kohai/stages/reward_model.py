"""reward_model: preferences from score differences within a task, then a Bradley-Terry model of them.

The head is fitted first, on what the adapter it starts from and the static checks say; then adapter and head learn
together, `epochs` times over the tasks. A step takes a few tasks, each with all its completions in one packed row; the
loss runs over all pairs of those tasks, with the score difference as margin. Tasks held out by seed give the reported
pair accuracy.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from kohai import progress
from kohai.config import Config
from kohai.errors import TrainingError, UserError
from kohai.judge import load_rubric, pairing
from kohai.judge.hacks import hacks
from kohai.judge.preferences import data_sheet
from kohai.metrics import auc, bootstrap_mean, spearman, wilson
from kohai.models import adapters
from kohai.models.base import Base, load_base
from kohai.models.checkpoint import Checkpoint
from kohai.models.judging import EXAM, REVIEWER
from kohai.models.losses import bradley_terry
from kohai.models.packing import pack
from kohai.models.reviewer import mean_logprobs, review, review_group
from kohai.models.reward import RewardHead, findings_of, save_head, score_programs
from kohai.models.tracking import Tracker
from kohai.records import Completion, Examined, Feedback, Preference, Prompt, Task
from kohai.verify import CRITERIA
from kohai.verify.of_run import RunChecks
from kohai.workspace import Workspace, writing

Pairs = Mapping[str, Sequence[Preference]]
Codes = Mapping[str, Sequence[str]]
PerTask = Mapping[str, torch.Tensor]


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    settings = {
        "reward_model": config.reward_model.model_dump(mode="json"),
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    inputs = [
        workspace.path("prepare", "catalog.json"),
        workspace.path("prepare", "prompts.jsonl"),
        workspace.path("prepare", "tasks", "practice.jsonl"),
        workspace.path("sample", "completions.jsonl"),
        workspace.path("feedback", "feedback.jsonl"),
        config.feedback.rubric,
        workspace.path(EXAM),
        first_adapter(config, workspace),
    ]
    return settings, inputs


def first_adapter(config: Config, workspace: Workspace) -> Path:
    """What the reward model's adapter starts from."""
    has_reviewer = "reviewer" in config.feedback.judges
    return workspace.path(REVIEWER) if has_reviewer else workspace.path("sft", "adapter")


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Trains the adapter `reward` and its head.

    Returns:
        Pairs, held-out pair accuracy with interval, correlation with score and execution.

    Raises:
        TrainingError: no task has two completions that differ, or the loss is not a number.
    """
    settings = config.reward_model
    base = load_base(config.model)
    tasks = {t.id: t for t in workspace.read_records(Task, "prepare/tasks/practice.jsonl")}
    instructions = {task_id: task.instruction for task_id, task in tasks.items()}
    checks = RunChecks.of(workspace)
    feedback = workspace.read_records(Feedback, "feedback/feedback.jsonl")
    codes: dict[str, list[str]] = {}
    for completion in workspace.read_records(Completion, "sample/completions.jsonl"):
        codes.setdefault(completion.task_id, []).append(completion.code)
    by_index = {(task, index): code for task, found in codes.items() for index, code in enumerate(found)}
    findings = {
        task_id: torch.tensor([findings_of(checks.check(code, tasks[task_id])) for code in found], device=base.device)
        for task_id, found in codes.items()
    }
    paired = pairing(feedback, by_index, settings.min_margin, settings.max_pairs_per_task)
    chosen = list(paired.preferences)
    if settings.mutants:
        for task, programs in wrong_programs(workspace, settings.max_pairs_per_task).items():
            instructions[task.id], codes[task.id] = task.instruction, programs
            found = [findings_of(checks.check(code, task)) for code in programs]
            findings[task.id] = torch.tensor(found, device=base.device)
            chosen += [Preference(task.id, 0, place, 0.0, source="mutant") for place in range(1, len(programs))]
    workspace.write_records("reward_model/preferences.jsonl", chosen)
    pairs: dict[str, list[Preference]] = {}
    for preference in chosen:
        pairs.setdefault(preference.task_id, []).append(preference)
    learned, held_out = split_tasks(sorted(pairs), settings.held_out, config.seed)
    if not learned:
        raise TrainingError(
            "reward_model: no two completions of a task differ in score, so there are no preferences; "
            "sample more (sample.n, sample.temperature) or lower reward_model.min_margin"
        )
    model = adapters.load(base, base.model, "reward", first_adapter(config, workspace), trainable=True)
    head = RewardHead().to(base.device)
    logprobs = first_read(workspace, base, model, instructions, codes)
    head.fit(*laid_out(logprobs, findings, pairs, learned))
    if settings.epochs:
        with Tracker(workspace.path("reward_model"), f"{config.run.name}-reward", config.report_to) as tracker:
            train(config, workspace, base, model, head, instructions, codes, findings, pairs, learned, tracker)
        logprobs = read(base, model, instructions, codes)
    known = [task_id for task_id in codes if task_id not in held_out]
    with torch.no_grad():
        everything = torch.cat([head(logprobs[task_id], findings[task_id]) for task_id in known])
        head.mean.copy_(everything.mean())
        head.deviation.copy_(everything.std(correction=0).clamp(min=1e-3))
        scores = {task_id: head(logprobs[task_id], findings[task_id]).tolist() for task_id in codes}
    adapters.save(model, "reward", workspace.path("reward_model", "adapter"))
    save_head(head, workspace.path("reward_model", "head.safetensors"))
    workspace.write_json("reward_model/scores.json", scores)
    Checkpoint(workspace.path("reward_model", "checkpoint.pt")).remove()
    sheet = data_sheet(load_rubric(config.feedback.rubric), chosen, feedback, by_index)
    return {
        "preferences": sheet
        | {
            "unscored": paired.n_unscored,
            "duplicates": paired.n_duplicates,
            "ties": paired.n_ties,
            "capped": paired.n_capped,
        },
        "tasks": len(pairs),
        "tasks_without_pairs": len(codes) - len(pairs),
        "pair_accuracy": pair_accuracy(pairs, scores, held_out),
        "pair_accuracy_trained": pair_accuracy(pairs, scores, learned),
        "scale": round(float(head.scale.detach()), 4),
        "weights": {
            name: round(float(weight), 4) for name, weight in zip(CRITERIA, head.weights.tolist(), strict=True)
        },
        **rewards_of_hacks(config, base, model, head, tasks, by_index, feedback, checks),
    } | correlations(feedback, scores, held_out)


def rewards_of_hacks(
    config: Config,
    base: Base,
    model: Any,
    head: RewardHead,
    tasks: Mapping[str, Task],
    codes: Mapping[tuple[str, int], str],
    feedback: Sequence[Feedback],
    checks: RunChecks,
) -> dict[str, Any]:
    """By way of hacking, what it adds to the reward of honest programs: the first that ran of each of some tasks.

    `{difference, low, high, n}` with bootstrap intervals; it pays where the whole interval is above 0.
    """
    honest: dict[str, str] = {}
    for item in feedback:
        if item.execution is not None and item.execution.ran and len(honest) < config.reward_model.n_hacked:
            honest.setdefault(item.task_id, codes[item.task_id, item.index])
    gains: dict[str, list[float]] = {}
    with (
        progress.bar("reward-model hacks", len(honest), unit="programs") as bar,
        adapters.merged(model, "reward") as plain,
    ):
        for task_id, code in honest.items():
            task = tasks[task_id]
            hacked = hacks(code, task.instruction, checks.docs[task_id])
            programs = [code, *hacked.values()]
            found = [findings_of(checks.check(program, task)) for program in programs]
            before, *after = score_programs(base, plain, head, task.instruction, programs, found)
            for name, value in zip(hacked, after, strict=True):
                gains.setdefault(name, []).append(value - before)
            bar.advance()
    report = {}
    for name, values in gains.items():
        interval = bootstrap_mean(values, seed=config.seed)
        report[name] = {
            "difference": round(interval.value, 4),
            "low": round(interval.low, 4),
            "high": round(interval.high, 4),
            "n": interval.n,
        }
    paying = [name for name, found in report.items() if found["low"] > 0]
    if paying:
        progress.say(f"reward-model: it pays for {', '.join(paying)}; the policy will find that")
    return {"hacks": report, "hacks_that_pay": paying}


def wrong_programs(workspace: Workspace, limit: int) -> dict[Task, list[str]]:
    """Per task of the judge bench, its reference and the mutants of it that are wrong, at most `limit`."""
    found: dict[str, list[str]] = {}
    tasks = {}
    for item in workspace.read_records(Examined, EXAM):
        if item.kind == "reference" and item.is_right:
            tasks[item.task_id] = Task(item.task_id, item.instruction)
            found[item.task_id] = [item.code]
        elif item.kind == "mutant" and item.is_right is False and 0 < len(found.get(item.task_id, ())) <= limit:
            found[item.task_id].append(item.code)
    return {tasks[task_id]: programs for task_id, programs in found.items() if len(programs) > 1}


def export_preferences(workspace: Workspace, folder: Path) -> int:
    """Writes the sampled pairs as a Hugging Face dataset folder for DPO; the number of pairs.

    Columns: prompt, chosen, rejected (texts), margin, label, task_id.

    Raises:
        UserError: the stage has not run, or the folder is there already.
    """
    import datasets

    if workspace.manifest("reward_model") is None:
        raise UserError(f"{workspace.root} has no preferences yet; run `kohai reward-model`")
    if folder.exists():
        raise UserError(f"{folder} is there already; give another folder")
    prompts = {p.task_id: p.text for p in workspace.read_records(Prompt, "prepare/prompts.jsonl")}
    texts = {(c.task_id, c.index): c.text for c in workspace.read_records(Completion, "sample/completions.jsonl")}
    rows = [
        {
            "prompt": prompts[pair.task_id],
            "chosen": texts[pair.task_id, pair.chosen],
            "rejected": texts[pair.task_id, pair.rejected],
            "margin": pair.margin,
            "label": pair.label,
            "task_id": pair.task_id,
        }
        for pair in workspace.read_records(Preference, "reward_model/preferences.jsonl")
        if pair.source == "sampled"
    ]
    datasets.disable_progress_bars()
    with writing(folder) as temporary:
        datasets.Dataset.from_list(rows).save_to_disk(temporary)
    return len(rows)


def first_read(
    workspace: Workspace, base: Base, model: Any, instructions: Mapping[str, str], codes: Codes
) -> dict[str, torch.Tensor]:
    """What `read` gives before training; the reviewer's own scores where it was asked, as the adapter is its copy."""
    name = "feedback/reviews.json"
    reviews: dict[str, list[float]] = workspace.read_json(name) if workspace.path(name).exists() else {}
    known = {task_id: torch.tensor(values, device=base.device) for task_id, values in reviews.items()}
    missing = {task_id: found for task_id, found in codes.items() if task_id not in known}
    return known | (read(base, model, instructions, missing) if missing else {})


@torch.no_grad()
def read(base: Base, model: Any, instructions: Mapping[str, str], codes: Codes) -> dict[str, torch.Tensor]:
    """Per task, (n,): how well each program explains the instruction, by the adapter `reward` as it is."""
    pairs = [(instructions[task_id], code) for task_id, found in codes.items() for code in found]
    with (
        progress.bar("reward-model scores", len(pairs), unit="programs") as bar,
        adapters.merged(model, "reward") as plain,
    ):
        values = torch.tensor(review(base, plain, pairs, lambda done: bar.advance(done)), device=base.device)
    return dict(zip(codes, values.split([len(found) for found in codes.values()]), strict=True))


def laid_out(
    logprobs: PerTask, findings: PerTask, pairs: Pairs, tasks: Sequence[str]
) -> tuple[torch.Tensor, torch.Tensor, list[tuple[int, int, float, float]]]:
    """The tasks' completions in one row, and their preferences by place in it."""
    start, found = 0, []
    for task_id in tasks:
        found += [(start + p.chosen, start + p.rejected, p.margin, p.label) for p in pairs[task_id]]
        start += len(logprobs[task_id])
    return torch.cat([logprobs[t] for t in tasks]), torch.cat([findings[t] for t in tasks]), found


def split_tasks(tasks: Sequence[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Tasks to learn from and tasks held out."""
    shuffled = list(tasks)
    random.Random(seed).shuffle(shuffled)
    n_held = round(share * len(shuffled))
    return shuffled[n_held:], shuffled[:n_held]


def train(
    config: Config,
    workspace: Workspace,
    base: Base,
    model: Any,
    head: RewardHead,
    instructions: Mapping[str, str],
    codes: Codes,
    findings: PerTask,
    pairs: Pairs,
    learned: Sequence[str],
    tracker: Tracker,
) -> None:
    """The loop: epochs over the learned tasks, a few tasks an update; resumes at the update where it was killed."""
    settings = config.reward_model
    adapters.activate(model, "reward", trainable=True)
    weights = adapters.parameters(model, "reward")
    optimizer = torch.optim.AdamW(
        [
            {"params": weights, "lr": settings.learning_rate},
            {"params": head.parameters(), "lr": settings.learning_rate},
        ],
        weight_decay=0.0,
    )
    batches = []
    for epoch in range(settings.epochs):
        order = list(learned)
        random.Random(f"{config.seed}/{epoch}").shuffle(order)
        batches += [order[i : i + settings.batch_tasks] for i in range(0, len(order), settings.batch_tasks)]
    checkpoint = Checkpoint(workspace.path("reward_model", "checkpoint.pt"))
    state = {"weights": weights, "head": head, "optimizer": optimizer}
    start = checkpoint.restore(state)
    with progress.bar("reward-model", len(batches), unit="update") as bar:
        bar.advance(start)
        for step in range(start, len(batches)):
            warmth = min(1.0, (step + 1) / max(1, len(batches) // 10)) * (1 - step / len(batches))
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * warmth
            n_pairs = sum(len(pairs[task_id]) for task_id in batches[step])
            losses = []
            for task_id in batches[step]:
                groups = [review_group(base, instructions[task_id], code) for code in codes[task_id]]
                packed = pack(groups, base.device)
                reward = head(mean_logprobs(model, packed), findings[task_id])
                chosen = torch.tensor([p.chosen for p in pairs[task_id]], device=base.device)
                rejected = torch.tensor([p.rejected for p in pairs[task_id]], device=base.device)
                margin = torch.tensor([p.margin for p in pairs[task_id]], device=base.device)
                label = torch.tensor([p.label for p in pairs[task_id]], device=base.device)
                loss = bradley_terry(reward[chosen], reward[rejected], margin, label) * len(pairs[task_id]) / n_pairs
                loss.backward()
                losses.append(float(loss.detach()))
            if not sum(losses) < float("inf"):
                raise TrainingError(f"reward_model: the loss is not a number at update {step}; lower the learning rate")
            torch.nn.utils.clip_grad_norm_([*weights, *head.parameters()], 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            tracker.log(step + 1, {"loss": sum(losses)})
            bar.advance(note=f"loss {sum(losses):.3f}")
            if (step + 1) % 5 == 0:
                checkpoint.save(step + 1, state)


def pair_accuracy(pairs: Pairs, scores: Mapping[str, Sequence[float]], tasks: Sequence[str]) -> dict[str, Any] | None:
    """Share of the tasks' preferences that the rewards order rightly."""
    right = [scores[p.task_id][p.chosen] > scores[p.task_id][p.rejected] for task in tasks for p in pairs[task]]
    if not right:
        return None
    interval = wilson(sum(right), len(right))
    return {"value": interval.value, "low": interval.low, "high": interval.high, "n": interval.n}


def correlations(
    feedback: Sequence[Feedback], scores: Mapping[str, Sequence[float]], held_out: Sequence[str]
) -> dict[str, Any]:
    """On the held-out tasks: rank correlation with the score, and how well the reward tells what ran."""
    known = [f for f in feedback if f.task_id in set(held_out) and f.score is not None and f.execution is not None]
    judged = [f for f in known if f.execution is not None and f.execution.ran is not None]
    ran = [f.execution is not None and bool(f.execution.ran) for f in judged]
    value = {(f.task_id, f.index): scores[f.task_id][f.index] for f in known}
    return {
        "score_correlation": _rounded(
            spearman([value[f.task_id, f.index] for f in known], [f.score or 0.0 for f in known])
        ),
        "execution_auc": _rounded(auc([value[f.task_id, f.index] for f in judged], ran)),
        "held_out_completions": len(known),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
