"""Shares and differences with their intervals, and the executability rate. Pure; an unscored value is never a zero."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

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
    share = successes / n
    return Interval(share, *_wilson_bounds(share, n, confidence), n)


def _wilson_bounds(share: float, n: float, confidence: float) -> tuple[float, float]:
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return 0.0 if share == 0 else (centre - half) / scale, 1.0 if share == 1 else (centre + half) / scale


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
    low, high = _percentiles(len(found), lambda drawn: found[drawn].mean(axis=1), resamples, seed, confidence)
    return Interval(float(found.mean()), low, high, len(found))


def _percentiles(
    n: int, means: Callable[[NDArray[np.int64]], NDArray[np.float64]], resamples: int, seed: int, confidence: float
) -> tuple[float, float]:
    """The ends of the bootstrap's interval: of `means` of rows of n indices below n, drawn with replacement."""
    rng = np.random.default_rng(seed)
    found = np.empty(resamples)
    for i in range(0, resamples, 500):  # in blocks: n x 500 indices at a time
        drawn = rng.integers(0, n, (min(500, resamples - i), n))
        found[i : i + len(drawn)] = means(drawn)
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)


def interval_of(
    values: Sequence[float | bool], resamples: int = 10_000, clusters: Sequence[Hashable] | None = None
) -> Interval:
    """The mean of a metric's values; Wilson's interval where all are yes or no, else the bootstrap's. Where a cluster
    (a task) has several values, as `clustered_rate` and `clustered_mean`.
    """
    is_rate = all(isinstance(value, bool) for value in values)
    if clusters is not None and len(set(clusters)) < len(clusters):
        return clustered_rate(values, clusters) if is_rate else clustered_mean(values, clusters, resamples)
    return wilson(sum(map(bool, values)), len(values)) if is_rate else bootstrap_mean(values, resamples)


def clustered_rate(values: Sequence[float | bool], clusters: Sequence[Hashable], confidence: float = 0.95) -> Interval:
    """A share with Wilson's interval for as many independent cases as would vary like these, of which those of one
    cluster hang together (Dean, Pagano 2015): share * (1 - share) / variance, at most n, with the variance
    k / (k - 1) * sum of (yes - share * size)^2 / n^2 over the k clusters; k where all are alike.

    Four of four in one cluster, none of four in another: variance 2 * (2^2 + 2^2) / 8^2 = 0.25, one case; 0.5 [0.0546,
    0.9454].

    Raises:
        ValueError: no value, or values and clusters of different length.
    """
    sums, sizes = _by_cluster(values, clusters)
    n, k = len(values), len(sums)
    share = float(sums.sum()) / n
    cases = float(k)
    if k > 1 and 0 < share < 1:
        variance = k / (k - 1) * float(((sums - share * sizes) ** 2).sum()) / n**2
        cases = min(n, share * (1 - share) / variance) if variance else n
    return Interval(share, *_wilson_bounds(share, cases, confidence), n)


def clustered_mean(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """The mean of all values with the percentile interval of the bootstrap over clusters.

    Raises:
        ValueError: no value, or values and clusters of different length.
    """
    sums, sizes = _by_cluster(values, clusters)

    def means(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
        return found

    low, high = _percentiles(len(sums), means, resamples, seed, confidence)
    return Interval(float(sums.sum() / sizes.sum()), low, high, len(values))


def _by_cluster(
    values: Sequence[float | bool], clusters: Sequence[Hashable]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(clusters,): the sum of each one's values, and how many it has."""
    if not values:
        raise ValueError("no value: there is no mean")
    found: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        found.setdefault(cluster, []).append(float(value))
    return np.array([sum(some) for some in found.values()]), np.array([float(len(some)) for some in found.values()])


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
