"""judges: the local judges are made, and every judge is examined before it teaches.

The reviewer is tuned on the demo references turned round, and calibrated on references that it did not learn from,
against their mutants. Then each judge answers about programs whose truth is known: what it is worth on a criterion
weighs its verdicts in the feedback, and where it cannot be told from chance it is switched off, in writing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kohai import progress
from kohai.catalog import Catalog
from kohai.config import Config
from kohai.errors import DataError
from kohai.judge import Case, Criterion, load_rubric, mutants
from kohai.judge.endpoint import Estimate
from kohai.judge.exam import Item, effect_of, exam, same_effect, truth
from kohai.judge.marks import marks, reliability
from kohai.judge.panel import Answerer
from kohai.models import adapters
from kohai.models.base import load_base
from kohai.models.judging import (
    CALIBRATION,
    EXAM,
    RELIABILITY,
    REVIEWER,
    answers_depend_on,
    contrast_of_run,
    endpoints_of_run,
    judges_of_run,
    keep_reviews,
)
from kohai.models.reviewer import Calibration, calibrate, review_group, tell
from kohai.models.tracking import Tracker
from kohai.models.tuning import tune
from kohai.records import Completion, Examined, Task
from kohai.sandbox import of_run
from kohai.sandbox.of_run import execute
from kohai.verify.of_run import RunChecks
from kohai.workspace import Workspace

Pairs = list[tuple[str, str]]  # instruction, code
MUTANTS_TRIED = 3  # of a reference, for one that runs and does something else
BENCH = "judges/bench.json"


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    outcomes, fixtures = of_run.depends(config, workspace)
    settings = {
        "feedback": answers_depend_on(config),
        "outcomes": outcomes,
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    splits = ("demo", "calibration", "bench")
    of_splits = [workspace.path("prepare", kind, f"{split}.jsonl") for kind in ("prompts", "tasks") for split in splits]
    return settings, [
        config.feedback.rubric,
        workspace.path("prepare", "catalog.json"),
        fixtures,
        *of_splits,
    ]


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Writes the reviewer, its calibration, the examination's findings and what they make each judge's verdicts worth.

    Returns:
        The reviewer's calibration; per judge and criterion what the examination measured.
    """
    report: dict[str, Any] = {"judges": list(config.feedback.judges)}
    if "reviewer" in config.feedback.judges:
        calibration = make_reviewer(config, workspace)
        report["calibration"] = {k: None if v is None else round(v, 4) for k, v in calibration.as_dict().items()}
    found = examine(config, workspace)
    workspace.write_json(
        RELIABILITY,
        {
            name: {c: values["reliability"] for c, values in by_criterion.items() if values["reliability"] is not None}
            for name, by_criterion in found["judges"].items()
        },
    )
    workspace.write_json(BENCH, found)
    return report | {"bench": found}


def make_reviewer(config: Config, workspace: Workspace) -> Calibration:
    """Tunes the reviewer's adapter and fits its curve."""
    base = load_base(config.model)
    folder, settings = workspace.path(REVIEWER), config.feedback.reviewer
    if not folder.exists():
        pairs = []
        for task in workspace.read_records(Task, "prepare/tasks/demo.jsonl"):
            prompt, answers = review_group(base, task.instruction, task.reference or "")
            pairs.append((prompt, answers[0]))
        with Tracker(workspace.path("judges"), f"{config.run.name}-reviewer", config.report_to) as tracker:
            tune(
                base,
                pairs,
                folder,
                name="reviewer",
                settings=settings,
                start=settings.lora,
                seed=config.seed,
                tracker=tracker,
            )
    model = adapters.load(base, base.model, "reviewer", folder)
    contrast = contrast_of_run(config, workspace)
    with adapters.merged(model, "reviewer") as plain:
        calibration = calibrated(config, workspace, lambda pairs: tell(base, plain, pairs, contrast)[1])
    workspace.write_json(CALIBRATION, calibration.as_dict())
    return calibration


def calibrated(config: Config, workspace: Workspace, score: Callable[[Pairs], list[float | None]]) -> Calibration:
    """The reviewer's curve, on references that it did not learn from and a mutant of each that does something else.

    Of programs that `score` tells nothing of, None, it learns nothing. Programs for documented calls seldom show what
    they did: there another task's reference is the wrong program.
    """
    catalog = Catalog.from_json(workspace.path("prepare", "catalog.json").read_text(encoding="utf-8"))
    tasks = [t for t in workspace.read_records(Task, "prepare/tasks/calibration.jsonl") if t.reference]
    if not tasks:
        tasks = workspace.read_records(Task, "prepare/tasks/demo.jsonl")[: config.feedback.reviewer.n_calibration]
    right, wrong = of_others(tasks) if catalog.documented is not None else of_mutants(config, workspace, tasks, catalog)
    of_right, of_wrong = ([s for s in score(programs) if s is not None] for programs in (right, wrong))
    if not of_right or not of_wrong:
        raise DataError(
            "judges: no reference has a mutant that runs and does something else, or where docs name the calls a "
            "reference of another api, so the reviewer cannot be calibrated; give tasks whose references call the "
            "package with literals, or other feedback.judges"
        )
    return calibrate(of_right, of_wrong)


