"""Tests and intervals of two arms, on numbers worked by hand and on simulated data."""

import random

import numpy as np
import pytest

from kohai.metrics import paired_bootstrap, wilson
from kohai.metrics.comparisons import (
    detectable_difference,
    detectable_rise,
    holm,
    independent_discordance,
    mcnemar,
    needed_tasks,
    pooled_difference,
)


def test_mcnemar():
    """15 against 5: 2 * (1 + 20 + 190 + 1140 + 4845 + 15504) / 2^20 = 0.04139, the mid-p 15504 / 2^20 less; ties and
    unscored pairs say nothing.
    """
    first = [True] * 15 + [False] * 5 + [True] * 30 + [None, True]
    second = [False] * 15 + [True] * 5 + [True] * 30 + [True, None]
    found = mcnemar(first, second)
    assert (found.wins, found.losses, found.dropped) == (15, 5, 2)
    assert found.p == pytest.approx(2 * 21700 / 2**20)
    assert found.mid_p == pytest.approx((2 * 21700 - 15504) / 2**20)
    assert mcnemar(second, first).p == found.p
    assert mcnemar([True, False], [True, False]).p == 1
    assert mcnemar([True, False], [False, True]).p == 1  # 2 * (1 + 2) / 4, and no more than 1
    assert mcnemar([True, False], [False, True]).mid_p == 1  # 2 * 3 - 2 of 4
    assert mcnemar([], []).mid_p == 1
    with pytest.raises(ValueError, match="shorter"):
        mcnemar([True], [])


def test_mcnemar_of_many():
    """70 wins of 70: 2 / 2^70, also of numpy's numbers, whose powers of two end at 2^62."""
    found = mcnemar(np.full(70, True), np.full(70, False))
    assert (found.wins, found.losses) == (70, 0)
    assert found.p == pytest.approx(2.0**-69, rel=1e-12)


