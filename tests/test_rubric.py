"""The rubric's file, and the score that verdicts make."""

from pathlib import Path

import pytest

from kohai.errors import DataError
from kohai.judge import Case, Criterion, Member, Panel, Rubric, aggregate, answer_runs, judge, load_rubric
from kohai.records import Completion, Execution, Task, Verdict
from kohai.verify import CRITERIA

SHIPPED = Path(__file__).parent.parent / "configs" / "rubric.yaml"
RUBRIC = Rubric(
    (
        Criterion("parses", "Does it parse?", ("static",), 1.0, hard=True),
        Criterion("runs", "Does it run?", ("execution",), 3.0),
        Criterion("does_task", "Does it do the task?", ("human", "llm"), 4.0),
    )
)


def written(tmp_path, text):
    path = tmp_path / "rubric.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(tmp_path, criterion, head="version: 1"):
    """The message for a rubric of one criterion, given as the inside of a YAML mapping."""
    with pytest.raises(DataError) as caught:
        load_rubric(written(tmp_path, f"{head}\ncriteria:\n  - {{{criterion}}}\n"))
    return str(caught.value)


def test_the_shipped_rubric_loads():
    """Ten criteria, most of the weight on running and on doing the task."""
    rubric = load_rubric(SHIPPED)
    assert [c.id for c in rubric.criteria] == [*CRITERIA, "runs", "does_task"]
    heavy = sum(c.weight for c in rubric.criteria if c.id in ("runs", "does_task"))
    assert heavy > 0.6 * sum(c.weight for c in rubric.criteria)
    assert rubric.gates == ("parses",)
    assert [c.id for c in rubric.asked_of("llm")] == ["does_task"]


def test_digest_follows_every_part():
    """Each change gives another digest; the same content gives the same one."""
    base = Criterion("tidy", "Is it tidy?", ("llm",), 1.0)
    variants = [
        Rubric((base,)),
        Rubric((base,), version=2),
        Rubric((Criterion("tidy", "Is it neat?", ("llm",), 1.0),)),
        Rubric((Criterion("tidy", "Is it tidy?", ("human",), 1.0),)),
        Rubric((Criterion("tidy", "Is it tidy?", ("llm",), 2.0),)),
        Rubric((Criterion("tidy", "Is it tidy?", ("llm",), 1.0, hard=True),)),
    ]
    assert len({rubric.digest for rubric in variants}) == len(variants)
    assert Rubric((base,)).digest == variants[0].digest


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ("id: tidy, question: Tidy, answerer: [llm]", "criteria[0].answerer: unknown key; did you mean 'answerers'?"),
        ("id: tidy, question: Tidy, answerers: [llm], colour: 1", "criteria[0].colour: unknown key; known: id,"),
        ("id: tidy, question: Tidy, answerers: llm", "criteria[0].answerers: expected a list"),
        ("id: tidy, question: Tidy, answerers: [oracle]", "'oracle' is not one of static, execution, llm, human"),
        ("id: tidy, question: Tidy, answerers: [{a: 1}]", "{'a': 1} is not one of"),
        ("id: tidy, question: Tidy, answerers: [llm, llm]", "names an answerer twice"),
        ("id: tidy, question: Tidy, answerers: [static]", "`static` knows no check for 'tidy'; it answers parses,"),
        ("id: parses, question: Ok, answerers: [execution]", "`execution` cannot answer 'parses'; it answers runs"),
        (
            "id: tidy, question: Tidy, answerers: [llm], weight: 0",
            "criteria[0].weight: expected a number above 0, found 0",
        ),
        ("id: tidy, question: Tidy, answerers: [llm], weight: .nan", "criteria[0].weight: expected a number above 0"),
        ("id: tidy, question: Tidy, answerers: [llm], weight: .inf", "criteria[0].weight: expected a number above 0"),
        ("id: tidy, question: Tidy, answerers: [llm], weight: true", "criteria[0].weight: expected a number above 0"),
        ("id: tidy, question: Tidy, answerers: [llm], hard: 1", "criteria[0].hard: expected true or false, found 1"),
        ("id: Is it so, question: Tidy, answerers: [llm]", "criteria[0].id: expected lower-case letters"),
        ("id: tidy, answerers: [llm]", "criteria[0].question: expected a yes/no question, found None"),
    ],
)
def test_each_mistake_names_its_field(tmp_path, criterion, expected):
    """File, field, value and what would be right."""
    message = mistakes(tmp_path, criterion)
    assert expected in message
    assert message.startswith(str(tmp_path / "rubric.yaml"))


def test_all_mistakes_come_at_once(tmp_path):
    """Three mistakes, one message."""
    message = mistakes(tmp_path, "id: tidy, question: '', answerers: [], weight: -1", head="version: one")
    assert "4 mistake(s)" in message
    assert "version: expected a whole number" in message


def test_ids_are_unique(tmp_path):
    """The second use of an id names the first."""
    one = "  - {id: tidy, question: Tidy, answerers: [llm]}\n"
    with pytest.raises(DataError, match=r"criteria\[1\].id: 'tidy' is taken by criteria\[0\]"):
        load_rubric(written(tmp_path, "version: 1\ncriteria:\n" + one * 2))


