"""How well numbers order what they should order. Pure; None where the question has no answer."""

from __future__ import annotations

import math
from collections.abc import Sequence


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """The chance that a positive case outscores a negative one, ties counting half (Mann-Whitney U / (n₊·n₋)).

    Scores 1, 2, 2, 3 with labels no, no, yes, yes give (1 + 0.5 + 1 + 1) / 4 = 0.875. None without both labels.

    Raises:
        ValueError: of different length.
    """
    _same_length(scores, labels)
    positives = sum(map(bool, labels))
    negatives = len(labels) - positives
    if not positives or not negatives:
        return None
    ranked = ranks(scores)
    total = sum(rank for rank, label in zip(ranked, labels, strict=True) if label)
    return (total - positives * (positives + 1) / 2) / (positives * negatives)


def pearson(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Linear correlation; None for fewer than two pairs or where one side is constant.

    Raises:
        ValueError: of different length.
    """
    _same_length(a, b)
    if len(a) < 2:
        return None
    mean_a, mean_b = math.fsum(a) / len(a), math.fsum(b) / len(b)
    left = [x - mean_a for x in a]
    right = [y - mean_b for y in b]
    scale = math.sqrt(math.fsum(x * x for x in left)) * math.sqrt(math.fsum(y * y for y in right))
    if not scale or max(a) == min(a) or max(b) == min(b):
        return None
    return max(-1.0, min(1.0, math.fsum(x * y for x, y in zip(left, right, strict=True)) / scale))


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Rank correlation: Pearson's of the ranks, ties sharing their mean rank; None as in `pearson`."""
    _same_length(a, b)
    return pearson(ranks(a), ranks(b))


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, smallest first; equal values share the mean of theirs: 5, 7, 7, 9 give 1, 2.5, 2.5, 4."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            found[place] = (start + end) / 2 + 1
        start = end + 1
    return found


def _same_length(a: Sequence[object], b: Sequence[object]) -> None:
    if len(a) != len(b):
        raise ValueError(f"{len(a)} values cannot be paired with {len(b)}")
