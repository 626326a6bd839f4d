"""How well yes/no answers agree with a truth, or with one another. Pure; None where the question has no answer.

Counts are (true yes, false yes, true no, false no), "true" meaning that the answer agrees with the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from kohai.metrics.intervals import Interval

Counts = NDArray[np.float64]
_BLOCK = 500


def count(answers: Sequence[bool], truths: Sequence[bool]) -> Counts:
    """(4,): true yes, false yes, true no, false no.

    Raises:
        ValueError: of different length.
    """
    found = np.zeros(4)
    for answer, truth in zip(answers, truths, strict=True):
        found[(0 if truth else 1) if answer else (3 if truth else 2)] += 1
    return found


def accuracy(counts: Counts) -> Counts:
    """(...): share of the answers that agree with the truth, of counts (..., 4)."""
    return _share(counts[..., 0] + counts[..., 2], counts.sum(-1))


def balanced_accuracy(counts: Counts) -> Counts:
    """(...): mean of sensitivity and specificity, of counts (..., 4); 0.5 is chance. Not a number without both truths.

    40, 5, 15, 10: (40/50 + 15/20) / 2 = 0.775.
    """
    true_yes, false_yes, true_no, false_no = np.moveaxis(counts, -1, 0)
    return (_share(true_yes, true_yes + false_no) + _share(true_no, true_no + false_yes)) / 2


def kappa(counts: Counts) -> Counts:
    """(...): Cohen's kappa (1960), agreement beyond chance, of counts (..., 4); not a number where both are constant.

    20, 5, 15, 10: observed 0.7, by chance 0.5·0.6 + 0.5·0.4 = 0.5, kappa 0.4.
    """
    true_yes, false_yes, true_no, false_no = np.moveaxis(counts, -1, 0)
    n = counts.sum(-1)
    observed = _share(true_yes + true_no, n)
    said, is_so = _share(true_yes + false_yes, n), _share(true_yes + false_no, n)
    by_chance = said * is_so + (1 - said) * (1 - is_so)
    return _share(observed - by_chance, 1 - by_chance)


def clustered(
    answers: Sequence[bool],
    truths: Sequence[bool],
    clusters: Sequence[Hashable],
    statistic: Callable[[Counts], Counts],
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval | None:
    """A statistic of the counts with the percentile interval of the bootstrap over clusters (answers about one task are
    no independent ones). None where the statistic is not a number; resamples in which it is none are left out.

    Raises:
        ValueError: of different length.
    """
    by_cluster: dict[Hashable, list[tuple[bool, bool]]] = {}
    for answer, truth, cluster in zip(answers, truths, clusters, strict=True):
        by_cluster.setdefault(cluster, []).append((answer, truth))
    if not by_cluster:
        return None
    table = np.stack([count(*zip(*pairs, strict=True)) for pairs in by_cluster.values()])
    value = float(statistic(table.sum(0)))
    if np.isnan(value):
        return None
    rng = np.random.default_rng(seed)
    found = []
    for start in range(0, resamples, _BLOCK):
        drawn = rng.integers(0, len(table), (min(_BLOCK, resamples - start), len(table)))
        found.append(statistic(table[drawn].sum(1)))
    values = np.concatenate(found)
    values = values[~np.isnan(values)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail]) if len(values) else (value, value)
    return Interval(value, float(low), float(high), len(answers))


def calibration_error(probabilities: Sequence[float], truths: Sequence[bool], bins: int = 10) -> float | None:
    """Expected calibration error (Naeini et al. 2015): over bins of equal width, the mean distance of the mean
    probability from the share that is true, weighed by the bin's size.

    0.9, 0.9 (one true) and 0.1 (not true): (2·|0.9 - 0.5| + 1·|0.1 - 0|) / 3 = 0.3.

    Raises:
        ValueError: of different length.
    """
    by_bin: dict[int, list[tuple[float, bool]]] = {}
    for probability, truth in zip(probabilities, truths, strict=True):
        by_bin.setdefault(min(bins - 1, int(probability * bins)), []).append((probability, truth))
    if not by_bin:
        return None
    gaps = [abs(sum(p for p, _ in found) - sum(t for _, t in found)) for found in by_bin.values()]
    return sum(gaps) / len(probabilities)


def _share(part: Counts, whole: Counts) -> Counts:
    """Part / whole, not a number where the whole is 0."""
    shares = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=shares, where=np.asarray(whole) != 0)
    return shares