def of_others(tasks: Sequence[Task]) -> tuple[Pairs, Pairs]:
    """Each task's instruction with its reference, and with that of the next task of another api."""
    right = [(task.instruction, task.reference or "") for task in tasks]
    others = zip(tasks, [*tasks[1:], *tasks[:1]], strict=True)
    return right, [(task.instruction, other.reference or "") for task, other in others if task.apis != other.apis]


def of_mutants(config: Config, workspace: Workspace, tasks: Sequence[Task], catalog: Catalog) -> tuple[Pairs, Pairs]:
    """Each task's instruction with its reference, and with a mutant of it that runs and has another effect."""
    rng = random.Random(config.seed)
    programs = []
    for task in tasks:
        reference = task.reference or ""
        programs += [(reference, task), *((m.code, task) for m in mutants(reference, catalog, rng)[:MUTANTS_TRIED])]
    right: Pairs = []
    wrong: Pairs = []
    of_reference: tuple[str | None, str] | None = None
    executions = execute(config, workspace, programs)
    for (code, task), execution in zip(programs, executions, strict=True):
        effect = effect_of(execution)
        if code == task.reference:
            of_reference = effect
            right.append((task.instruction, code))
        elif execution.ran and effect != of_reference and not (wrong and wrong[-1][0] == task.instruction):
            wrong.append((task.instruction, code))
    return right, wrong


@dataclass(frozen=True)
class Bench:
    """What each judge is asked: the items as they ran, and by criterion the truth about each.

    criteria: those of the rubric that have both a yes and a no among the truths.
    """

    items: list[Item]
    cases: list[Case]
    truths: list[dict[str, bool | None]]
    is_right: list[bool | None]  # whatever the rubric asks: the reward model learns from those that are wrong
    criteria: list[Criterion]
    repeated: list[int]  # the cases that are asked a second time


def bench_of(config: Config, workspace: Workspace) -> Bench:
    """The items, run and checked."""
    tasks = workspace.read_records(Task, "prepare/tasks/bench.jsonl")
    criteria = load_rubric(config.feedback.rubric).asked_of("llm")
    checks = RunChecks.of(workspace)
    settings = config.feedback.bench
    items = exam(tasks, checks.catalog, [c.id for c in criteria], settings, random.Random(config.seed))
    executions = execute(config, workspace, [(item.code, item.task) for item in items]) if items else []
    cases, truths, is_right = [], [], []
    reference = 0
    for place, (item, execution) in enumerate(zip(items, executions, strict=True)):
        reference = place if item.kind == "reference" else reference
        completion = Completion(item.task.id, place, item.code, item.code)
        static = checks.check(item.code, item.task)
        cases.append(Case(item.task, completion, checks.docs[item.task.id], execution, static))
        truths.append({c.id: truth(c, cases[-1], executions[reference]) for c in criteria})
        is_right.append(same_effect(execution, executions[reference]))
    known = [c for c in criteria if {t[c.id] for t in truths} >= {True, False}]
    repeated = random.Random(config.seed).sample(range(len(cases)), min(settings.n_repeats, len(cases)))
    return Bench(items, cases, truths, is_right, known, repeated)


def estimate(config: Config, workspace: Workspace) -> dict[str, Estimate]:
    """Per endpoint, what the judge bench would ask and what that would use."""
    bench = bench_of(config, workspace)
    again = [bench.cases[i] for i in bench.repeated]
    with endpoints_of_run(config, workspace) as judges:
        return {name: judge.estimate(bench.criteria, bench.cases, again) for name, judge in judges.items()}


def examine(config: Config, workspace: Workspace) -> dict[str, Any]:
    """What the judge bench measures of each judge on each criterion whose truth is known."""
    bench = bench_of(config, workspace)
    workspace.write_records(
        EXAM,
        [
            Examined(i.task.id, i.task.instruction, i.code, i.kind, i.operator, is_right)
            for i, is_right in zip(bench.items, bench.is_right, strict=True)
        ],
    )
    rubric = load_rubric(config.feedback.rubric)
    found: dict[str, Any] = {}
    with judges_of_run(config, workspace) as judges:
        for name, judge in judges.items():
            found[name] = ask(judge, bench)
        keep_reviews(workspace, "judges", judges.values())
    return {
        "tasks": sum(item.kind == "reference" for item in bench.items),
        "programs": len(bench.items),
        "rubric": rubric.digest,
        "unknown_truth": [c.id for c in rubric.asked_of("llm") if c not in bench.criteria],
        "judges": found,
    }


def ask(judge: Answerer, bench: Bench) -> dict[str, Any]:
    """One judge's answers, measured, by criterion; a sample is asked a second time."""
    criteria, cases = bench.criteria, bench.cases
    started = time.perf_counter()
    with progress.bar(f"judge bench: {judge.name}", len(cases), unit="programs") as bar:
        answers = judge.answer(criteria, cases, lambda done: bar.advance(done, note=judge.note()))
    seconds = (time.perf_counter() - started) / max(1, len(criteria))
    again = judge.answer(criteria, [cases[i] for i in bench.repeated], fresh=True) if bench.repeated else []
    found = {}
    for column, criterion in enumerate(criteria):
        verdicts = [row[column] for row in answers]
        repeated = [(verdicts[i], row[column]) for i, row in zip(bench.repeated, again, strict=True)]
        truths = [t[criterion.id] for t in bench.truths]
        found[criterion.id] = marks(bench.items, verdicts, truths, repeated, seconds) | {
            "reliability": reliability(bench.items, verdicts, truths)
        }
    return found
