"""Intervals and rates against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kohai.metrics import bootstrap_mean, executability, interval_of, paired_bootstrap, wilson
from kohai.metrics.intervals import clustered_rate
from kohai.records import Execution


def test_wilson_worked() -> None:
    """8 of 10 at z = 1.959964: centre (0.8 + 0.192073) / 1.384146 = 0.716740; half-width
    1.959964 * sqrt(0.016 + 0.0096036) / 1.384146 = 0.226577; so [0.490162, 0.943317].
    """
    found = wilson(8, 10)
    assert (found.value, found.n) == (0.8, 10)
    assert found.low == pytest.approx(0.490162, abs=1e-5)
    assert found.high == pytest.approx(0.943317, abs=1e-5)


def test_wilson_at_the_ends() -> None:
    """0 of 10: high = z²/(n + z²) = 3.841459 / 13.841459 = 0.277533, low exactly 0; 10 of 10 is its mirror; 0 of 0 says
    nothing.
    """
    none, every = wilson(0, 10), wilson(10, 10)
    assert none.low == 0.0
    assert none.high == pytest.approx(0.277533, abs=1e-6)
    assert (every.low, every.high) == (pytest.approx(1 - none.high), 1.0)
    nothing = wilson(0, 0)
    assert (nothing.low, nothing.high, nothing.n) == (0.0, 1.0, 0)


def test_wilson_confidence() -> None:
    """More confidence is a wider interval; impossible questions are refused."""
    assert wilson(5, 10, 0.99).low < wilson(5, 10, 0.95).low < wilson(5, 10, 0.5).low < 0.5
    for bad in ((11, 10, 0.95), (-1, 10, 0.95), (1, 2, 1.0)):
        with pytest.raises(ValueError):
            wilson(*bad)


def test_bootstrap_sign_and_size() -> None:
    """A right on 3 of 4 tasks, b on 1 of 4: the difference is +0.5, of b and a -0.5."""
    a, b = [1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]
    found = paired_bootstrap(a, b, resamples=2000, seed=1)
    assert (found.difference, found.n, found.dropped) == (0.5, 4, 0)
    assert found.low <= 0.5 <= found.high
    assert paired_bootstrap(b, a, resamples=2000, seed=1).difference == -0.5


def test_bootstrap_interval_worked() -> None:
    """100 pairs, 50 of difference 1 and 50 of 0: the mean's standard error is 0.5 / 10, so about 0.5 ± 0.098."""
    found = paired_bootstrap([1.0, 0.0] * 50, [0.0] * 100, resamples=10_000, seed=0)
    assert found.low == pytest.approx(0.402, abs=0.0101)  # means are multiples of 0.01
    assert found.high == pytest.approx(0.598, abs=0.0101)


def test_bootstrap_is_paired() -> None:
    """A constant difference has no spread, however much the tasks differ."""
    found = paired_bootstrap([0.1, 0.5, 0.9], [0.0, 0.4, 0.8], resamples=500, seed=3)
    assert found.low == pytest.approx(found.high) == pytest.approx(0.1)


def test_bootstrap_drops_unscored_pairs() -> None:
    """A None on either side drops the pair, is counted, and is not a zero."""
    found = paired_bootstrap([1, None, 1, 0], [0, 0, None, 0], resamples=100)
    assert (found.difference, found.n, found.dropped) == (0.5, 2, 2)
    empty = paired_bootstrap([None], [1.0])
    assert (empty.n, empty.low, empty.high) == (0, -1.0, 1.0)
    with pytest.raises(ValueError):
        paired_bootstrap([1.0], [])


def test_bootstrap_repeats_with_its_seed() -> None:
    """The same seed gives the same interval, another one another."""
    a, b = [float(n % 7) for n in range(40)], [float(n % 5) for n in range(40)]
    assert paired_bootstrap(a, b, 700, seed=5) == paired_bootstrap(a, b, 700, seed=5)
    assert paired_bootstrap(a, b, 700, seed=5) != paired_bootstrap(a, b, 700, seed=6)


def test_executability_worked() -> None:
    """6 ok, 2 at fault, 1 environment, 1 undecided: 6/8 = 0.75, environment share 0.2, bounds 6/10 and 8/10."""
    rows = [("ok", "none")] * 6 + [("crash", "program")] * 2 + [("quota", "environment"), ("timeout", "undecided")]
    found = executability([Execution(kind=kind, blame=blame) for kind, blame in rows])  # type: ignore[arg-type]
    assert (found.value, found.n, found.total) == (0.75, 8, 10)
    assert found.environment_share == 0.2
    assert found.bounds == (0.6, 0.8)
    assert found.kinds == {"ok": 6, "crash": 2, "quota": 1, "timeout": 1}
    assert (found.low, found.high) == (wilson(6, 8).low, wilson(6, 8).high)


def test_executability_of_nothing() -> None:
    """No execution, or none that can be judged, is no rate: n = 0 with an interval that says nothing."""
    assert executability([]).n == 0
    blameless = executability([Execution(kind="quota", blame="environment")])
    assert (blameless.n, blameless.low, blameless.high, blameless.bounds) == (0, 0.0, 1.0, (0.0, 1.0))


def test_completions_of_one_task_are_not_independent() -> None:
    """Four of four and none of four: share 0.5, variance 2 * (2² + 2²) / 8² = 0.25, so one case, whose interval is
    (0.5 + 1.920730 ± 1.959964 * sqrt(0.25 + 0.960365)) / 4.841459. Where all are alike a task is one case; where each
    has one value nothing changes; tasks of unlike size weigh by their values.
    """
    answers, tasks = [True] * 4 + [False] * 4, ["a"] * 4 + ["b"] * 4
    found = interval_of(answers, clusters=tasks)
    assert (found.value, found.n) == (0.5, 8)
    assert (found.low, found.high) == (pytest.approx(0.054621, abs=1e-5), pytest.approx(0.945379, abs=1e-5))
    every = interval_of([True] * 8, clusters=tasks)
    assert (every.value, every.low, every.high, every.n) == (1.0, pytest.approx(wilson(2, 2).low), 1.0, 8)
    assert interval_of([True, False] * 4, clusters=tasks) == wilson(4, 8)  # no task differs from another
    shares = interval_of([0.9, 0.9, 0.9, 0.3], clusters=["a", "a", "a", "b"])
    assert (shares.value, shares.low, shares.high) == tuple(map(pytest.approx, (0.75, 0.3, 0.9)))
    alone = interval_of(answers, clusters=range(8)), interval_of([0.1, 0.5, 0.8], clusters=range(3))
    assert alone == (wilson(4, 8), bootstrap_mean([0.1, 0.5, 0.8]))


def test_clustered_interval_covers() -> None:
    """Forty tasks of four completions, the tasks' rates from a Beta(0.8, 0.2): of 500 intervals 92 to 97.5 % hold 0.8;
    of Wilson's, as if the 160 were independent, fewer than 85 %.
    """
    rng = np.random.default_rng(7)
    held, held_naively = 0, 0
    tasks = np.repeat(np.arange(40), 4).tolist()
    for _ in range(500):
        answers = (rng.random((40, 4)) < rng.beta(0.8, 0.2, (40, 1))).ravel().tolist()
        found, naive = clustered_rate(answers, tasks), wilson(sum(answers), 160)
        held += found.low <= 0.8 <= found.high
        held_naively += naive.low <= 0.8 <= naive.high
    assert 0.92 < held / 500 < 0.975
    assert held_naively / 500 < 0.85
