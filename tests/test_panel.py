"""The panel: what several judges' verdicts are worth together, with numbers worked by hand."""

import math

import pytest

from kohai.config import parse_config
from kohai.judge import Case, Criterion, Member, Panel, Rubric, judge
from kohai.judge.panel import counting, deviation, pooled
from kohai.judge.reliability import SUREST, Reliability, fit, worth
from kohai.models.judging import answers_depend_on
from kohai.records import Completion, Execution, Task, Verdict

DOES_TASK = Criterion("does_task", "Does it do the task?", ("human", "llm"), 4.0)
RUBRIC = Rubric((Criterion("runs", "Does it run?", ("execution",), 3.0), DOES_TASK))


class Scripted:
    """Answers as told, case by case; remembers of whom it was asked. A probability stands for its answer."""

    def __init__(self, name, *answers):
        self.name = name
        self.answers = answers
        self.asked = []

    def answer(self, criteria, cases, on_done=None, fresh=False):
        """The told answers, by the case's index."""
        self.asked += [case.completion.index for case in cases]
        if on_done is not None:
            on_done(len(cases))
        return [[self._verdict(c.id, self.answers[case.completion.index]) for c in criteria] for case in cases]

    def note(self):
        """Its name."""
        return self.name

    def _verdict(self, criterion, answer):
        if isinstance(answer, float):
            return Verdict(criterion, "yes" if answer >= 0.5 else "no", self.name, "", answer)
        return Verdict(criterion, answer, self.name, "why")


def cases(n):
    return [
        Case(Task("t", "Do it."), Completion("t", index, "", "pass"), "", Execution("ok", "none"), [])
        for index in range(n)
    ]


def panel_verdicts(panel, n):
    rows = panel.answer([DOES_TASK], cases(n))
    return [next((v for v in row if v.answerer == "panel"), None) for row in rows]


def test_log_odds_add_up():
    """Weights 1 and 2, log-odds ln 9 and -ln 3: ln 9 - 2 ln 3 = 0, so one half; with weight 1 the sum is ln 3: 0.75."""
    assert pooled([(1.0, math.log(9), True), (2.0, -math.log(3), False)], "log_odds") == pytest.approx(0.5)
    assert pooled([(1.0, math.log(9), True), (1.0, -math.log(3), False)], "log_odds") == pytest.approx(0.75)
    assert pooled([], "log_odds") is None


def test_a_majority_counts_weights():
    """Three voices of weight 1 against one of 2: 3/5."""
    votes = [(1.0, 0.1, True)] * 3 + [(2.0, -5.0, False)]
    assert pooled(votes, "majority") == pytest.approx(0.6)


def test_a_single_judge_speaks_for_itself():
    """Nothing is added to what an unmeasured judge says."""
    panel = Panel([Member(Scripted("a", "yes", "unscored"))])
    assert panel_verdicts(panel, 2) == [None, None]


def test_several_judges_become_one_verdict():
    """Unmeasured judges without probabilities are worth ln 9 each: two against one leave ln 9, 0.9."""
    panel = Panel([Member(Scripted(name, answer)) for name, answer in (("a", "yes"), ("b", "yes"), ("c", "no"))])
    [verdict] = panel_verdicts(panel, 1)
    assert (verdict.answer, verdict.probability) == ("yes", pytest.approx(0.9))
    assert verdict.evidence == "a yes, b yes, c no; they disagree"
    assert panel.note() == "a; b; c"


def test_a_tie_is_unscored():
    """One against one: nobody knows."""
    [verdict] = panel_verdicts(Panel([Member(Scripted("a", "yes")), Member(Scripted("b", "no"))]), 1)
    assert (verdict.answer, verdict.probability) == ("unscored", None)
    criterion = Criterion("does_task", "Does it?", ("llm", "human"))
    judges = [Verdict("does_task", "yes", "a"), Verdict("does_task", "no", "b")]
    assert counting(criterion, [*judges, verdict]) is None  # neither judge decides, whoever stands first
    person = Verdict("does_task", "no", "human")
    assert counting(criterion, [*judges, verdict, person]) == person
    assert counting(criterion, judges[1:]) == judges[1]


def test_missing_voices_are_left_out():
    """An unscored verdict has no weight; without any the panel has none either."""
    panel = Panel([Member(Scripted("a", "unscored", "unscored")), Member(Scripted("b", "no", "unscored"))])
    first, second = panel_verdicts(panel, 2)
    assert (first.answer, first.probability) == ("no", pytest.approx(0.1))
    assert second.answer == "unscored"


def test_a_measured_judge_is_worth_what_the_bench_found():
    """Sensitivity 0.9, specificity 0.6: a yes is worth ln(0.9/0.4), a no ln(0.1/0.6)."""
    slope = (math.log(0.9 / 0.4) - math.log(0.1 / 0.6)) / 2
    intercept = (math.log(0.9 / 0.4) + math.log(0.1 / 0.6)) / 2
    measured = Reliability(slope, intercept, 0.75, 0.6, 0.85, 100)
    panel = Panel([Member(Scripted("a", "yes", "no"), 1.0, {"does_task": measured})])
    yes, no = panel_verdicts(panel, 2)
    assert yes.probability == pytest.approx(0.9 / 1.3, abs=1e-6)
    assert no.probability == pytest.approx(0.1 / 0.7, abs=1e-6)


