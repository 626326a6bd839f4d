"""Temperature calibration of score differences: how sure a preference model should be of the order it gives. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

_RANGE = (0.02, 50.0)
_STEPS = 60  # of a golden section: the range shrinks by 0.618 each


def temperature(differences: Sequence[float], labels: Sequence[float]) -> float:
    """T with the least `log_loss` of the differences / T (Guo et al., arXiv 1706.04599); 1 where there is no pair.

    A label is the chance that the first is the better. So that pairs that are all in order do not ask for a T of 0,
    each label is drawn in as if one more pair had been won and one lost (Platt 1999): (n * label + 1) / (n + 2).
    """
    if not differences:
        return 1.0
    n = len(labels)
    drawn_in = [(n * label + 1) / (n + 2) for label in labels]
    low, high = (math.log(bound) for bound in _RANGE)
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(_STEPS):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        losses = [log_loss([d / math.exp(at) for d in differences], drawn_in) for at in (left, right)]
        low, high = (low, right) if losses[0] < losses[1] else (left, high)
    return math.exp((low + high) / 2)


def log_loss(differences: Sequence[float], labels: Sequence[float]) -> float:
    """Mean of -label * log sigmoid(d) - (1 - label) * log sigmoid(-d): 0 is sure and right, log 2 a coin's."""
    losses = (label * _softplus(-d) + (1 - label) * _softplus(d) for d, label in zip(differences, labels, strict=True))
    return math.fsum(losses) / len(differences)


def _softplus(value: float) -> float:
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))
