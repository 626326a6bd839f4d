"""The reviewer: an offline judge that scores log P(instruction | code) (Coder-Reviewer reranking, arXiv 2211.16490).

The base, tuned for minutes on the demo references turned round, reads a program and says how well it explains the
instruction: mean log-probability per token of the instruction. What a program repeats of its instruction is cut first
(`judge/echo.py`), comments and unused strings with it, since code that quotes the instruction would fool it. A logistic
curve, fitted on references against their mutants, turns the score into a probability of yes; the threshold is 0.5.

Answers only the criterion `does_task`: whether a program runs, execution and static checks know better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from kohai.judge import Case, Criterion
from kohai.judge.echo import without_echo
from kohai.judge.reliability import fit, sigmoid
from kohai.metrics import auc
from kohai.models import adapters
from kohai.models.base import Base
from kohai.models.packing import Group, Packed, pack, reading_tokens, rows
from kohai.models.scoring import per_segment, token_scores
from kohai.models.tuning import answer_ids
from kohai.records import Verdict

QUESTION = "Say in one sentence or two what this program was asked to do."


@dataclass(frozen=True)
class Calibration:
    """probability of yes = 1 / (1 + exp(-(slope * score + intercept))); how well it told references from mutants."""

    slope: float
    intercept: float
    auc: float | None
    balanced_accuracy: float
    n: int
    n_mutants: int

    @property
    def threshold(self) -> float | None:
        """The score whose probability is one half; None where the score says nothing (slope 0)."""
        return -self.intercept / self.slope if self.slope else None

    def tells(self, min_auc: float) -> bool:
        """A better score is a better sign, and tells references from mutants at least so well; 0 asks for nothing."""
        return min_auc == 0 or (self.slope > 0 and self.auc is not None and self.auc >= min_auc)

    def probability(self, score: float) -> float:
        """Of yes."""
        return sigmoid(self.slope * score + self.intercept)

    def as_dict(self) -> dict[str, float | None]:
        """JSON values, the threshold with them."""
        return asdict(self) | {"threshold": self.threshold}


@dataclass(frozen=True)
class Reviewer:
    """An answerer for the panel; `model` carries the adapter `reviewer`.

    scores: per task, the score of each program that it was asked about; the reward model starts from them.
    """

    base: Base
    model: Any
    calibration: Calibration
    min_auc: float = 0.5
    name: str = "reviewer"
    scores: dict[str, dict[str, float]] = field(default_factory=dict)

    def answer(
        self,
        criteria: Sequence[Criterion],
        cases: Sequence[Case],
        on_done: Callable[[int], None] | None = None,
        fresh: bool = False,  # noqa: ARG002 - nothing is remembered
    ) -> list[list[Verdict]]:
        """One verdict per criterion and case; criteria other than `does_task` are unscored."""
        with adapters.merged(self.model, self.name) as plain:
            scores = review(self.base, plain, [(c.task.instruction, c.completion.code) for c in cases], on_done)
        for case, score in zip(cases, scores, strict=True):
            self.scores.setdefault(case.task.id, {})[case.completion.code] = score
        return [[self._verdict(criterion, score) for criterion in criteria] for score in scores]

    def note(self) -> str:
        """Nothing to tell."""
        return ""

    def _verdict(self, criterion: Criterion, score: float) -> Verdict:
        if criterion.id != "does_task":
            return Verdict(criterion.id, "unscored", self.name, "the reviewer answers only does_task")
        if not self.calibration.tells(self.min_auc):
            auc = "unknown" if self.calibration.auc is None else f"{self.calibration.auc:.2f}"
            reason = f"the reviewer does not tell references from their mutants (area under the curve {auc})"
            return Verdict(criterion.id, "unscored", self.name, reason)
        probability = self.calibration.probability(score)
        threshold = "none" if self.calibration.threshold is None else f"{self.calibration.threshold:.3f}"
        evidence = f"log P(instruction | code) = {score:.3f} per token, threshold {threshold}"
        return Verdict(criterion.id, "yes" if probability >= 0.5 else "no", self.name, evidence, round(probability, 6))


def review_group(base: Base, instruction: str, code: str) -> Group:
    """The pair turned round: the code as prompt, the instruction as answer."""
    return _group(base, instruction, without_echo(code, instruction))


def _group(base: Base, instruction: str, read: str) -> Group:
    """As `review_group`, of a program as the reviewer reads it."""
    return base.render(f"{QUESTION}\n\n{read}"), [answer_ids(base, instruction)]


@torch.no_grad()
def review(
    base: Base, plain: Any, pairs: Sequence[tuple[str, str]], on_done: Callable[[int], None] | None = None
) -> list[float]:
    """Mean log-probability per token of each (instruction, code) pair's instruction, given the code.

    Pairs that read the same, once stripped, are computed once.
    """
    read = [(instruction, without_echo(code, instruction)) for instruction, code in pairs]
    distinct = list(dict.fromkeys(read))
    groups = [_group(base, instruction, code) for instruction, code in distinct]
    scores: list[float] = []
    for row in rows(groups, reading_tokens(base.device)):
        scores += mean_logprobs(plain, pack([groups[i] for i in row], base.device)).tolist()
        if on_done is not None:
            on_done(len(row))
    if on_done is not None:
        on_done(len(pairs) - len(distinct))
    by_pair = dict(zip(distinct, scores, strict=True))
    return [by_pair[pair] for pair in read]


def mean_logprobs(model: Any, packed: Packed) -> torch.Tensor:
    """(S,): mean log-probability per token of each answer of a packed row."""
    lengths = torch.bincount(packed.segments, minlength=packed.n_segments)
    return per_segment(token_scores(model, packed).logprobs, packed) / lengths


def calibrate(references: Sequence[float], mutants: Sequence[float]) -> Calibration:
    """A logistic curve through scores of right (references) and wrong (mutants) programs, both weighing the same."""
    scores = [*references, *mutants]
    labels = [True] * len(references) + [False] * len(mutants)
    slope, intercept = fit(scores, labels)
    threshold = -intercept / slope if slope else math.inf  # where nothing is told apart, all count as no
    right = sum(s >= threshold for s in references) / len(references)
    wrong = sum(s < threshold for s in mutants) / len(mutants)
    return Calibration(slope, intercept, auc(scores, labels), (right + wrong) / 2, len(references), len(mutants))
