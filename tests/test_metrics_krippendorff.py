"""Krippendorff's alpha, on the worked example of "Computing Krippendorff's Alpha-Reliability" (2011)."""

import random

import pytest

from kohai.metrics.krippendorff import krippendorff, krippendorff_alpha, numeric

RATERS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
UNITS = list(zip(*[[None if sign == "." else int(sign) for sign in row.split()] for row in RATERS], strict=True))


def test_worked_example():
    """Four raters, twelve units, seven answers missing: 0.743 for names, 0.849 for numbers."""
    assert krippendorff_alpha(UNITS) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(UNITS, numeric) == pytest.approx(0.849, abs=5e-4)
    found = krippendorff(UNITS)
    assert found.value == krippendorff_alpha(UNITS)
    assert found.n == 11  # one unit has a single answer
    assert found.low < found.value <= found.high


def test_two_raters_by_hand():
    """Answers yy, yy, nn, yn: observed disagreement 2 of 8 answers, expected 2 * 5 * 3 / (8 * 7): alpha = 1 - 7/15."""
    assert krippendorff_alpha([("y", "y"), ("y", "y"), ("n", "n"), ("y", "n")]) == pytest.approx(8 / 15)


def test_ends():
    """1 where all agree on different things, about 0 by chance, below it for opposites, None without disagreement."""
    assert krippendorff_alpha([(1, 1, 1), (2, 2, None)]) == 1
    rng = random.Random(7)
    by_chance = [(rng.choice("yn"), rng.choice("yn")) for _ in range(4000)]
    assert krippendorff_alpha(by_chance) == pytest.approx(0, abs=0.05)
    assert krippendorff_alpha([("y", "n"), ("n", "y")]) < 0
    for nothing in ([], [("y", None)], [("y", "y"), ("y", "y")]):
        assert krippendorff_alpha(nothing) is None
        assert krippendorff(nothing) is None


def test_numbers_that_are_near_count_less():
    """Off by one is a smaller disagreement than off by four; for names both are the same."""
    near, far = [(1, 2), (5, 5), (1, 1), (3, 3)], [(1, 5), (5, 5), (1, 1), (3, 3)]
    assert krippendorff_alpha(near, numeric) > krippendorff_alpha(far, numeric)
