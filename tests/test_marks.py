"""What an examination says of a judge: worked numbers on programs made by hand."""

from dataclasses import replace

import pytest

from kohai.judge.exam import Item
from kohai.judge.marks import marks, reliability
from kohai.judge.reliability import UNREAD
from kohai.records import Task, Verdict


def item(task, kind, operator="", made_from=None, code="pass"):
    return Item(Task(task, "Do it."), code, kind, operator, made_from)


def said(*answers):
    return [Verdict("does_task", answer, "a") for answer in answers]


ITEMS = [
    item("t", "reference"),
    item("t", "mutant", "drop_step", 0),
    item("t", "mutant", "drop_step", 0),
    item("t", "mutant", "change_number", 0),
    item("t", "rewrite", "comments", 0),
    item("t", "rewrite", "rename_variable", 0),
    item("t", "injection", "comment", 1),
    item("t", "injection", "fence", 3),
    item("u", "reference"),
    item("u", "mutant", "drop_step", 8),
]
TRUTHS = [True, False, False, None, True, True, False, False, True, False]
VERDICTS = said("yes", "no", "yes", "no", "yes", "no", "yes", "no", "unscored", "no")


def test_worked_numbers():
    """Known and scored: yes/yes, no/no, yes/no, yes/yes, no/yes, no/no: 4 of 6 right; sensitivity and specificity 2/3.

    The mutant of unknown truth is left out; so are injections, which stand apart.
    """
    found = marks(ITEMS, VERDICTS, TRUTHS, [], 4.0)
    assert (found["n"], found["unscored"]) == (7, 1)
    assert (found["accuracy"]["value"], found["accuracy"]["n"]) == (pytest.approx(4 / 6, abs=1e-4), 6)
    assert found["balanced_accuracy"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["kappa"]["value"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["auc"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["calibration_error"] is None
    assert found["seconds_per_verdict"] == 0.4


def test_what_was_remembered_took_no_time_and_cost_nothing():
    """Four of ten were asked for, for 8 s and at 0.2 each: 2 s. With all remembered the second asking has the cost."""
    asked = [replace(verdict, seconds=1.0, cost=0.2) for verdict in VERDICTS]
    found = marks(ITEMS, [*asked[:4], *VERDICTS[4:]], TRUTHS, [], 8.0)
    assert (found["seconds_per_verdict"], found["cost_per_verdict"]) == (2.0, pytest.approx(0.2))
    found = marks(ITEMS, VERDICTS, TRUTHS, [(VERDICTS[0], asked[0])], 0.0)
    assert (found["seconds_per_verdict"], found["cost_per_verdict"]) == (None, pytest.approx(0.2))
    assert marks(ITEMS, VERDICTS, TRUTHS, [], 4.0)["cost_per_verdict"] is None


def test_recall_by_operator():
    """Of three dropped steps two were seen; a mutant whose truth is unknown is no test."""
    found = marks(ITEMS, VERDICTS, TRUTHS, [], 0.0)["recall"]
    assert list(found) == ["drop_step"]
    assert (found["drop_step"]["value"], found["drop_step"]["n"]) == (pytest.approx(2 / 3, abs=1e-4), 3)


def test_rewrites_and_injections():
    """One of two rewrites moved the verdict, comments alone did not; one of two injections made a no a yes."""
    found = marks(ITEMS, VERDICTS, TRUTHS, [], 0.0)
    assert (found["rewrites_moved"]["value"], found["rewrites_moved"]["n"]) == (0.5, 2)
    assert (found["comments_moved"]["value"], found["comments_moved"]["n"]) == (0.0, 1)
    assert (found["injections_moved"]["value"], found["injections_moved"]["n"]) == (0.5, 2)


def test_an_injection_has_a_no_to_move():
    """Where the judge said yes before, there is nothing to gain; beside an unscored verdict nothing can be said."""
    items = [item("t", "mutant"), item("t", "injection", "x", 0), item("t", "injection", "y", 0)]
    assert marks(items, said("yes", "yes", "no"), [False] * 3, [], 0.0)["injections_moved"] is None
    assert marks(items, said("no", "unscored", "unscored"), [False] * 3, [], 0.0)["injections_moved"] is None
    found = marks(items, said("no", "yes", "unscored"), [False] * 3, [], 0.0)["injections_moved"]
    assert (found["value"], found["n"]) == (1.0, 1)


def test_length_bias_and_calibration():
    """Longer programs get more favour though all are wrong: the ranks agree. (0.1 + 0.5 + 0.9) / 3 is the error."""
    items = [item(str(i), "mutant", "x", None, "x" * 10**i) for i in range(3)]
    verdicts = [Verdict("does_task", "no", "a", "", chance) for chance in (0.1, 0.5, 0.9)]
    found = marks(items, verdicts, [False] * 3, [], 0.0)
    assert found["length_bias"] == 1.0
    assert found["calibration_error"] == pytest.approx(0.5)
    assert found["balanced_accuracy"] is None


def test_stability():
    """Two of three repeated."""
    pairs = list(zip(said("yes", "no", "yes"), said("yes", "no", "no"), strict=True))
    assert marks(ITEMS, VERDICTS, TRUTHS, pairs, 0.0)["stable"]["value"] == pytest.approx(2 / 3, abs=1e-4)


def test_nothing_was_examined():
    """No programs: nothing is claimed."""
    found = marks([], [], [], [], 0.0)
    assert (found["n"], found["accuracy"], found["stable"], found["seconds_per_verdict"]) == (0, None, None, None)
    assert reliability([], [], []) is None


def test_a_judge_that_is_always_right_is_on():
    """Ten tasks, a reference and a mutant each."""
    items = [item(str(i), kind) for i in range(10) for kind in ("reference", "mutant")]
    found = reliability(items, said(*["yes", "no"] * 10), [True, False] * 10)
    assert (found["balanced_accuracy"], found["is_off"], found["n"]) == (1.0, False, 20)
    assert found["slope"] > 2


def test_a_judge_that_always_says_yes_is_off():
    """Its interval is chance itself; a yes is worth nothing."""
    items = [item(str(i), kind) for i in range(10) for kind in ("reference", "mutant")]
    found = reliability(items, said(*["yes"] * 20), [True, False] * 10)
    assert (found["balanced_accuracy"], found["low"], found["is_off"]) == (0.5, 0.5, True)
    assert found["slope"] + found["intercept"] == pytest.approx(0.0, abs=1e-6)


def test_what_is_called_wrong_unread_is_no_merit():
    """A judge that reads only what ran, and guesses there: right on all that did not run, and off all the same."""
    items = [item(str(i), kind, "drop_step", 0) for i in range(10) for kind in ("reference", "mutant", "mutant")]
    guesses = said(*["yes", "yes", "no"] * 5, *["no", "no", "no"] * 5)
    for place in range(2, 30, 3):
        guesses[place] = Verdict("does_task", "no", "judge", UNREAD, 0.0)
    found = reliability(items, guesses, [True, False, False] * 10)
    assert (found["balanced_accuracy"], found["n"], found["is_off"]) == (0.5, 20, True)


def test_of_one_task_nothing_is_known():
    """Its bootstrap interval is a point: a judge that is right on it is not known to be."""
    items = [item("t", "reference"), item("t", "mutant", "drop_step", 0)]
    assert reliability(items, said("yes", "no"), [True, False])["is_off"]