def test_holm():
    """The smallest of three is multiplied by 3, the next by 2; none falls below an earlier one, none passes 1."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.5, "b": 0.6}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}
    assert list(holm({"b": 0.2, "a": 0.1})) == ["b", "a"]
    for bad in (float("nan"), -0.1, 1.1):
        with pytest.raises(ValueError, match="rlaif"):
            holm({"sft": 0.01, "rlaif": bad})


def test_power_by_hand():
    """For d = 0.1, s = 0.3: (1.960 * 0.5477 + 0.8416 * sqrt(0.29))^2 / 0.01 = 1.5267^2 / 0.01 = 233.1."""
    assert needed_tasks(0.1, 0.3) == 234
    assert needed_tasks(-0.1, 0.3) == 234
    found = detectable_difference(337, 0.3)
    assert found == pytest.approx(0.0833, abs=1e-4)
    assert needed_tasks(found, 0.3) == 337
    assert detectable_difference(5, 0.3) is None
    assert detectable_difference(100, 0.0) is None
    for difference, discordance in ((0, 0.3), (0.4, 0.3), (0.1, 1.2)):
        with pytest.raises(ValueError, match="cannot come"):
            needed_tasks(difference, discordance)
    for power in (0.4, 1.0):
        with pytest.raises(ValueError, match="power"):
            needed_tasks(0.1, 0.3, power)


def test_power_of_independent_arms_by_hand():
    """0.5 and 0.6 differ on 0.5 * 0.4 + 0.6 * 0.5 = 0.5 of the tasks. A rise of 0.1 from 0.5 then takes
    (1.960 * 0.7071 + 0.8416 * 0.7)^2 / 0.01 = 1.9750^2 / 0.01 = 390.1 tasks; 391 show no less. With 337 it takes 10.8.
    """
    assert independent_discordance(0.5, 0.6) == pytest.approx(0.5)
    assert independent_discordance(0.2, 0.9) == pytest.approx(0.2 * 0.1 + 0.9 * 0.8)
    assert needed_tasks(0.1, independent_discordance(0.5, 0.6)) == 391
    assert detectable_rise(391, 0.5) == pytest.approx(0.1, abs=2e-4)
    assert detectable_rise(390, 0.5) > 0.1
    assert detectable_rise(337, 0.5) == pytest.approx(0.10754, abs=1e-5)
    assert detectable_rise(337, 1.0) is None
    assert detectable_rise(3, 0.9) is None
    for rate in (-0.1, 1.5):
        with pytest.raises(ValueError, match="rates"):
            detectable_rise(337, rate)


def test_power_in_simulated_comparisons():
    """With the needed tasks, McNemar's exact test finds the difference in about 80 % of 400 comparisons (it is a little
    cautious: 73 to 85 %), and a difference of none in at most 5 % (here under 8 %).
    """
    rng = random.Random(7)
    n = needed_tasks(0.1, 0.3)

    def share_found(wins, losses):
        found = 0
        for _ in range(400):
            drawn = rng.choices([(True, False), (False, True), (True, True)], [wins, losses, 1 - wins - losses], k=n)
            found += mcnemar(*zip(*drawn, strict=True)).p < 0.05
        return found / 400

    assert 0.73 < share_found(0.2, 0.1) < 0.85
    assert share_found(0.15, 0.15) < 0.08


def test_wilson_and_paired_bootstrap_cover():
    """About 95 % of 500 intervals hold the truth (three standard errors of that share: 92 to 98 %)."""
    rng = random.Random(7)
    rates = [wilson(sum(rng.random() < 0.7 for _ in range(60)), 60) for _ in range(500)]
    assert 0.92 < sum(found.low <= 0.7 <= found.high for found in rates) / 500 < 0.98
    held = 0
    for number in range(500):
        drawn = rng.choices([(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)], [0.2, 0.1, 0.7], k=120)
        found = paired_bootstrap(*zip(*drawn, strict=True), resamples=500, seed=number)
        held += found.low <= 0.1 <= found.high
    assert 0.92 < held / 500 < 0.98


def test_pooled_by_hand():
    """Two seeds on three tasks: gaps 1, 0, 0 and 1, 1, unscored; mean 3/5."""
    after, before = [[1, 1, 0], [1, 1, None]], [[0, 1, 0], [0, 0, 0]]
    found = pooled_difference(after, before)
    assert found.difference == pytest.approx(0.6)
    assert (found.n, found.dropped) == (5, 1)
    assert found.low < 0.6 < found.high
    assert pooled_difference(after, before) == found
    assert pooled_difference([[None]], [[1]]).n == 0
    for broken in (([], []), ([[1]], []), ([[1]], [[1, 2]]), ([[1], [1]], [[1]])):
        with pytest.raises(ValueError, match="same tasks"):
            pooled_difference(*broken)


def test_few_seeds_are_stretched_by_hand():
    """Seeds that gain 0 and 1 on every task: mean 0.5, each 0.5 away, stretched by sqrt(2 / 1) to 0.7071. A quarter of
    the resamples draws one seed twice, so the interval ends there: -0.2071 and 1.2071.
    """
    found = pooled_difference([[0, 0, 0], [1, 1, 1]], [[0, 0, 0], [0, 0, 0]])
    assert (found.low, found.high) == pytest.approx((0.5 - 0.5**0.5, 0.5 + 0.5**0.5))


def test_one_seed_pools_to_the_paired_bootstrap():
    """Nothing is known of other seeds: the interval is that over tasks, and says so."""
    rng = random.Random(7)
    after, before = ([float(rng.random() < share) for _ in range(200)] for share in (0.6, 0.5))
    pooled, paired = pooled_difference([after], [before]), paired_bootstrap(after, before)
    assert pooled.difference == paired.difference
    assert (pooled.low, pooled.high) == pytest.approx((paired.low, paired.high), abs=0.012)
    assert not pooled.seed_noise
    assert pooled_difference([after, after], [before, before]).seed_noise


def _shares_held(n_tasks, of_seed):
    """Shares of 400 intervals that hold a difference of 0.05: pooled, of all pairs as if independent, over tasks alone.

    Gaps = 0.05 + what a task gives (deviation 0.3) + what one of three seeds gives + chance (0.2).
    """
    rng = np.random.default_rng(7)
    held = np.zeros(3)
    for number in range(400):
        gaps = 0.05 + rng.normal(0, 0.3, n_tasks) + rng.normal(0, of_seed, (3, 1)) + rng.normal(0, 0.2, (3, n_tasks))
        found = pooled_difference(gaps.tolist(), np.zeros((3, n_tasks)).tolist(), 500, number)
        error = abs(gaps.mean() - 0.05)
        pairs, tasks = 1.96 * gaps.std() / np.sqrt(gaps.size), 1.96 * gaps.mean(axis=0).std() / np.sqrt(n_tasks)
        held += found.low <= 0.05 <= found.high, error <= pairs, error <= tasks
    return held / 400


def test_pooled_covers_new_seeds_and_tasks():
    """Seeds of deviation 0.02 give a seventh of the mean's variance: 92 % (three standard errors below 95) to 99 %
    (chance is counted with seeds and with tasks). A pool that takes all pairs for independent is too narrow.
    """
    pooled, independent, _ = _shares_held(120, 0.02)
    assert 0.917 < pooled < 0.99
    assert independent < 0.85


def test_pooled_sees_seeds_that_differ():
    """Seeds of deviation 0.1 on 100 tasks give three quarters of the mean's variance. An interval over tasks alone
    holds in 2 * Phi(1.96 / sqrt(4.3)) - 1 = 66 %; the pooled in about 87 % (three standard errors: 82 to 92), as its
    docstring owns.
    """
    pooled, _, tasks = _shares_held(100, 0.1)
    assert 0.82 < pooled < 0.92
    assert tasks < 0.72
