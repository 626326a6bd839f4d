"""feedback: static checks, execution, the judges and people answer the rubric about each completion.

Each judge's voice is weighed by what the judge bench found of it (stage `judges`). What is asked of nobody, or not
answered, is unscored: counted, and past `feedback.max_unscored` the stage stops.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kohai import progress
from kohai.config import ANSWERERS, Config
from kohai.errors import DataError, UnscoredError
from kohai.judge import Case, EndpointJudge, judge, load_rubric
from kohai.judge.endpoint import Estimate
from kohai.judge.panel import PANEL, counting
from kohai.judge.people import PERSON, against_people
from kohai.judge.reliability import OFF
from kohai.models.judging import (
    CALIBRATION,
    RELIABILITY,
    REVIEWER,
    answers_depend_on,
    endpoints_of_run,
    keep_reviews,
    panel_of_run,
    voice,
)
from kohai.records import Completion, Feedback, Label, Task, Verdict, read_lines
from kohai.sandbox import of_run
from kohai.sandbox.of_run import execute
from kohai.verify.of_run import RunChecks
from kohai.workspace import Workspace


def depends(config: Config, workspace: Workspace) -> tuple[dict[str, Any], list[Path]]:
    """Settings and inputs of this stage."""
    outcomes, fixtures = of_run.depends(config, workspace)
    dear = [config.feedback.escalate_to] if config.feedback.escalate_to is not None else []
    settings = {
        "feedback": answers_depend_on(config),
        "panel": {
            "weights": {member: voice(config, member) for member in (*config.feedback.judges, *dear)},
            "switch_off": config.feedback.bench.switch_off,
        }
        | config.feedback.model_dump(mode="json", include={"pooling", "soft", "max_unscored"}),
        "outcomes": outcomes,
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
    }
    inputs = [
        config.feedback.rubric,
        workspace.path("prepare", "catalog.json"),
        fixtures,
        *(workspace.path("prepare", kind, "practice.jsonl") for kind in ("prompts", "tasks")),
        workspace.path("sample", "completions.jsonl"),
        workspace.path(RELIABILITY),
    ]
    if "reviewer" in config.feedback.judges:
        inputs += [workspace.path(CALIBRATION), workspace.path(REVIEWER)]
    if config.feedback.labels is not None:
        inputs.append(config.feedback.labels)
    return settings, inputs


def run(config: Config, workspace: Workspace) -> dict[str, Any]:
    """Writes one Feedback a completion.

    Returns:
        Answers by criterion, failure kinds, mean score, where judges disagreed, what people's labels say of the other
        answerers, and what endpoints used.

    Raises:
        UnscoredError: more questions have no answer than `feedback.max_unscored` allows.
    """
    rubric = load_rubric(config.feedback.rubric)
    cases = executed_cases(config, workspace)
    codes = {(case.task.id, case.completion.index): case.completion.code for case in cases}
    labels, n_elsewhere = labels_of(config.feedback.labels, codes)
    with (
        panel_of_run(config, workspace) as panel,
        progress.bar("feedback", len(cases), unit="completions") as bar,
    ):
        counted = lambda done: bar.advance(done, note=panel.note())  # noqa: E731
        feedback = judge(rubric, cases, panel, config.feedback.soft, counted, labels)
    answers = {
        c.id: Counter("unscored" if (v := counting(c, f.verdicts)) is None else v.answer for f in feedback)
        for c in rubric.criteria
    }
    refuse_unscored(feedback, config.feedback.max_unscored)
    workspace.write_records("feedback/feedback.jsonl", feedback)
    judges = [member.answerer for member in panel.judges]
    keep_reviews(workspace, "feedback", judges)
    scores = [f.score for f in feedback if f.score is not None]
    return {
        "completions": len(feedback),
        "criteria": {name: dict(sorted(count.items())) for name, count in answers.items()},
        "kinds": dict(Counter(case.execution.kind for case in cases).most_common()),
        "score_mean": round(sum(scores) / len(scores), 4) if scores else None,
        "unscored": len(feedback) - len(scores),
        "rubric": rubric.digest,
        "judges": [answerer.name for answerer in judges],
        "disagreements": disagreements(feedback),
        "people": against_people(feedback),
        "labels_of_no_completion": n_elsewhere,
        "endpoints": {answerer.name: answerer.report() for answerer in judges if isinstance(answerer, EndpointJudge)},
    }


def disagreements(feedback: Sequence[Feedback]) -> dict[str, int]:
    """By criterion, on how many completions the judges' answers differ."""
    found: Counter[str] = Counter()
    for item in feedback:
        answers: dict[str, set[str]] = defaultdict(set)
        for verdict in item.verdicts:
            if verdict.answer != "unscored" and verdict.answerer not in (*ANSWERERS, PANEL):
                answers[verdict.criterion].add(verdict.answer)
        found.update(criterion for criterion, given in answers.items() if len(given) > 1)
    return dict(found)


def estimate(config: Config, workspace: Workspace) -> dict[str, Estimate]:
    """Per endpoint, what the stage would ask and what that would use; the one for escalation as if all were split,
    which it is asked by the criterion.
    """
    criteria = load_rubric(config.feedback.rubric).asked_of("llm")
    cases = executed_cases(config, workspace)
    with endpoints_of_run(config, workspace) as judges:
        return {
            name: judge.estimate(criteria, cases, one_each=name == config.feedback.escalate_to)
            for name, judge in judges.items()
        }


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


def labels_of(
    path: Path | None, codes: Mapping[tuple[str, int], str]
) -> tuple[dict[tuple[str, int], list[Verdict]], int]:
    """People's answers about these completions, by task and index; the last one on a criterion counts. And of how many
    others, or of other programs in their place, there are any.

    Raises:
        DataError: names file, line and field.
    """
    if path is None:
        return {}, 0
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"feedback.labels: {path}: cannot be read ({error})") from None
    found: dict[tuple[str, int], dict[str, Verdict]] = {}
    elsewhere = set()
    for label in read_lines(Label, lines, str(path)):
        place = label.task_id, label.index
        if place not in codes or label.code not in (None, codes[place]):
            elsewhere.add(place)
            continue
        found.setdefault(place, {})[label.criterion] = Verdict(label.criterion, label.answer, PERSON, label.note)
    return {key: list(by_criterion.values()) for key, by_criterion in found.items()}, len(elsewhere)


def refuse_unscored(feedback: Sequence[Feedback], limit: float) -> None:
    """Stops where too many questions have no answer from anybody who was asked, and says who failed and why.

    Static checks are left aside: they are silent where a program does not parse. A judge that is switched off was not
    asked, and the panel only sums up.
    """
    n_asked = 0
    missing: list[list[Verdict]] = []
    for item in feedback:
        asked: dict[str, list[Verdict]] = defaultdict(list)
        for verdict in item.verdicts:
            if verdict.answerer not in ("static", PANEL) and not verdict.evidence.startswith(OFF):
                asked[verdict.criterion].append(verdict)
        n_asked += len(asked)
        missing += [found for found in asked.values() if all(verdict.answer == "unscored" for verdict in found)]
    if n_asked and len(missing) > limit * n_asked:
        causes = Counter(f"{v.answerer}: {v.criterion}: {v.evidence[:80]}" for f in missing for v in f).most_common(5)
        lines = "\n".join(f"  {count} x {cause}" for cause, count in causes)
        raise UnscoredError(
            f"feedback: {len(missing)} of {n_asked} questions are unscored, more than "
            f"feedback.max_unscored = {limit:g} allows; the commonest causes:\n{lines}"
        )
