"""reward_model: preferences from score differences within a task, then a Bradley-Terry model of them.

The head is fitted first, on what the adapter it starts from and the static checks say; then adapter and head learn
together, `epochs` times over the tasks (`models/reward.py`, `models/reward_training.py`). Several members each see
their own draw of the tasks. Tasks held out by seed give the reported accuracy and the temperature.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from kohai import progress
from kohai.config import Config, RewardModelConfig
from kohai.errors import TrainingError, UserError
from kohai.judge import load_rubric, pairing
from kohai.judge.hacks import hacks
from kohai.judge.panel import counting
from kohai.judge.preferences import data_sheet, lead
from kohai.judge.rubric import Rubric
from kohai.metrics import auc, bootstrap_mean, clustered_rate, log_loss, spearman, temperature
from kohai.models import adapters
from kohai.models.base import Base, load_base
from kohai.models.judging import EXAM, REVIEWER
from kohai.models.reward import (
    HEAD,
    Read,
    RewardHead,
    RewardModel,
    adapter_names,
    averaged,
    findings_of,
    folder_of,
    save_head,
    stacked,
)
from kohai.models.reward_training import Material, checkpoint_of, fit_members, read
from kohai.records import Completion, Examined, Feedback, Preference, Task
from kohai.verify import CRITERIA
from kohai.verify.of_run import RunChecks
from kohai.workspace import Workspace, writing

N_BANDS = 5


@dataclass(frozen=True)
class Calibration:
    """What held-out pairs' differences are divided by, and their log loss with it and without (a coin's is 0.693)."""

    temperature: float
    log_loss: float | None
    log_loss_without: float | None
    pairs: int


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    settings = {
        "reward_model": config.reward_model.model_dump(mode="json"),
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    inputs = [
        workspace.path("prepare", "catalog.json"),
        *(workspace.path("prepare", "prompts", f"{split}.jsonl") for split in ("practice", "bench")),
        workspace.path("prepare", "tasks", "practice.jsonl"),
        config.feedback.rubric,
        workspace.path(EXAM),
        first_adapter(config, workspace),
    ]
    for one in workspace.rounds:
        inputs += [one.path("sample", "completions.jsonl"), one.path("feedback", "feedback.jsonl")]
    return settings, inputs


def first_adapter(config: Config, workspace: Workspace) -> Path:
    """What the reward model's adapter starts from."""
    has_reviewer = "reviewer" in config.feedback.judges
    return workspace.path(REVIEWER) if has_reviewer else workspace.path("sft", "adapter")


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Trains the adapters and the head, on the feedback of all rounds so far.

    Returns:
        Pairs, held-out pair accuracy with interval, calibration, correlations, and what hacks would earn.

    Raises:
        TrainingError: no task has two completions that differ, or the loss is not a number.
    """
    settings = config.reward_model
    base = load_base(config.model)
    rubric = load_rubric(config.feedback.rubric)
    tasks = {t.id: t for t in workspace.read_records(Task, "prepare/tasks/practice.jsonl")}
    checks = RunChecks.of(workspace)
    feedback = [item for one in workspace.rounds for item in one.read_records(Feedback, "feedback/feedback.jsonl")]
    codes: dict[str, list[str]] = {}
    for one in workspace.rounds:
        for completion in one.read_records(Completion, "sample/completions.jsonl"):
            codes.setdefault(completion.task_id, []).append(completion.code)
    by_index = {(task, index): code for task, found in codes.items() for index, code in enumerate(found)}
    judged = liking_length(feedback, by_index, settings.length_bias)
    paired = pairing(judged, by_index, settings.min_margin, settings.max_pairs_per_task)
    chosen = list(paired.preferences)
    compared = {task_id: tasks[task_id] for task_id in codes}
    if settings.mutants:
        for task, programs in wrong_programs(workspace, settings.max_pairs_per_task).items():
            compared[task.id], codes[task.id] = task, programs
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
    findings = {
        task_id: torch.tensor([findings_of(checks.check(code, compared[task_id])) for code in found]).to(base.device)
        for task_id, found in codes.items()
    }
    instructions = {task_id: task.instruction for task_id, task in compared.items()}
    noisy = turned_round(pairs, [*learned, *held_out], settings.flipped, config.seed)
    seen = {task_id: noisy[task_id] for task_id in learned}
    material = Material(instructions, codes, findings, seen, learned)
    start_from = first_adapter(config, workspace)
    if settings.combine == "average" and settings.members > 1:
        shape = json.loads((start_from / adapters.SETTINGS).read_text(encoding="utf-8"))
        if any(shape.get(kind) for kind in ("use_rslora", "use_dora", "lora_bias")):
            raise UserError("reward_model.combine: such adapters have no average (rsLoRA, DoRA, a bias); set ensemble")
    model, names, heads, logprobs = fit_members(config, workspace, base, material, start_from)
    reward_model = combined(settings, base, model, names, heads)
    head = reward_model.head
    if settings.epochs:
        logprobs = read(reward_model, workspace, material, is_trained=True)
    known = [task_id for task_id in codes if task_id not in held_out]
    head.standardise(torch.cat([logprobs[t] for t in known], dim=1), torch.cat([findings[t] for t in known]))
    raw = scores_of(head, logprobs, findings)
    kept = [p for task_id in held_out for p in pairs[task_id]]
    calibration = calibrated([p for task_id in held_out for p in noisy[task_id]], raw, float(head.deviation))
    head.cool(calibration.temperature)
    scores = scores_of(head, logprobs, findings)
    for name, role in zip(adapter_names(len(reward_model.names)), reward_model.names, strict=True):
        adapters.save(model, role, workspace.path("reward_model", folder_of(name)))
    save_head(head, workspace.path("reward_model", HEAD))
    workspace.write_json("reward_model/scores.json", scores)
    sheet = data_sheet(rubric, chosen, judged, by_index)
    report = {
        "preferences": sheet
        | {
            "unscored": paired.n_unscored,
            "duplicates": paired.n_duplicates,
            "ties": paired.n_ties,
            "capped": paired.n_capped,
        },
        "tasks": len(pairs),
        "tasks_without_pairs": len(codes) - len(pairs),
        "members": len(head.scale),
        "pair_accuracy": pair_accuracy(kept, scores),
        "pair_accuracy_by_source": {
            source: pair_accuracy([p for p in kept if p.source == source], scores) for source in ("sampled", "mutant")
        },
        "pair_accuracy_trained": pair_accuracy([p for task_id in learned for p in pairs[task_id]], scores),
        "calibration": asdict(calibration),
        "scale": rounded(head.scale),
        "weights": {name: rounded(weights) for name, weights in zip(CRITERIA, head.weights.T, strict=True)},
        **rewards_of_hacks(config, reward_model, tasks, by_index, feedback, checks),
        "effect_auc": effect_auc(kept, scores),
        "pair_accuracy_by_criterion": by_criterion(rubric, kept, judged, scores),
    } | correlations(rubric, feedback, scores, held_out)
    for name in names:
        checkpoint_of(workspace, name).remove()
    return report


def combined(
    settings: RewardModelConfig, base: Base, model: Any, names: Sequence[str], heads: Sequence[RewardHead]
) -> RewardModel:
    """The members as one reward model: an ensemble that asks each, or one of their mean weights."""
    if settings.combine == "average" and len(heads) > 1:
        model.add_weighted_adapter(names, [1 / len(names)] * len(names), "averaged", combination_type="cat")
        return RewardModel(base, model, averaged(heads).to(base.device), ["averaged"])
    return RewardModel(base, model, stacked(heads, settings.risk).to(base.device), names)


def scores_of(
    head: RewardHead, logprobs: Mapping[str, torch.Tensor], findings: Mapping[str, torch.Tensor]
) -> dict[str, list[float]]:
    """Per task, its programs' rewards."""
    with torch.no_grad():
        return {task_id: head(logprobs[task_id], findings[task_id]).tolist() for task_id in logprobs}


