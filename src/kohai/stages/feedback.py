"""feedback: static checks, execution and a judge answer the rubric about each completion.

Offline the judge is the reviewer, tuned here on the demo references turned round and calibrated on references that it
did not learn from, against their mutants. With an endpoint the judge is that server's model. What is asked of nobody,
or not answered, is unscored: counted, and past `feedback.max_unscored` the stage stops.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kohai import progress
from kohai.catalog import Catalog
from kohai.config import Config
from kohai.errors import DataError, UnscoredError
from kohai.judge import Answerer, Case, EndpointJudge, judge, load_rubric, mutants
from kohai.ledger import Ledger
from kohai.models import adapters
from kohai.models.base import load_base
from kohai.models.reviewer import Calibration, Reviewer, calibrate, review, review_group
from kohai.models.tracking import Tracker
from kohai.models.tuning import tune
from kohai.records import Completion, Feedback, Task
from kohai.sandbox.of_run import execute
from kohai.verify.of_run import RunChecks
from kohai.workspace import Workspace

Pairs = list[tuple[str, str]]  # instruction, code
MUTANTS_TRIED = 3  # of a reference, for one that runs and does something else


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    settings = {
        "feedback": config.feedback.model_dump(mode="json"),
        "sandbox": config.sandbox.model_dump(mode="json"),
        "package": config.package.model_dump(mode="json"),
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    inputs = [
        config.feedback.rubric,
        workspace.path("prepare", "catalog.json"),
        workspace.path("prepare", "prompts.jsonl"),
        workspace.path("sample", "completions.jsonl"),
    ]
    return settings, inputs


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Writes one Feedback a completion.

    Returns:
        Answers by criterion, failure kinds, mean score, the judge and how it was calibrated.

    Raises:
        UnscoredError: more verdicts are missing than `feedback.max_unscored` allows.
    """
    rubric = load_rubric(config.feedback.rubric)
    cases = executed_cases(config, workspace)
    with (
        answerer(config, workspace) as (judging, report),
        progress.bar("feedback", len(cases), unit="completions") as bar,
    ):
        feedback = judge(rubric, cases, judging, config.feedback.soft, lambda done: bar.advance(done))
    answers = {
        c.id: Counter(v.answer for f in feedback for v in f.verdicts if v.criterion == c.id) for c in rubric.criteria
    }
    refuse_unscored(feedback, config.feedback.max_unscored)
    workspace.write_records("feedback/feedback.jsonl", feedback)
    if isinstance(judging, Reviewer):
        workspace.write_json("feedback/reviews.json", judging.scores)
    scores = [f.score for f in feedback if f.score is not None]
    return {
        "completions": len(feedback),
        "criteria": {name: dict(sorted(count.items())) for name, count in answers.items()},
        "kinds": dict(Counter(case.execution.kind for case in cases).most_common()),
        "score_mean": round(sum(scores) / len(scores), 4) if scores else None,
        "unscored": len(feedback) - len(scores),
        "rubric": rubric.digest,
    } | report


def executed_cases(config: Config, workspace: Workspace) -> list[Case]:
    """Each completion with its static verdicts and what happened when it ran."""
    checks = RunChecks.of(workspace)
    tasks = {t.id: t for t in workspace.read_records(Task, "prepare/tasks/practice.jsonl")}
    completions = workspace.read_records(Completion, "sample/completions.jsonl")
    executions = execute(config, workspace, [(c.code, tasks[c.task_id]) for c in completions])
    cases = []
    for completion, execution in zip(completions, executions, strict=True):
        task = tasks[completion.task_id]
        cases.append(Case(task, completion, checks.docs[task.id], execution, checks.check(completion.code, task)))
    return cases


@contextmanager
def answerer(config: Config, workspace: Workspace) -> Iterator[tuple[Answerer, dict[str, Any]]]:
    """Who answers the `llm` criteria, and what the report says of it."""
    if config.feedback.judge == "endpoint":
        assert config.feedback.endpoint is not None
        with Ledger(workspace.path("ledger.sqlite")) as ledger:
            yield EndpointJudge(config.feedback.endpoint, ledger), {"judge": config.feedback.endpoint.model}
        return
    base = load_base(config.model)
    folder = workspace.path("feedback", "reviewer")
    settings = config.feedback.reviewer
    if not folder.exists():
        pairs = []
        for task in workspace.read_records(Task, "prepare/tasks/demo.jsonl"):
            prompt, answers = review_group(base, task.instruction, task.reference or "")
            pairs.append((prompt, answers[0]))
        with Tracker(workspace.path("feedback"), f"{config.run.name}-reviewer", config.report_to) as tracker:
            tune(
                base,
                pairs,
                folder,
                name="reviewer",
                lora=settings.lora,
                epochs=settings.epochs,
                learning_rate=settings.learning_rate,
                batch_size=settings.batch_size,
                seed=config.seed,
                tracker=tracker,
            )
    model = adapters.load(base, base.model, "reviewer", folder)
    with adapters.merged(model, "reviewer") as plain:
        calibration = calibrated(config, workspace, lambda pairs: review(base, plain, pairs))
        workspace.write_json("feedback/calibration.json", calibration.as_dict())
        report = {
            "judge": "reviewer",
            "calibration": {k: None if v is None else round(v, 4) for k, v in calibration.as_dict().items()},
        }
        yield Reviewer(base, plain, calibration, settings.min_auc), report


def calibrated(config: Config, workspace: Workspace, score: Callable[[Pairs], list[float]]) -> Calibration:
    """The reviewer's curve, on references that it did not learn from and a mutant of each that does something else."""
    catalog = Catalog.from_json(workspace.path("prepare", "catalog.json").read_text(encoding="utf-8"))
    tasks = [t for t in workspace.read_records(Task, "prepare/tasks/calibration.jsonl") if t.reference]
    if not tasks:
        tasks = workspace.read_records(Task, "prepare/tasks/demo.jsonl")[: config.feedback.reviewer.n_calibration]
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
        effect = (execution.state, execution.stdout)
        if code == task.reference:
            of_reference = effect
            right.append((task.instruction, code))
        elif execution.ran and effect != of_reference and not (wrong and wrong[-1][0] == task.instruction):
            wrong.append((task.instruction, code))
    if not wrong:
        raise DataError(
            "feedback: no reference has a mutant that runs and does something else, so the reviewer cannot be "
            "calibrated; give tasks whose references call the package with literals, or use feedback.judge: endpoint"
        )
    return calibrate(score(right), score(wrong))


def refuse_unscored(feedback: Sequence[Feedback], limit: float) -> None:
    """Stops where too many answers are missing, and says of whom and why."""
    verdicts = [verdict for item in feedback for verdict in item.verdicts]
    asked = [v for v in verdicts if v.answerer != "static"]  # static checks are silent where a program does not parse
    missing = [v for v in asked if v.answer == "unscored"]
    if asked and len(missing) > limit * len(asked):
        causes = Counter(f"{v.answerer}: {v.criterion}: {v.evidence[:80]}" for v in missing).most_common(5)
        lines = "\n".join(f"  {count} x {cause}" for cause, count in causes)
        raise UnscoredError(
            f"feedback: {len(missing)} of {len(asked)} verdicts are unscored, more than "
            f"feedback.max_unscored = {limit:g} allows; the commonest causes:\n{lines}"
        )
