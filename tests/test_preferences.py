"""Pairs of completions from their scores."""

from dataclasses import replace

import pytest

from kohai.errors import InternalError
from kohai.judge import Criterion, Rubric, pairing, preferences
from kohai.judge.preferences import data_sheet
from kohai.records import Feedback, Preference, Verdict


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


def test_a_label_is_the_chance_that_the_order_is_true():
    """Scores 0.7 and 0.4 that deviate by 0.3 and 0.4: a difference of 0.3 with deviation 0.5, so the normal
    distribution at 0.6: 0.7257. Without deviations it is certain.
    """
    feedback, codes = given(0.7, 0.4)
    assert [pair.label for pair in preferences(feedback, codes, 0.05)] == [1.0]
    unsure = [replace(item, deviation=deviation) for item, deviation in zip(feedback, (0.3, 0.4), strict=True)]
    assert [pair.label for pair in preferences(unsure, codes, 0.05)] == [pytest.approx(0.7257, abs=1e-4)]


def test_the_data_sheet():
    """Two pairs of one task: the first by the judge alone, the second by execution and by the judge, who agree; the
    third, where only execution speaks for the chosen one.
    """
    rubric = Rubric((Criterion("runs", "?", ("execution",), 3.0), Criterion("does_task", "?", ("llm",), 4.0)))

    def item(index, runs, does_task, score):
        verdicts = (Verdict("runs", runs, "execution"), Verdict("does_task", does_task, "judge"))
        return Feedback("t", index, score, verdicts)

    feedback = [item(0, "yes", "yes", 1.0), item(1, "yes", "no", 0.4), item(2, "no", "no", 0.0)]
    codes = {("t", 0): "long_program()", ("t", 1): "short()", ("t", 2): "longest_of_all()"}
    found = preferences(feedback, codes, 0.05)
    sheet = data_sheet(rubric, [*found, Preference("m", 0, 1, 0.0, source="mutant")], feedback, codes)
    assert sheet["by_source"] == {"sampled": 3, "mutant": 1}
    assert sheet["by_criterion"] == {"runs": {"for": 2}, "does_task": {"for": 2}}
    assert sheet["judge_and_execution"] == {"agree": 1, "n": 1}
    assert sheet["chosen_is_longer"] == pytest.approx(1 / 3, abs=1e-4)
    assert (sheet["pairs"], sheet["label_mean"]) == (4, 1.0)


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
