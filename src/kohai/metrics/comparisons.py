"""Two arms on the same tasks: a test, a correction for many of them, what a number of tasks can show, several seeds.

A pair with a None on either side is left out and counted: an unscored value is never a zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from kohai.metrics.intervals import Difference

Scores = Sequence[float | bool | None]
_BLOCK = 500  # resamples at a time


@dataclass(frozen=True, slots=True)
class McNemar:
    """Tasks that only the first arm does, tasks that only the second does, and how likely such a split is by chance."""

    wins: int
    losses: int
    p: float
    dropped: int = 0


def mcnemar(a: Sequence[bool | None], b: Sequence[bool | None]) -> McNemar:
    """McNemar's exact test (1947): under no difference, wins are a fair coin's among the tasks on which arms differ.

    15 wins and 5 losses: p = 2 * sum of C(20, k) for k <= 5, by 2^20 = 0.0414. Two-sided; 1 without such tasks.

    Raises:
        ValueError: the two are of different length.
    """
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    wins = sum(x and not y for x, y in pairs)
    losses = sum(y and not x for x, y in pairs)
    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(min(wins, losses) + 1))
    return McNemar(wins, losses, min(1.0, 2 * tail / 2**n), len(a) - len(pairs))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values (1979): below 0.05 each, the chance of any false finding among them is below 0.05.

    Of m, the k-th smallest is multiplied by m - k + 1 and never falls below an earlier one: 0.01, 0.04, 0.03 become
    0.03, 0.06, 0.06.
    """
    found: dict[str, float] = {}
    highest = 0.0
    for place, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, p * (len(p_values) - place)))
        found[name] = highest
    return {name: found[name] for name in p_values}


def needed_tasks(difference: float, discordance: float, power: float = 0.8, confidence: float = 0.95) -> int:
    """Paired tasks that show a difference of two rates with that power, where arms differ on a share of the tasks.

    (z_(1-a/2) * sqrt(s) + z_power * sqrt(s - d^2))^2 / d^2 (Connor 1987): d = 0.1, s = 0.3 need 234.

    Raises:
        ValueError: a difference of 0, or above the discordance; numbers out of range.
    """
    size = abs(difference)
    if not 0 < size <= discordance <= 1 or not 0 < power < 1 or not 0 < confidence < 1:
        raise ValueError(f"a difference of {difference} cannot come of arms that differ on {discordance} of the tasks")
    normal = NormalDist()
    wide = normal.inv_cdf((1 + confidence) / 2) * math.sqrt(discordance)
    return math.ceil(((wide + normal.inv_cdf(power) * math.sqrt(discordance - size * size)) / size) ** 2)


def detectable_difference(n: int, discordance: float, power: float = 0.8, confidence: float = 0.95) -> float | None:
    """The smallest difference that n paired tasks show with that power; None where even the largest is not shown.

    "With n = 337 and arms that differ on 30 % of the tasks, a difference of 8.3 points is needed."
    """
    if discordance <= 0 or needed_tasks(discordance, discordance, power, confidence) > n:
        return None
    low, high = 1e-6, discordance
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if needed_tasks(middle, discordance, power, confidence) <= n else (middle, high)
    return high


def pooled_difference(
    after: Sequence[Scores], before: Sequence[Scores], resamples: int = 4000, seed: int = 0, confidence: float = 0.95
) -> Difference:
    """Mean difference over training seeds and tasks, its interval for new seeds and new tasks alike.

    Seeds and tasks are drawn anew, each with replacement (pigeonhole bootstrap, Owen 2007); a seed's own deviation is
    stretched by sqrt(S / (S - 1)), which S seeds show too small. With one seed the interval is over tasks alone and
    knows nothing of other seeds. With three it holds while seeds differ less than tasks do.

    `after` and `before` hold, by seed, the scores of the same tasks in the same order. Of the result, `n` counts the
    pairs of all seeds, `dropped` those with a None.

    Raises:
        ValueError: no seed, or seeds of different length.
    """
    if not after or len({len(scores) for scores in (*after, *before)}) != 1 or len(after) != len(before):
        raise ValueError("each seed needs the scores of the same tasks in both arms")
    gaps = np.array([[_gap(x, y) for x, y in zip(*arms, strict=True)] for arms in zip(after, before, strict=True)])
    known = ~np.isnan(gaps)
    if not known.any():
        return Difference(0.0, -1.0, 1.0, 0, gaps.size)
    value = float(gaps[known].mean())
    of_seed = np.array(
        [row[is_known].mean() if is_known.any() else value for row, is_known in zip(gaps, known, strict=True)]
    )
    n_seeds, n_tasks = gaps.shape
    stretch = math.sqrt(n_seeds / (n_seeds - 1)) if n_seeds > 1 else 1.0
    gaps = np.where(known, gaps + ((of_seed - value) * (stretch - 1))[:, None], 0.0)
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(0, resamples, _BLOCK):
        seeds = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), _BLOCK)
        tasks = rng.multinomial(n_tasks, np.full(n_tasks, 1 / n_tasks), _BLOCK)
        total = np.einsum("rs,st,rt->r", seeds, gaps, tasks)
        means.append(total / np.maximum(1, np.einsum("rs,st,rt->r", seeds, known.astype(float), tasks)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Difference(value, float(low), float(high), int(known.sum()), int((~known).sum()))


def _gap(after: float | None, before: float | None) -> float:
    return math.nan if after is None or before is None else float(after) - float(before)
