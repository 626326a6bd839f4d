"""A rate that a judge estimates over many cases, corrected by people's labels: prediction-powered inference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True, slots=True)
class PredictionPowered:
    """The corrected rate and its interval over `n_labels` labels and `n_judged` further judged cases.

    `power` in [0, 1] says how far the judge was listened to: 0 is the labels' own mean. `dropped` cases were unscored.
    """

    value: float
    low: float
    high: float
    n_labels: int
    n_judged: int
    power: float
    dropped: int = 0


def prediction_powered_rate(
    labels: Sequence[bool | None],
    judged: Sequence[float | bool | None],
    judged_alone: Sequence[float | bool | None],
    confidence: float = 0.95,
) -> PredictionPowered:
    """The mean label, were all cases labelled.

    mean(label - power * judge) over the labelled + power * mean(judge) over the others (Angelopoulos et al. 2023,
    Science 382), the power that makes the variance least: cov(label, judge) / ((1 + n/N) var(judge)) (PPI++,
    Angelopoulos, Duchi, Zrnic 2023), here kept within 0 and 1. The interval is normal: for rates near 0 or 1, or
    fewer than some 30 labels, it is too narrow.

    Args:
        labels: People's answers; None = not answered.
        judged: The judge's answers, or probabilities of yes, about the same cases.
        judged_alone: The judge's answers about cases that nobody labelled, drawn alike.
        confidence: Of the interval.

    Raises:
        ValueError: labels and judged differ in length, or fewer than two cases have both.
    """
    pairs = [(float(y), float(f)) for y, f in zip(labels, judged, strict=True) if y is not None and f is not None]
    alone = np.array([float(f) for f in judged_alone if f is not None])
    dropped = len(labels) - len(pairs) + len(judged_alone) - len(alone)
    if len(pairs) < 2:
        raise ValueError(f"{len(pairs)} labelled cases that the judge answered: at least two are needed")
    label, said = np.array(pairs).T
    n, n_alone = len(pairs), len(alone)
    spread = float(np.concatenate([said, alone]).var()) if n_alone else 0.0
    power = 0.0
    if n_alone and spread > 0:
        power = min(1.0, max(0.0, float(np.cov(label, said)[0, 1]) / ((1 + n / n_alone) * spread)))
    value = float((label - power * said).mean()) + (power * float(alone.mean()) if n_alone else 0.0)
    variance = float((label - power * said).var(ddof=1)) / n
    if n_alone > 1:
        variance += power * power * float(alone.var(ddof=1)) / n_alone
    half = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(variance)
    low, high = max(0.0, value - half), min(1.0, value + half)
    return PredictionPowered(min(1.0, max(0.0, value)), low, high, n, n_alone, power, dropped)
