"""Rank statistics against numbers worked by hand."""

from __future__ import annotations

import pytest

from kohai.metrics import auc, pearson, spearman
from kohai.metrics.ranking import ranks


def test_auc_worked() -> None:
    """Scores 1 2 2 3, labels no no yes yes: pairs (2,1) 1, (2,2) 1/2, (3,1) 1, (3,2) 1; 3.5 / 4 = 0.875."""
    assert auc([1, 2, 2, 3], [False, False, True, True]) == 0.875


def test_auc_ends() -> None:
    """All above is 1, all below is 0, all equal is one half; without both labels there is no answer."""
    labels = [False, True, True]
    assert auc([1, 2, 3], labels) == 1.0
    assert auc([3, 2, 1], labels) == 0.0
    assert auc([5, 5, 5], labels) == 0.5
    assert auc([1, 2], [True, True]) is None
    assert auc([], []) is None
    with pytest.raises(ValueError):
        auc([1], [])


def test_pearson_worked() -> None:
    """(1,2) (2,4) (3,5): deviations -1 0 1 and -5/3 1/3 4/3; 3 / sqrt(2 * 14/3) = 0.981981."""
    assert pearson([1, 2, 3], [2, 4, 5]) == pytest.approx(0.981981, abs=1e-6)
    assert pearson([1, 2, 3], [-2, -4, -6]) == pytest.approx(-1.0)


def test_spearman_worked() -> None:
    """Ranks 1 2 3 4 5 against 2 1 4 3 5: 1 - 6 * 4 / (5 * 24) = 0.8; only the order counts."""
    assert spearman([10, 20, 30, 40, 50], [2, 1, 4, 3, 5]) == pytest.approx(0.8)
    assert spearman([1, 2, 3], [1, 10, 1e9]) == pytest.approx(1.0)


def test_ties_share_their_rank() -> None:
    """5 7 7 9 have the ranks 1, 2.5, 2.5, 4; against 1 2 3 4: 4.5 / sqrt(4.5 * 5) = 0.948683."""
    assert ranks([7, 5, 9, 7]) == [2.5, 1.0, 4.0, 2.5]
    assert spearman([5, 7, 7, 9], [1, 2, 3, 4]) == pytest.approx(0.948683, abs=1e-6)


def test_no_answer() -> None:
    """A constant side or a single pair has no correlation: None, not zero."""
    for function in (pearson, spearman):
        assert function([1, 1, 1], [1, 2, 3]) is None
        assert function([0.1, 0.1, 0.1], [1, 2, 3]) is None
        assert function([1], [1]) is None
        with pytest.raises(ValueError):
            function([1, 2], [1])
