"""Which completions rejection sampling learns from."""

from kohai.records import Execution, Feedback
from kohai.stages.rejection_sft import best_completions

OK = Execution("ok", "none")
FAILED = Execution("wrong_type", "program")


def chosen(*feedback):
    return {task_id: item.index for task_id, item in best_completions(feedback).items()}


def test_the_best_that_ran():
    """A completion that ran comes before a better-judged one that did not; among those that ran the score decides."""
    assert chosen(
        Feedback("t", 0, 0.9, (), FAILED),
        Feedback("t", 1, 0.3, (), OK),
        Feedback("t", 2, 0.5, (), OK),
        Feedback("t", 3, 0.4, (), OK),
    ) == {"t": 2}


def test_the_best_where_none_ran():
    """Then the score decides; a score of 0 is one, too."""
    assert chosen(Feedback("t", 0, 0.1, (), FAILED), Feedback("t", 1, 0.3, (), FAILED)) == {"t": 1}
    assert chosen(Feedback("t", 0, 0.0, (), FAILED)) == {"t": 0}


def test_no_score_no_choice():
    """Unscored completions are left out, and so is a task that has no other."""
    assert chosen(Feedback("t", 0, None, (), OK), Feedback("t", 1, 0.2, (), FAILED), Feedback("u", 0, None)) == {"t": 1}


def test_equal_scores():
    """The first one."""
    assert chosen(Feedback("t", 0, 0.2, (), OK), Feedback("t", 1, 0.2, (), OK)) == {"t": 0}
