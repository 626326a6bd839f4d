"""Krippendorff's alpha: agreement of any number of raters beyond chance, with answers missing."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from kohai.metrics.intervals import Interval

Units = Sequence[Sequence[Hashable | None]]


def krippendorff_alpha(units: Units) -> float | None:
    """1 - observed / expected disagreement (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"); answers
    are names: any two that differ are as far apart as any others.

    The worked example of that paper (4 raters, 12 units, 7 answers missing) gives 0.743.

    Args:
        units: By unit, each rater's answer, None where missing; a unit with fewer than two says nothing.

    Returns:
        None where there is nothing to disagree on: no pair of answers, or a single answer throughout.
    """
    disagreements, counts = _tables(units)
    found = float(_alpha(disagreements.sum(), counts.sum(axis=0)))
    return None if np.isnan(found) else found


def krippendorff(
    units: Units,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval | None:
    """Alpha with the percentile interval of the bootstrap over units; resamples without disagreement count as 1."""
    disagreements, counts = _tables(units)
    value = krippendorff_alpha(units)
    if value is None:
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), resamples).astype(float)
    found = _alpha(drawn @ disagreements, drawn @ counts)
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.where(np.isnan(found), 1.0, found), [tail, 1 - tail])
    return Interval(value, float(low), float(high), len(counts))


def _tables(units: Units) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of the U units with two answers or more, (U,): how many pairs of answers differ, each pair both ways, by
    (answers - 1); and (U, C): how often it has each of C answers.
    """
    answered = [[answer for answer in unit if answer is not None] for unit in units]
    answered = [unit for unit in answered if len(unit) > 1]
    place = {value: i for i, value in enumerate(dict.fromkeys(answer for unit in answered for answer in unit))}
    counts = np.zeros((len(answered), len(place)))
    for row, unit in zip(counts, answered, strict=True):
        np.add.at(row, [place[answer] for answer in unit], 1)
    return _differing(counts) / (counts.sum(axis=1) - 1), counts


def _alpha(disagreement: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(...): 1 - (n - 1) observed / expected, of observed (...) and counts (..., C); not a number where none is
    expected.
    """
    expected = _differing(counts)
    observed = (counts.sum(axis=-1) - 1) * disagreement
    ratio = np.full(np.shape(expected), np.nan)
    np.divide(observed, expected, out=ratio, where=expected > 0)
    return 1 - ratio


def _differing(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(...): the pairs of different answers, each both ways, of counts (..., C)."""
    found: NDArray[np.float64] = counts.sum(axis=-1) ** 2 - (counts**2).sum(axis=-1)
    return found
