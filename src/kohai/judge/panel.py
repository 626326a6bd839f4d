"""The panel: what static checks, the sandbox and a judge say about a completion becomes one score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kohai.judge.rubric import ANSWERERS, Criterion, Rubric
from kohai.records import Answer, Completion, Execution, Feedback, Task, Verdict

OnDone = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One completion with all that is known of it when it is judged; `docs` are the api docs of its prompt."""

    task: Task
    completion: Completion
    docs: str
    execution: Execution
    static: Sequence[Verdict]


class Answerer(Protocol):
    """Somebody who answers criteria about cases; `name` goes into each verdict."""

    @property
    def name(self) -> str:
        """Who answered."""

    def answer(
        self, criteria: Sequence[Criterion], cases: Sequence[Case], on_done: OnDone | None = None
    ) -> list[list[Verdict]]:
        """One verdict per criterion, in their order, for each case, in their order; no answer is `unscored`.

        `on_done` is told how many more cases are done.
        """


def answer_runs(execution: Execution) -> Verdict:
    """The criterion `runs`: the program's own fault is a no, anybody else's is unscored."""
    what = f"{execution.kind}: {execution.evidence}" if execution.evidence else execution.kind
    answers: dict[bool | None, Answer] = {True: "yes", False: "no", None: "unscored"}
    return Verdict("runs", answers[execution.ran], "execution", what)


def judge(
    rubric: Rubric, cases: Sequence[Case], answerer: Answerer | None, soft: bool = False, on_done: OnDone | None = None
) -> list[Feedback]:
    """The feedback on each case: static verdicts, `runs`, and the answerer's to the `llm` criteria.

    Without an answerer the `llm` criteria get no verdict; nor do those that only people answer.
    """
    static_ids = {criterion.id for criterion in rubric.asked_of("static")}
    asks_runs = bool(rubric.asked_of("execution"))
    questions = rubric.asked_of("llm")
    answers: list[list[Verdict]] = [[] for _ in cases]
    if answerer is not None and questions:
        answers = answerer.answer(questions, cases, on_done)
    feedback = []
    for case, answered in zip(cases, answers, strict=True):
        verdicts = [verdict for verdict in case.static if verdict.criterion in static_ids]
        if asks_runs:
            verdicts.append(answer_runs(case.execution))
        verdicts += answered
        score = aggregate(rubric, verdicts, soft)
        item = Feedback(case.task.id, case.completion.index, score, tuple(verdicts), case.execution)
        feedback.append(item)
    return feedback


def aggregate(rubric: Rubric, verdicts: Sequence[Verdict], soft: bool = False) -> float | None:
    """The weighted share of yes among the scored criteria, in [0, 1]; None where none was scored.

        score = sum(w_c * y_c) / sum(w_c)   over the criteria c with a yes or a no

    y_c is 1 for yes and 0 for no. With `soft`, y_c of an `llm` criterion is the verdict's probability of yes where it
    has one. Of several verdicts on a criterion counts the scored one whose answerer stands first in the criterion's
    list. A no to a hard criterion makes the score 0. Verdicts on criteria that the rubric lacks are ignored.
    """
    total = weights = 0.0
    is_gated = False
    for criterion in rubric.criteria:
        verdict = _counting(criterion, verdicts)
        if verdict is None:
            continue
        value = 1.0 if verdict.answer == "yes" else 0.0
        if soft and _kind(verdict) == "llm" and verdict.probability is not None:
            value = verdict.probability
        total += criterion.weight * value
        weights += criterion.weight
        is_gated = is_gated or (criterion.hard and verdict.answer == "no")
    if weights == 0:
        return None
    return 0.0 if is_gated else total / weights


def _counting(criterion: Criterion, verdicts: Sequence[Verdict]) -> Verdict | None:
    """The verdict that counts for a criterion: scored, and of its most trusted answerer."""
    scored = [
        verdict
        for verdict in verdicts
        if verdict.criterion == criterion.id and verdict.answer != "unscored" and _kind(verdict) in criterion.answerers
    ]
    return min(scored, key=lambda verdict: criterion.answerers.index(_kind(verdict)), default=None)


def _kind(verdict: Verdict) -> str:
    """A verdict's kind of answerer; judges sign with names of their own."""
    return verdict.answerer if verdict.answerer in ANSWERERS else "llm"
