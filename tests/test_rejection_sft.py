"""Which completions rejection sampling learns from."""

from kohai.records import Execution, Feedback, Verdict
from kohai.stages.rejection_sft import best_completions, passing

OK = Execution("ok", "none")
FAILED = Execution("wrong_type", "program")


def chosen(*feedback):
    """By the checks that each item has, whatever the rubric asks."""
    allowed = passing(feedback, lambda item: item.verdicts, ["covers", "runs"])
    return {task_id: item.index for task_id, item in best_completions(allowed).items()}


def test_the_best_that_ran():
    """Better judged, but did not run: not taken. Among those that ran the score decides."""
    assert chosen(
        Feedback("t", 0, 0.9, (), FAILED),
        Feedback("t", 1, 0.3, (), OK),
        Feedback("t", 2, 0.5, (), OK),
        Feedback("t", 3, 0.4, (), OK),
    ) == {"t": 2}


def test_what_teaches_nothing():
    """A task none of whose completions ran, or that has no score, is left out; a score of 0 is one."""
    assert chosen(
        Feedback("t", 0, 0.9, (), FAILED),
        Feedback("u", 0, None, (), OK),
        Feedback("v", 0, 0.9),
        Feedback("w", 0, 0.0, (), OK),
    ) == {"w": 0}


def test_what_a_gate_stops():
    """Better judged and ran, but drops something: not taken. What says nothing, or is no gate, stops nothing."""
    no, unscored, other = Verdict("covers", "no", ""), Verdict("covers", "unscored", ""), Verdict("prints", "no", "")
    assert chosen(
        Feedback("t", 0, 0.9, (no,), OK),
        Feedback("t", 1, 0.3, (unscored, other), OK),
        Feedback("u", 0, 0.9, (no,), OK),
    ) == {"t": 1}


def test_equal_scores():
    """The first one."""
    assert chosen(Feedback("t", 0, 0.2, (), OK), Feedback("t", 1, 0.2, (), OK)) == {"t": 0}
