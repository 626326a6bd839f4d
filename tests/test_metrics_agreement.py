"""Agreement of yes/no answers with a truth, with numbers worked by hand."""

import math

import numpy as np
import pytest

from kohai.metrics import accuracy, balanced_accuracy, calibration_error, clustered, kappa
from kohai.metrics.agreement import count

COUNTS = np.array([20.0, 5.0, 15.0, 10.0])  # true yes, false yes, true no, false no


def test_counts():
    """Each of the four kinds once, a true yes twice."""
    found = count([True, True, True, False, False], [True, True, False, False, True])
    assert found.tolist() == [2, 1, 1, 1]
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        count([True, True], [True])


def test_worked_numbers():
    """35 of 50; (20/30 + 15/20)/2; observed 0.7 less chance 0.5·0.6 + 0.5·0.4 = 0.5."""
    assert accuracy(COUNTS) == pytest.approx(0.7)
    assert balanced_accuracy(COUNTS) == pytest.approx((20 / 30 + 15 / 20) / 2)
    assert kappa(COUNTS) == pytest.approx(0.4)


def test_what_has_no_answer_is_not_a_number():
    """One truth only; nothing at all; both sides constant."""
    assert math.isnan(balanced_accuracy(np.array([3.0, 0.0, 0.0, 1.0])))
    assert math.isnan(accuracy(np.zeros(4)))
    assert math.isnan(kappa(np.array([5.0, 0.0, 0.0, 0.0])))
    assert clustered([True], [True], ["t"], balanced_accuracy) is None
    assert clustered([], [], [], accuracy) is None
    assert calibration_error([], []) is None


def test_many_counts_at_once():
    """(2, 4) counts give (2,) values."""
    both = np.stack([COUNTS, COUNTS[[2, 3, 0, 1]]])
    assert accuracy(both).tolist() == pytest.approx([0.7, 0.7])


def test_answers_about_one_task_are_not_independent():
    """Forty copies of each of five answers: over clusters the interval is as wide as with five, not as with 200."""
    answers, truths, tasks = [True] * 5, [True, True, True, False, False], list("abcde")
    few = clustered(answers, truths, tasks, accuracy)
    many = clustered(answers * 40, truths * 40, tasks * 40, accuracy)
    alone = clustered(answers * 40, truths * 40, range(200), accuracy)
    assert (few.value, many.value, many.n) == (0.6, 0.6, 200)
    assert (many.low, many.high) == pytest.approx((few.low, few.high))
    assert alone.high - alone.low < (many.high - many.low) / 4


def test_clustered_intervals_cover():
    """Thirty clusters of six answers that share their cluster's chance: 95 % intervals hold the true share in 90 to
    99 % of 200 draws.
    """
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        chances = rng.beta(4, 2, 30)
        answers = (rng.random((30, 6)) < chances[:, None]).ravel().tolist()
        found = clustered(answers, [True] * 180, np.repeat(np.arange(30), 6).tolist(), accuracy, resamples=500)
        hits += found.low <= 4 / 6 <= found.high
    assert 0.9 <= hits / 200 <= 0.99


def test_calibration_error():
    """(2·|0.9 - 0.5| + 1·|0.1 - 0|) / 3 = 0.3; certain and right is 0; 1.0 falls into the last bin."""
    assert calibration_error([0.9, 0.9, 0.1], [True, False, False]) == pytest.approx(0.3)
    assert calibration_error([1.0, 0.0], [True, False]) == 0.0
