"""Metrics and their intervals: pure functions over records."""

from kohai.metrics.agreement import accuracy, balanced_accuracy, calibration_error, clustered, kappa
from kohai.metrics.api_match import api_match, exact_api, hallucinated_api
from kohai.metrics.comparisons import pooled_difference
from kohai.metrics.effects import effect_match
from kohai.metrics.intervals import (
    Difference,
    Executability,
    Interval,
    bootstrap_mean,
    clustered_rate,
    executability,
    interval_of,
    paired_bootstrap,
    wilson,
)
from kohai.metrics.ranking import auc, pearson, spearman
from kohai.metrics.temperature import log_loss, temperature

__all__ = [
    "Difference",
    "Executability",
    "Interval",
    "accuracy",
    "api_match",
    "auc",
    "balanced_accuracy",
    "bootstrap_mean",
    "calibration_error",
    "clustered",
    "clustered_rate",
    "effect_match",
    "exact_api",
    "executability",
    "hallucinated_api",
    "interval_of",
    "kappa",
    "log_loss",
    "paired_bootstrap",
    "pearson",
    "pooled_difference",
    "spearman",
    "temperature",
    "wilson",
]