@pytest.mark.parametrize("text", ["", "criteria: []\nversion: 1", "- a", "version: 1\ncriteria: [a]", "{", "a: \x00"])
def test_what_is_no_rubric_is_refused(tmp_path, text):
    """Empty, wrong shape, not YAML: a DataError each time."""
    with pytest.raises(DataError, match=r"rubric\.yaml"):
        load_rubric(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    """The path and what to give."""
    with pytest.raises(DataError, match=r"absent\.yaml: cannot be read"):
        load_rubric(tmp_path / "absent.yaml")


def verdicts(parses="yes", runs="yes", does_task="yes", probability=None):
    return [
        Verdict("parses", parses, "static"),
        Verdict("runs", runs, "execution"),
        Verdict("does_task", does_task, "endpoint", probability=probability),
    ]


def test_the_score_is_the_weighted_share_of_yes():
    """Weights 1, 3, 4: parses and runs alone make (1 + 3) / 8 = 0.5."""
    assert aggregate(RUBRIC, verdicts(does_task="no")) == pytest.approx(0.5)
    assert aggregate(RUBRIC, verdicts()) == pytest.approx(1.0)


def test_unscored_is_in_neither_sum():
    """Without `runs` (weight 3), parses of parses + does_task makes 1 / 5."""
    assert aggregate(RUBRIC, verdicts(runs="unscored", does_task="no")) == pytest.approx(0.2)


def test_nothing_scored_is_no_score():
    """None, not zero: with unscored verdicts, without any, with unknown ones."""
    assert aggregate(RUBRIC, verdicts("unscored", "unscored", "unscored")) is None
    assert aggregate(RUBRIC, []) is None
    assert aggregate(RUBRIC, [Verdict("other", "yes", "static")]) is None


def test_a_hard_no_makes_the_score_zero():
    """Weights aside; an unscored gate does not close."""
    assert aggregate(RUBRIC, verdicts(parses="no")) == 0.0
    assert aggregate(RUBRIC, verdicts(parses="unscored")) == 1.0


def test_probabilities_count_only_when_asked_for():
    """A no with probability 0.4: (1 + 3) / 8 hard, (1 + 3 + 4 * 0.4) / 8 = 0.7 soft."""
    found = verdicts(does_task="no", probability=0.4)
    assert aggregate(RUBRIC, found) == pytest.approx(0.5)
    assert aggregate(RUBRIC, found, soft=True) == pytest.approx(0.7)


def test_the_most_trusted_answerer_counts():
    """People stand before the judge in `answerers`; where they have no answer the judge's counts."""
    people_no = [*verdicts(), Verdict("does_task", "no", "human")]
    people_silent = [*verdicts(), Verdict("does_task", "unscored", "human")]
    assert aggregate(RUBRIC, people_no) == pytest.approx(0.5)
    assert aggregate(RUBRIC, people_silent) == pytest.approx(1.0)


def test_an_answerer_that_is_not_listed_does_not_count():
    """The judge may not answer `runs`."""
    assert aggregate(RUBRIC, [Verdict("runs", "yes", "endpoint")]) is None


@pytest.mark.parametrize(
    ("kind", "blame", "answer"),
    [
        ("ok", "none", "yes"),
        ("unbound_name", "program", "no"),
        ("missing_weights", "environment", "unscored"),
        ("timeout", "undecided", "unscored"),
    ],
)
def test_runs_blames_only_the_program(kind, blame, answer):
    """The environment's faults are unscored, with the kind as evidence."""
    verdict = answer_runs(Execution(kind, blame, evidence="because"))
    assert (verdict.answer, verdict.answerer) == (answer, "execution")
    assert kind in verdict.evidence


class AlwaysNo:
    """A scripted answerer."""

    name = "scripted"

    def answer(self, criteria, cases, on_done=None):
        """No to everything."""
        return [[Verdict(criterion.id, "no", self.name) for criterion in criteria] for _ in cases]


def test_judge_gathers_all_verdicts():
    """Static, execution and the answerer's, in this order; static verdicts that the rubric lacks are dropped."""
    static = [Verdict("parses", "yes", "static"), Verdict("grounded", "no", "static")]
    case = Case(Task("t", "Do it."), Completion("t", 3, "", "pass"), "", Execution("ok", "none"), static)
    [feedback] = judge(RUBRIC, [case], Panel([Member(AlwaysNo())]))
    assert [(v.criterion, v.answer) for v in feedback.verdicts] == [
        ("parses", "yes"),
        ("runs", "yes"),
        ("does_task", "no"),
    ]
    assert (feedback.task_id, feedback.index, feedback.score) == ("t", 3, pytest.approx(0.5))
    assert {v.rubric for v in feedback.verdicts} == {RUBRIC.digest[:12]}
    [without] = judge(RUBRIC, [case], None)
    assert without.score == pytest.approx(1.0)
    label = Verdict("does_task", "yes", "human", "seen it work")
    [with_label] = judge(RUBRIC, [case], Panel([Member(AlwaysNo())]), labels={("t", 3): [label]})
    assert [(v.answer, v.answerer) for v in with_label.verdicts[-2:]] == [("no", "scripted"), ("yes", "human")]
    assert with_label.score == pytest.approx(1.0)