def liking_length(
    feedback: Sequence[Feedback], codes: Mapping[tuple[str, int], str], bias: float
) -> Sequence[Feedback]:
    """The feedback as a judge would give it to whom each doubling of the code is worth `bias`."""
    if not bias:
        return feedback
    return [
        item
        if item.score is None
        else replace(item, score=item.score + bias * math.log2(1 + len(codes[item.task_id, item.index])))
        for item in feedback
    ]


def exchanged(pair: Preference) -> Preference:
    """Chosen and rejected the other way round."""
    return replace(pair, chosen=pair.rejected, rejected=pair.chosen)


def turned_round(
    pairs: Mapping[str, Sequence[Preference]], tasks: Sequence[str], share: float, seed: int
) -> dict[str, list[Preference]]:
    """The tasks' preferences, a share of them, drawn by seed, with chosen and rejected exchanged."""
    rng = random.Random(f"{seed}/flipped")
    return {task_id: [exchanged(p) if rng.random() < share else p for p in pairs[task_id]] for task_id in tasks}


def calibrated(pairs: Sequence[Preference], scores: Mapping[str, Sequence[float]], deviation: float) -> Calibration:
    """Fits the temperature to held-out pairs. The log loss with it is measured on each half of the tasks with the
    temperature of the other half.
    """
    apart = [(scores[p.task_id][p.chosen] - scores[p.task_id][p.rejected]) * deviation for p in pairs]
    labels = [p.label for p in pairs]
    losses = []
    number = {task_id: i for i, task_id in enumerate(dict.fromkeys(p.task_id for p in pairs))}
    for half in (0, 1):
        of_half, of_other = ([i for i, p in enumerate(pairs) if number[p.task_id] % 2 == h] for h in (half, 1 - half))
        if of_half and of_other:
            fitted = temperature([apart[i] for i in of_other], [labels[i] for i in of_other])
            losses += [log_loss([apart[i] / fitted], [labels[i]]) for i in of_half]
    return Calibration(
        temperature=round(temperature(apart, labels), 4),
        log_loss=round(sum(losses) / len(losses), 4) if losses else None,
        log_loss_without=round(log_loss(apart, labels), 4) if pairs else None,
        pairs=len(pairs),
    )


