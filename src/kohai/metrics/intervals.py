"""Shares and differences with their intervals, and the executability rate. Pure; an unscored value is never a zero."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from kohai.records import Execution


@dataclass(frozen=True)
class Interval:
    """A value and its confidence interval over `n` cases; with n = 0 the value is 0 and the interval says nothing."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Difference:
    """Mean of (a - b) over the `n` pairs that are scored on both sides; `dropped` pairs were not."""

    difference: float
    low: float
    high: float
    n: int
    dropped: int = 0


@dataclass(frozen=True)
class Executability:
    """ok / (ok + program) with its Wilson interval over those `n` executions.

    `environment_share` is the share, of all, of executions that nobody can judge (blame environment or undecided);
    `bounds` are the rates over all if each of those had failed, and if each had run. `kinds` counts all.
    """

    value: float
    low: float
    high: float
    n: int
    total: int
    environment_share: float
    bounds: tuple[float, float]
    kinds: Mapping[str, int] = field(default_factory=dict)


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share (Wilson 1927): (p + z²/2n ± z√(p(1-p)/n + z²/4n²)) / (1 + z²/n).

    8 of 10 give 0.8 [0.4902, 0.9433]; 0 of 10 give 0 [0, 0.2775]; 0 of 0 give 0 [0, 1].

    Raises:
        ValueError: successes are not within 0 and n, or the confidence not within 0 and 1.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    if n == 0:
        return Interval(0.0, 0.0, 1.0, 0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == n else (centre + half) / scale
    return Interval(share, low, high, n)


def paired_bootstrap(
    a: Sequence[float | None],
    b: Sequence[float | None],
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Difference:
    """Mean of a - b over paired tasks, with the percentile interval of the bootstrap over tasks (Efron 1979).

    A pair with a None on either side is dropped and counted; without any pair left, the difference is 0 [-1, 1], n = 0.

    Raises:
        ValueError: the two are of different length.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} values cannot be paired with {len(b)}")
    pairs = [float(x) - float(y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    dropped = len(a) - len(pairs)
    if not pairs:
        return Difference(0.0, -1.0, 1.0, 0, dropped)
    found = bootstrap_mean(pairs, resamples, seed, confidence)
    return Difference(found.value, found.low, found.high, found.n, dropped)


def bootstrap_mean(
    values: Sequence[float], resamples: int = 10_000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """The mean with the percentile interval of the bootstrap (Efron 1979); of no values 0 [0, 1], n = 0."""
    if not values:
        return Interval(0.0, 0.0, 1.0, 0)
    found = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for i in range(0, resamples, 500):  # in blocks: n x 500 indices at a time
        size = min(500, resamples - i)
        means[i : i + size] = found[rng.integers(0, len(found), (size, len(found)))].mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(found.mean()), float(low), float(high), len(found))


def interval_of(values: Sequence[float | bool], resamples: int = 10_000) -> Interval:
    """The mean of a metric's values; Wilson's interval where all are yes or no, else the bootstrap's."""
    if all(isinstance(value, bool) for value in values):
        return wilson(sum(map(bool, values)), len(values))
    return bootstrap_mean(values, resamples)


def executability(executions: Sequence[Execution]) -> Executability:
    """The share of programs that ran to their end, of those that are to be judged."""
    ran = sum(execution.blame == "none" for execution in executions)
    failed = sum(execution.blame == "program" for execution in executions)
    total = len(executions)
    blameless = total - ran - failed
    rate = wilson(ran, ran + failed)
    return Executability(
        rate.value,
        rate.low,
        rate.high,
        rate.n,
        total,
        environment_share=blameless / total if total else 0.0,
        bounds=(ran / total, (ran + blameless) / total) if total else (0.0, 1.0),
        kinds=dict(Counter(execution.kind for execution in executions).most_common()),
    )
