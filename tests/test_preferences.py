"""Pairs of completions from their scores."""

import pytest

from kohai.errors import InternalError
from kohai.judge import pairing, preferences
from kohai.records import Feedback


def given(*scores, task="t"):
    """Feedback and codes of one task's completions, all of them different programs."""
    feedback = [Feedback(task, index, score) for index, score in enumerate(scores)]
    return feedback, {(task, index): f"print({index})" for index in range(len(scores))}


def pairs(found):
    return [(pair.chosen, pair.rejected) for pair in found]


def test_the_higher_score_is_chosen():
    """Scores 0.2, 0.9, 0.5: three pairs, largest margin first."""
    found = preferences(*given(0.2, 0.9, 0.5), min_margin=0.05)
    assert pairs(found) == [(1, 0), (1, 2), (2, 0)]
    assert [pair.margin for pair in found] == pytest.approx([0.7, 0.4, 0.3])


def test_close_scores_are_ties():
    """A margin of exactly the least one counts, though 0.35 - 0.30 is below 0.05 in floating point."""
    assert pairs(preferences(*given(0.30, 0.35), min_margin=0.05)) == [(1, 0)]
    found = pairing(*given(0.30, 0.34), min_margin=0.05)
    assert (found.preferences, found.n_ties) == ((), 1)


def test_equal_scores_are_never_a_pair():
    """Not even where no margin is asked for."""
    assert preferences(*given(0.5, 0.5), min_margin=0.0) == []


def test_unscored_completions_are_left_out_and_counted():
    """None is not zero."""
    found = pairing(*given(None, 0.9, None, 0.1), min_margin=0.05)
    assert pairs(found.preferences) == [(1, 3)]
    assert found.n_unscored == 2


def test_the_same_code_counts_once():
    """Comments, docstrings, layout and quotes do not make another program."""
    feedback, codes = given(0.9, 0.1, 0.1)
    codes |= {("t", 1): 'x = "a"\nprint(x)', ("t", 2): "'''Doc.'''\nx = 'a'  # note\nprint( x )"}
    found = pairing(feedback, codes, min_margin=0.05)
    assert pairs(found.preferences) == [(0, 1)]
    assert found.n_duplicates == 1


def test_code_that_does_not_parse_is_compared_too():
    """By its text, whitespace aside."""
    feedback, codes = given(0.9, 0.1, 0.1)
    codes |= {("t", 1): "def (", ("t", 2): "def  ("}
    assert pairing(feedback, codes, min_margin=0.05).n_duplicates == 1


def test_pairs_stay_within_a_task():
    """The same code in two tasks is no duplicate either."""
    first, first_codes = given(0.9, 0.1, task="a")
    second, second_codes = given(0.2, 0.8, task="b")
    found = preferences(first + second, first_codes | second_codes, min_margin=0.05)
    assert [(pair.task_id, pair.chosen, pair.rejected) for pair in found] == [("a", 0, 1), ("b", 1, 0)]


def test_a_cap_keeps_the_largest_margins():
    """Of three pairs the widest, the others counted."""
    found = pairing(*given(0.2, 0.9, 0.5), min_margin=0.05, max_pairs_per_task=1)
    assert (pairs(found.preferences), found.n_capped) == ([(1, 0)], 2)


def test_missing_code_is_a_fault_of_ours():
    """The completion is named."""
    feedback, _ = given(0.5, 0.6)
    with pytest.raises(InternalError, match="completion 0 of task t"):
        preferences(feedback, {}, min_margin=0.05)