def rewards_of_hacks(
    config: Config,
    reward_model: RewardModel,
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
    with progress.bar("reward-model hacks", len(honest), unit="programs") as bar:
        for task_id, code in honest.items():
            task = tasks[task_id]
            hacked = hacks(code, task.instruction, checks.docs[task_id])
            programs = [code, *hacked.values()]
            before, *after = reward_model.score(
                [Read(task.instruction, program, findings_of(checks.check(program, task))) for program in programs]
            )
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
    prompts = {p.task_id: p.text for p in workspace.prompts("practice")}
    texts = {
        (c.task_id, c.index): c.text
        for one in workspace.rounds
        for c in one.read_records(Completion, "sample/completions.jsonl")
    }
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


def split_tasks(tasks: Sequence[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Tasks to learn from and tasks held out."""
    shuffled = list(tasks)
    random.Random(seed).shuffle(shuffled)
    n_held = min(round(share * len(shuffled)), len(shuffled) - 1) if shuffled else 0
    return shuffled[n_held:], shuffled[:n_held]


def pair_accuracy(pairs: Sequence[Preference], scores: Mapping[str, Sequence[float]]) -> dict[str, Any] | None:
    """Share of the preferences that the rewards order rightly, of `n` pairs of so many tasks; the interval knows that a
    task's pairs hang together.
    """
    right = [scores[p.task_id][p.chosen] > scores[p.task_id][p.rejected] for p in pairs]
    if not right:
        return None
    interval = clustered_rate(right, [p.task_id for p in pairs])
    return {"value": interval.value, "low": interval.low, "high": interval.high, "n": interval.n} | {
        "tasks": len({p.task_id for p in pairs})
    }


def effect_auc(pairs: Sequence[Preference], scores: Mapping[str, Sequence[float]]) -> float | None:
    """How well the reward tells what does as asked from what does not, over tasks: the references and the mutants with
    another effect among these pairs. None where there are none.
    """
    programs: dict[tuple[str, int], bool] = {}
    for pair in pairs:
        if pair.source == "mutant":
            programs |= {(pair.task_id, pair.chosen): True, (pair.task_id, pair.rejected): False}
    return _rounded(auc([scores[task_id][place] for task_id, place in programs], list(programs.values())))


def by_criterion(
    rubric: Rubric, pairs: Sequence[Preference], feedback: Sequence[Feedback], scores: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    """Of the sampled pairs that a criterion tells apart, in what share the one ahead has the higher reward."""
    by_place = {(item.task_id, item.index): item for item in feedback}
    sampled = [pair for pair in pairs if pair.source == "sampled"]
    found: dict[str, Any] = {}
    for criterion in rubric.criteria:
        told = []
        for pair in sampled:
            ahead = lead(criterion, *(by_place[pair.task_id, place] for place in (pair.chosen, pair.rejected)))
            if ahead:
                told.append(pair if ahead > 0 else exchanged(pair))
        found[criterion.id] = pair_accuracy(told, scores)
    return found


def correlations(
    rubric: Rubric, feedback: Sequence[Feedback], scores: Mapping[str, Sequence[float]], held_out: Sequence[str]
) -> dict[str, Any]:
    """On the held-out tasks: rank correlation with the score, how well the reward tells what ran and what each
    criterion's yes is (areas under the curve), and what ran of each fifth of the rewards, lowest first.
    """
    known = [f for f in feedback if f.task_id in set(held_out) and f.score is not None and f.execution is not None]
    reward = {(f.task_id, f.index): scores[f.task_id][f.index] for f in known}
    by_criterion = {}
    for criterion in rubric.criteria:
        told = [(f, v) for f in known if (v := counting(criterion, f.verdicts)) is not None and v.answer != "unscored"]
        area = auc([reward[f.task_id, f.index] for f, _ in told], [v.answer == "yes" for _, v in told])
        by_criterion[criterion.id] = _rounded(area)
    run = [
        (reward[f.task_id, f.index], bool(f.execution.ran))
        for f in known
        if f.execution and f.execution.ran is not None
    ]
    run.sort(key=lambda pair: pair[0])
    bands = [run[len(run) * band // N_BANDS : len(run) * (band + 1) // N_BANDS] for band in range(N_BANDS)]
    return {
        "score_correlation": _rounded(
            spearman([reward[f.task_id, f.index] for f in known], [f.score or 0.0 for f in known])
        ),
        "execution_auc": _rounded(auc([value for value, _ in run], [ran for _, ran in run])),
        "criterion_auc": by_criterion,
        "bands": [
            {
                "from": round(band[0][0], 3),
                "to": round(band[-1][0], 3),
                "ran": sum(ran for _, ran in band),
                "n": len(band),
            }
            for band in bands
            if band
        ],
        "held_out_completions": len(known),
    }


def rounded(values: torch.Tensor) -> float | list[float]:
    """A member's number, or those of several."""
    found = [round(value, 4) for value in values.tolist()]
    return found[0] if len(found) == 1 else found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
