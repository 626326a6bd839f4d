"""The panel: what static checks, the sandbox, judges and people say about a completion becomes one score.

Each judge's verdicts are kept. Where several judges answered a criterion, or the bench has measured how far one can be
trusted, a further verdict, signed `panel`, is what they say together; that one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from kohai.config import ANSWERERS
from kohai.judge.reliability import Reliability, sigmoid, worth
from kohai.judge.rubric import Criterion, Rubric
from kohai.records import Answer, Completion, Execution, Feedback, Task, Verdict

OnDone = Callable[[int], None]
Pooling = Literal["log_odds", "majority"]
PANEL = "panel"
SIGNATURE = 12  # signs of the rubric's digest that a verdict carries


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
        self,
        criteria: Sequence[Criterion],
        cases: Sequence[Case],
        on_done: OnDone | None = None,
        fresh: bool = False,
    ) -> list[list[Verdict]]:
        """One verdict per criterion, in their order, for each case, in their order; no answer is `unscored`.

        `on_done` is told how many more cases are done; `fresh` asks again even what is remembered.
        """

    def note(self) -> str:
        """A few words on how it goes, for a progress bar; may be empty."""


@dataclass(frozen=True, slots=True)
class Member:
    """A judge of the panel, its voice, and what the bench found of it by criterion."""

    answerer: Answerer
    weight: float = 1.0
    reliability: Mapping[str, Reliability] = field(default_factory=dict)

    def answer(
        self, criteria: Sequence[Criterion], cases: Sequence[Case], on_done: OnDone | None
    ) -> list[list[Verdict]]:
        """As the answerer's; criteria on which it is switched off are not asked."""
        asked = self.asked(criteria)
        off = {c.id: self.reliability[c.id] for c in criteria if c not in asked}
        answered = self.answerer.answer(asked, cases, on_done) if asked else [[] for _ in cases]
        name = self.answerer.name
        silent = [Verdict(criterion, "unscored", name, why.why_off()) for criterion, why in off.items()]
        return [[*verdicts, *silent] for verdicts in answered]

    def asked(self, criteria: Sequence[Criterion]) -> list[Criterion]:
        """Those on which it is not switched off."""
        return [c for c in criteria if c.id not in self.reliability or not self.reliability[c.id].is_off]

    def worth(self, verdict: Verdict) -> float:
        """Log-odds of yes that one of its scored verdicts is worth."""
        return worth(verdict, self.reliability.get(verdict.criterion))


@dataclass(frozen=True)
class Panel:
    """Judges, how their verdicts become one, and the one that is asked where they disagree."""

    members: Sequence[Member]
    pooling: Pooling = "log_odds"
    dear: Member | None = None  # asked only where the members disagree; decides there

    @property
    def judges(self) -> tuple[Member, ...]:
        """The members, and the one that is asked where they disagree."""
        return (*self.members, *([self.dear] if self.dear is not None else []))

    def answer(
        self, criteria: Sequence[Criterion], cases: Sequence[Case], on_done: OnDone | None = None
    ) -> list[list[Verdict]]:
        """All verdicts of all judges on each case, and the panel's own."""
        verdicts: list[list[Verdict]] = [[] for _ in cases]
        last = max((n for n, member in enumerate(self.members) if member.asked(criteria)), default=None)
        for number, member in enumerate(self.members):
            counted = on_done if number == last else None
            for found, answered in zip(verdicts, member.answer(criteria, cases, counted), strict=True):
                found += answered
        for criterion in criteria if self.dear is not None else ():
            split = [index for index, found in enumerate(verdicts) if self._disagree(criterion, found)]
            assert self.dear is not None
            dear = self.dear.answer([criterion], [cases[index] for index in split], None) if split else []
            for index, decided in zip(split, dear, strict=True):
                verdicts[index] += decided
        for found in verdicts:
            together = [self._together(criterion, found) for criterion in criteria]
            found += [verdict for verdict in together if verdict is not None]
        return verdicts

    def note(self) -> str:
        """Of all judges."""
        return "; ".join(note for member in self.judges if (note := member.answerer.note()))

    def _disagree(self, criterion: Criterion, verdicts: Sequence[Verdict]) -> bool:
        return len({v.answer for v in verdicts if v.criterion == criterion.id and v.answer != "unscored"}) > 1

    def _together(self, criterion: Criterion, verdicts: Sequence[Verdict]) -> Verdict | None:
        """The panel's verdict on a criterion; None where a single, unmeasured judge's own one says it all."""
        by_name = {member.answerer.name: member for member in self.members}
        about = [v for v in verdicts if v.criterion == criterion.id]
        votes = [(by_name[v.answerer], v) for v in about if v.answerer in by_name and v.answer != "unscored"]
        if len(self.members) == 1 and self.dear is None and criterion.id not in self.members[0].reliability:
            return None
        words = ", ".join(f"{v.answerer} {_worded(v)}" for v in about)
        if len({v.answer for _, v in votes}) > 1:
            words += "; they disagree"
        decided = next((v for v in about if self.dear is not None and v.answerer == self.dear.answerer.name), None)
        if decided is not None and decided.answer != "unscored" and self.dear is not None:
            votes, words = [(self.dear, decided)], words + f"; {decided.answerer} decides"
        probability = pooled([(m.weight, m.worth(v), v.answer == "yes") for m, v in votes], self.pooling)
        if probability is None or probability == 0.5:
            return Verdict(criterion.id, "unscored", PANEL, words or "nobody was asked")
        answer: Answer = "yes" if probability > 0.5 else "no"
        return Verdict(criterion.id, answer, PANEL, words, round(probability, 6))


