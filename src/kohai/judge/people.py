"""What people's labels say of the other answerers, and what rate of yes they bear out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kohai.judge.marks import as_json, chance
from kohai.judge.panel import PANEL
from kohai.metrics import Interval, clustered, kappa
from kohai.metrics.krippendorff import krippendorff
from kohai.metrics.prediction_powered import prediction_powered_rate
from kohai.records import Feedback, Verdict

PERSON = "human"
ENOUGH = 2  # labels from which on a rate is corrected


def against_people(feedback: Sequence[Feedback]) -> dict[str, Any]:
    """By criterion that people answered, as JSON values; intervals are `{value, low, high, n}`, None where the question
    has no answer.

    `labels`: how many of their answers are yes or no. `kappa`: of each other answerer with them, over the completions
    that both answered, its interval over tasks. `alpha`: Krippendorff's, of everybody on the labelled completions but
    the panel, which only sums up. `rate`: the share of yes among all completions that the answerer scored, as its
    answers corrected by the labels tell (prediction-powered inference); it holds where the labelled completions were
    drawn at random.
    """
    by_criterion: dict[str, list[tuple[str, dict[str, Verdict]]]] = {}
    for item in feedback:
        answers: dict[str, dict[str, Verdict]] = {}
        for verdict in item.verdicts:
            if verdict.answer != "unscored":
                answers.setdefault(verdict.criterion, {})[verdict.answerer] = verdict
        for criterion, by_answerer in answers.items():
            by_criterion.setdefault(criterion, []).append((item.task_id, by_answerer))
    return {
        criterion: _of_criterion(given)
        for criterion, given in by_criterion.items()
        if any(PERSON in by_answerer for _, by_answerer in given)
    }


def _of_criterion(given: Sequence[tuple[str, Mapping[str, Verdict]]]) -> dict[str, Any]:
    """Of a criterion, from who answered what about each completion."""
    labelled = [(task, answers) for task, answers in given if PERSON in answers]
    others = sorted({name for _, answers in given for name in answers} - {PERSON})
    raters = [PERSON, *(name for name in others if name != PANEL)]
    units = [[answers[name].answer if name in answers else None for name in raters] for _, answers in labelled]
    found: dict[str, Any] = {"labels": len(labelled), "alpha": as_json(krippendorff(units))}
    for name in others:
        both = [(task, answers) for task, answers in labelled if name in answers]
        said = [answers[name].answer == "yes" for _, answers in both]
        is_so = [answers[PERSON].answer == "yes" for _, answers in both]
        rate = None
        if len(both) >= ENOUGH:
            alone = [chance(answers[name]) for _, answers in given if name in answers and PERSON not in answers]
            corrected = prediction_powered_rate(is_so, [chance(answers[name]) for _, answers in both], alone)
            rate = Interval(corrected.value, corrected.low, corrected.high, len(both) + len(alone))
        found[name] = {
            "kappa": as_json(clustered(said, is_so, [task for task, _ in both], kappa)),
            "rate": as_json(rate),
        }
    return found