def test_a_judge_at_chance_is_switched_off_in_writing():
    """It is not asked; its verdict says why; the others decide."""
    off = Reliability(0.0, 0.0, 0.51, 0.44, 0.58, 80, is_off=True)
    silent = Scripted("a", "yes")
    panel = Panel([Member(silent, 1.0, {"does_task": off}), Member(Scripted("b", "no"))])
    [row] = panel.answer([DOES_TASK], cases(1))
    assert silent.asked == []
    assert [(v.answerer, v.answer) for v in row] == [("a", "unscored"), ("b", "no"), ("panel", "no")]
    assert "cannot tell it from chance (balanced accuracy 0.51 [0.44, 0.58], n = 80)" in row[0].evidence


def test_progress_is_of_the_last_judge_that_is_asked():
    """Also where the last one of the panel is switched off."""
    off = Reliability(0.0, 0.0, 0.51, 0.44, 0.58, 80, is_off=True)
    done = []
    panel = Panel([Member(Scripted("a", "yes", "no")), Member(Scripted("b", "no"), 1.0, {"does_task": off})])
    panel.answer([DOES_TASK], cases(2), done.append)
    assert sum(done) == 2


def test_the_dear_judge_is_asked_only_where_the_others_disagree():
    """And decides there; where it fails, the others' sum stands."""
    dear = Scripted("dear", "no", "no", "unscored")
    members = [Member(Scripted("a", "yes", "yes", "yes")), Member(Scripted("b", "yes", "no", "no"))]
    found = panel_verdicts(Panel(members, dear=Member(dear)), 3)
    assert dear.asked == [1, 2]
    assert [v.answer for v in found] == ["yes", "no", "unscored"]
    assert "dear decides" in found[1].evidence


def test_the_panel_counts_and_every_verdict_is_kept():
    """The score is made of the panel's probability, 0.9: (3 + 4 * 0.9) / 7; its deviation is 4 * sqrt(0.09) / 7."""
    members = [Member(Scripted(name, answer)) for name, answer in (("a", "yes"), ("b", "yes"), ("c", "no"))]
    [feedback] = judge(RUBRIC, cases(1), Panel(members), soft=True)
    assert [v.answerer for v in feedback.verdicts] == ["execution", "a", "b", "c", "panel"]
    assert feedback.score == pytest.approx((3 + 4 * 0.9) / 7, abs=1e-6)
    assert feedback.deviation == pytest.approx(4 * 0.3 / 7, abs=1e-6)


def test_a_closed_gate_leaves_nothing_open():
    """And people's words count as certain."""
    gate = Criterion("parses", "Does it parse?", ("static",), 1.0, hard=True)
    doubtful = Verdict("does_task", "yes", "a", "", 0.5)
    rubric = Rubric((gate, DOES_TASK))
    assert deviation(rubric, [Verdict("parses", "yes", "static"), doubtful]) == pytest.approx(4 * 0.5 / 5)
    assert deviation(rubric, [Verdict("parses", "no", "static"), doubtful]) == 0.0
    assert deviation(rubric, [doubtful, Verdict("does_task", "no", "human")]) == 0.0
    assert deviation(rubric, []) == 0.0


def test_fitting_yes_and_no_gives_sensitivity_and_specificity():
    """45 of 50 right ones got a yes, 20 of 50 wrong ones too: log-odds ln(0.9/0.4) of a yes and ln(0.1/0.6) of a no."""
    values = [1.0] * 45 + [-1.0] * 5 + [1.0] * 20 + [-1.0] * 30
    slope, intercept = fit(values, [True] * 50 + [False] * 50)
    assert slope + intercept == pytest.approx(math.log(0.9 / 0.4), abs=0.02)
    assert -slope + intercept == pytest.approx(math.log(0.1 / 0.6), abs=0.02)


def test_no_verdict_is_worth_more_than_the_surest():
    """A probability of 1 is bounded; an unmeasured one is taken at its word."""
    assert worth(Verdict("x", "yes", "a", "", 1.0), None) == pytest.approx(SUREST)
    assert worth(Verdict("x", "yes", "a", "", 0.8), None) == pytest.approx(math.log(4))
    assert Reliability(100.0, 0.0, 1.0, 1.0, 1.0, 9).log_odds(Verdict("x", "no", "a")) == -SUREST


def test_a_raised_budget_makes_no_answer_another_one():
    """What a judge may cost, how fast it is asked and what it weighs do not undo a stage; another model does."""

    def depends(**changes):
        endpoint = {"base_url": "http://127.0.0.1:1/v1", "model": "m"} | changes
        feedback = {"judges": ["senior"], "endpoints": {"senior": endpoint}}
        needed = {"run": "r", "package": {"path": "p"}, "tasks": {"folder": "t"}}
        return answers_depend_on(parse_config(needed | {"feedback": feedback}))

    assert depends() == depends(budget={"calls": 9}, concurrency=2, retries=0, weight=3.0, requests_per_minute=5)
    assert depends() != depends(model="n")
    assert depends() != depends(one_each=True)
