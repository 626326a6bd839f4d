"""Krippendorff's alpha, on the worked example of "Computing Krippendorff's Alpha-Reliability" (2011)."""

import random

import numpy as np
import pytest

from kohai.metrics.krippendorff import krippendorff, krippendorff_alpha

RATERS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
UNITS = list(zip(*[[None if sign == "." else int(sign) for sign in row.split()] for row in RATERS], strict=True))


def test_worked_example():
    """Four raters, twelve units, seven answers missing: 0.743."""
    assert krippendorff_alpha(UNITS) == pytest.approx(0.743, abs=5e-4)
    found = krippendorff(UNITS)
    assert found.value == krippendorff_alpha(UNITS)
    assert found.n == 11  # one unit has a single answer
    assert found.low < found.value <= found.high


def test_interval_covers():
    """Three raters, each right with a chance of 0.85 about a fair coin: alpha is (2 * 0.85 - 1)^2 = 0.49. Of 400
    intervals over 60 units 92 to 98 % hold it (three standard errors).
    """
    rng = np.random.default_rng(7)
    held = 0
    for number in range(400):
        truth = rng.random((60, 1)) < 0.5
        said = truth ^ (rng.random((60, 3)) > 0.85)
        found = krippendorff(said.tolist(), resamples=400, seed=number)
        held += found.low <= 0.49 <= found.high
    assert 0.917 < held / 400 < 0.983


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
