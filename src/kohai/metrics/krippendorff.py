"""Krippendorff's alpha: agreement of any number of raters beyond chance, with answers missing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from kohai.metrics.intervals import Interval

Units = Sequence[Sequence[Hashable | None]]


def krippendorff_alpha(units: Units, distance: Callable[[Hashable, Hashable], float] | None = None) -> float | None:
    """1 - observed / expected disagreement (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").

    The worked example of that paper (4 raters, 12 units, 7 answers missing) gives 0.743 for names and 0.849 for
    numbers.

    Args:
        units: By unit, each rater's answer, None where missing; a unit with fewer than two says nothing.
        distance: Of two different answers; None = 1, answers are names. `numeric` is the square of the difference.

    Returns:
        None where there is nothing to disagree on: no pair of answers, or a single answer throughout.
    """
    return _alpha(*_tables(units, distance))


def krippendorff(
    units: Units,
    distance: Callable[[Hashable, Hashable], float] | None = None,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval | None:
    """Alpha with the percentile interval of the bootstrap over units; resamples without disagreement count as 1."""
    pairs, distances = _tables(units, distance)
    value = _alpha(pairs, distances)
    if value is None:
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(pairs), np.full(len(pairs), 1 / len(pairs)), resamples)
    found = [_alpha(pairs, distances, weights) for weights in drawn]
    tail = (1 - confidence) / 2
    low, high = np.quantile([1.0 if alpha is None else alpha for alpha in found], [tail, 1 - tail])
    return Interval(value, float(low), float(high), len(pairs))


def numeric(a: Hashable, b: Hashable) -> float:
    """The distance of numbers: the square of their difference."""
    return float((a - b) ** 2)  # type: ignore[operator]


def _tables(
    units: Units, distance: Callable[[Hashable, Hashable], float] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(U, C, C): by unit with two answers or more, its pairs of answers, each weighed by 1 / (answers - 1); and
    (C, C): the distances.
    """
    answered = [[answer for answer in unit if answer is not None] for unit in units]
    answered = [unit for unit in answered if len(unit) > 1]
    values = list(dict.fromkeys(answer for unit in answered for answer in unit))
    place = {value: i for i, value in enumerate(values)}
    pairs = np.zeros((len(answered), len(values), len(values)))
    for table, unit in zip(pairs, answered, strict=True):
        counts = np.bincount([place[answer] for answer in unit], minlength=len(values)).astype(float)
        table += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    distances = np.array(
        [[0.0 if a == b else 1.0 if distance is None else distance(a, b) for b in values] for a in values]
    )
    return pairs, distances.reshape(len(values), len(values))


def _alpha(
    pairs: NDArray[np.float64], distances: NDArray[np.float64], weights: NDArray[np.int64] | None = None
) -> float | None:
    table = pairs.sum(0) if weights is None else np.tensordot(weights.astype(float), pairs, 1)
    totals = table.sum(0)
    n = totals.sum()
    expected = float(totals @ distances @ totals)
    return 1 - float((n - 1) * (table * distances).sum()) / expected if expected else None
