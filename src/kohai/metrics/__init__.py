"""Metrics and their intervals: pure functions over records."""

from kohai.metrics.api_match import exact_api
from kohai.metrics.effects import effect_match
from kohai.metrics.intervals import Difference, Executability, Interval, executability, paired_bootstrap, wilson
from kohai.metrics.ranking import auc, pearson, spearman

__all__ = [
    "Difference",
    "Executability",
    "Interval",
    "auc",
    "effect_match",
    "exact_api",
    "executability",
    "paired_bootstrap",
    "pearson",
    "spearman",
    "wilson",
]