def pooled(votes: Sequence[tuple[float, float, bool]], pooling: Pooling) -> float | None:
    """Probability of yes from (weight, log-odds, is yes) of each judge; None without votes.

    `log_odds`: 1 / (1 + exp(-sum(weight * log-odds))), as if each erred by itself, from even odds. `majority`: the
    share of the weights that say yes.
    """
    if not votes:
        return None
    if pooling == "majority":
        return sum(weight for weight, _, is_yes in votes if is_yes) / sum(weight for weight, _, _ in votes)
    return sigmoid(sum(weight * log_odds for weight, log_odds, _ in votes))


def answer_runs(execution: Execution) -> Verdict:
    """The criterion `runs`: the program's own fault is a no, anybody else's is unscored."""
    what = f"{execution.kind}: {execution.evidence}" if execution.evidence else execution.kind
    answers: dict[bool | None, Answer] = {True: "yes", False: "no", None: "unscored"}
    return Verdict("runs", answers[execution.ran], "execution", what)


def judge(
    rubric: Rubric,
    cases: Sequence[Case],
    panel: Panel | None,
    soft: bool = False,
    on_done: OnDone | None = None,
    labels: Mapping[tuple[str, int], Sequence[Verdict]] | None = None,
) -> list[Feedback]:
    """The feedback on each case: static verdicts, `runs`, the panel's to the `llm` criteria, and people's labels.

    Without a panel the `llm` criteria get no verdict but people's. `labels` are by (task id, index).
    """
    static_ids = {criterion.id for criterion in rubric.asked_of("static")}
    asks_runs = bool(rubric.asked_of("execution"))
    questions = rubric.asked_of("llm")
    answers: list[list[Verdict]] = [[] for _ in cases]
    if panel is not None and questions:
        answers = panel.answer(questions, cases, on_done)
    signature = rubric.digest[:SIGNATURE]
    feedback = []
    for case, answered in zip(cases, answers, strict=True):
        verdicts = [verdict for verdict in case.static if verdict.criterion in static_ids]
        if asks_runs:
            verdicts.append(answer_runs(case.execution))
        verdicts += answered
        verdicts += (labels or {}).get((case.task.id, case.completion.index), ())
        verdicts = [replace(verdict, rubric=signature) for verdict in verdicts]
        score, spread = aggregate(rubric, verdicts, soft), deviation(rubric, verdicts)
        feedback.append(
            Feedback(case.task.id, case.completion.index, score, tuple(verdicts), case.execution, round(spread, 6))
        )
    return feedback


def aggregate(rubric: Rubric, verdicts: Sequence[Verdict], soft: bool = False) -> float | None:
    """The weighted share of yes among the scored criteria, in [0, 1]; None where none was scored.

        score = sum(w_c * y_c) / sum(w_c)   over the criteria c with a yes or a no

    y_c is 1 for yes and 0 for no. With `soft`, y_c of an `llm` criterion is the verdict's probability of yes where it
    has one. Of several verdicts on a criterion counts the scored one whose answerer stands first in the criterion's
    list, and among judges' the panel's. A no to a hard criterion makes the score 0. Verdicts on criteria that the
    rubric lacks are ignored.
    """
    total = weights = 0.0
    is_gated = False
    for criterion in rubric.criteria:
        verdict = counting(criterion, verdicts)
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


def deviation(rubric: Rubric, verdicts: Sequence[Verdict]) -> float:
    """Standard deviation of the score if each criterion is a coin that falls on yes with its verdict's probability.

        sqrt(sum(w_c^2 * p_c * (1 - p_c))) / sum(w_c)

    What static checks, execution and people say counts as certain, and so does a judge that gives no probability; a no
    to a hard criterion leaves nothing open.
    """
    variance = weights = 0.0
    for criterion in rubric.criteria:
        verdict = counting(criterion, verdicts)
        if verdict is None:
            continue
        if criterion.hard and verdict.answer == "no":
            return 0.0
        weights += criterion.weight
        if _kind(verdict) == "llm" and verdict.probability is not None:
            variance += criterion.weight**2 * verdict.probability * (1 - verdict.probability)
    return variance**0.5 / weights if weights else 0.0


def counting(criterion: Criterion, verdicts: Sequence[Verdict]) -> Verdict | None:
    """The verdict that counts for a criterion: of its most trusted answerer that scored it. Where there is a panel's,
    that stands for its judges, unscored or not.
    """
    about = [v for v in verdicts if v.criterion == criterion.id and _kind(v) in criterion.answerers]
    if any(verdict.answerer == PANEL for verdict in about):
        about = [verdict for verdict in about if verdict.answerer == PANEL or _kind(verdict) != "llm"]
    scored = [verdict for verdict in about if verdict.answer != "unscored"]
    return min(scored, key=lambda v: criterion.answerers.index(_kind(v)), default=None)


def _worded(verdict: Verdict) -> str:
    return verdict.answer if verdict.probability is None else f"{verdict.answer} ({verdict.probability:.2f})"


def _kind(verdict: Verdict) -> str:
    """A verdict's kind of answerer; judges sign with names of their own."""
    return verdict.answerer if verdict.answerer in ANSWERERS else "llm"
