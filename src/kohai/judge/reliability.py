"""How far a judge can be trusted on a criterion, measured by the judge bench, and what its verdicts are worth by that.

A verdict says x: the logit of its probability of yes where it has one, else +1 for yes and -1 for no. What it is worth
is log-odds = slope * x + intercept, fitted on cases whose truth is known, both truths weighing the same. Without
probabilities that is exactly log(sensitivity / (1 - specificity)) for a yes, and log((1 - sensitivity) / specificity)
for a no.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kohai.records import Verdict

OFF = "switched off"
UNMEASURED = math.log(9.0)  # of a verdict without a probability, of a judge that was not examined: right 9 times of 10
UNREAD = "it did not run to its end"  # evidence of a no by a judge that reads only what ran
SUREST = math.log(99.0)  # no single verdict is worth more
_RIDGE = 1e-3
_STEPS = 50


@dataclass(frozen=True, slots=True)
class Reliability:
    """One judge on one criterion. `is_off`: the bench could not tell it from chance, so it is not asked."""

    slope: float
    intercept: float
    balanced_accuracy: float
    low: float
    high: float
    n: int
    is_off: bool = False

    def log_odds(self, verdict: Verdict) -> float:
        """Of yes, given the verdict (which is scored)."""
        return _bounded(self.slope * said(verdict) + self.intercept)

    def why_off(self) -> str:
        """What an unscored verdict says."""
        return (
            f"{OFF}: on this criterion the judge bench cannot tell it from chance (balanced accuracy "
            f"{self.balanced_accuracy:.2f} [{self.low:.2f}, {self.high:.2f}], n = {self.n})"
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def said(verdict: Verdict) -> float:
    """What a scored verdict says, as a number: above 0 for yes."""
    if verdict.probability is None:
        return 1.0 if verdict.answer == "yes" else -1.0
    return _bounded(logit(verdict.probability))


def worth(verdict: Verdict, reliability: Reliability | None) -> float:
    """Log-odds of yes, given a scored verdict."""
    if reliability is not None:
        return reliability.log_odds(verdict)
    return said(verdict) * (UNMEASURED if verdict.probability is None else 1.0)


def fit(values: Sequence[float], truths: Sequence[bool]) -> tuple[float, float]:
    """Slope and intercept of log-odds = slope * value + intercept, both truths weighing the same.

    Newton's method on the weighted log-likelihood with a light ridge on the slope, on standardised values. Needs both
    truths.
    """
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values)) or 1.0
    weights = (0.5 / (len(truths) - sum(truths)), 0.5 / sum(truths))
    slope = intercept = 0.0
    for _ in range(_STEPS):
        g_slope, g_intercept = _RIDGE * slope, 0.0
        h_slope, h_both, h_intercept = _RIDGE, 0.0, 0.0
        for value, truth in zip(values, truths, strict=True):
            x = (value - mean) / deviation
            p, weight = sigmoid(slope * x + intercept), weights[truth]
            g_slope += weight * (p - truth) * x
            g_intercept += weight * (p - truth)
            curve = weight * p * (1 - p)
            h_slope, h_both, h_intercept = h_slope + curve * x * x, h_both + curve * x, h_intercept + curve
        determinant = h_slope * h_intercept - h_both * h_both
        if determinant <= 0:
            break
        slope -= (h_intercept * g_slope - h_both * g_intercept) / determinant
        intercept -= (h_slope * g_intercept - h_both * g_slope) / determinant
    return slope / deviation, intercept - slope * mean / deviation


def logit(probability: float) -> float:
    """log(p / (1 - p)), finite."""
    p = min(max(probability, 1e-12), 1 - 1e-12)
    return math.log(p / (1 - p))


def sigmoid(value: float) -> float:
    """1 / (1 + exp(-value))."""
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, value))))


def _bounded(value: float) -> float:
    return max(-SUREST, min(SUREST, value))
