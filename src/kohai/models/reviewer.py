"""The reviewer: an offline judge that scores log P(instruction | code) (Coder-Reviewer reranking, arXiv 2211.16490).

The base, tuned for minutes on the demo references turned round, reads a program and says how well it explains the
instruction: mean log-probability per token of the instruction. What a program repeats of its instruction is cut first
(`judge/echo.py`), comments and unused strings with it, since code that quotes the instruction would fool it. How likely
an instruction is hangs on its words more than on the program; so the score may be told less that of the program's own
mutants: one that is right explains it better than each of its neighbours, and one whose fault is a value, a member or
a call does not. A logistic curve, fitted on references against their mutants, turns what is told into a probability of
yes; the threshold is 0.5.

Answers only the criterion `does_task`: whether a program runs, execution and static checks know better.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from kohai.catalog import Catalog
from kohai.judge import Case, Criterion, mutants
from kohai.judge.echo import without_echo
from kohai.judge.mutants import OPERATORS
from kohai.judge.reliability import UNREAD, fit, sigmoid
from kohai.metrics import auc
from kohai.models import adapters
from kohai.models.base import Base
from kohai.models.packing import Group, Packed, pack, reading_tokens, rows
from kohai.models.scoring import per_segment, token_scores
from kohai.models.tuning import answer_ids
from kohai.records import Verdict

NEIGHBOURS = {name: made for name, made in OPERATORS.items() if name != "duplicate_step"}  # which explains as much
AT_ONCE = 32  # programs that are read with their mutants
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
class Contrast:
    """A program's score less that of the best of its own mutants, at most `n` of them."""

    catalog: Catalog
    n: int

    def of(
        self,
        base: Base,
        plain: Any,
        pairs: Sequence[tuple[str, str]],
        on_done: Callable[[int], None] | None = None,
    ) -> tuple[list[float], list[float | None]]:
        """The scores of (instruction, code) pairs, and the contrasts; None of a program that has no mutant."""
        scores: list[float] = []
        contrasts: list[float | None] = []
        for start in range(0, len(pairs), AT_ONCE):
            chunk = pairs[start : start + AT_ONCE]
            near = [[(pair[0], mutant) for mutant in self.neighbours(*pair)] for pair in chunk]
            asked = list(dict.fromkeys([*chunk, *itertools.chain.from_iterable(near)]))
            found = dict(zip(asked, review(base, plain, asked), strict=True))
            for pair, others in zip(chunk, near, strict=True):
                scores.append(found[pair])
                contrasts.append(found[pair] - max(found[other] for other in others) if others else None)
            if on_done is not None:
                on_done(len(chunk))
        return scores, contrasts

    def neighbours(self, instruction: str, code: str) -> list[str]:
        """Mutants of the program as it is read: the same draw whatever its names and its dead parts are."""
        found = mutants(without_echo(code, instruction), self.catalog, random.Random(0), NEIGHBOURS)
        return [mutant.code for mutant in found[: self.n]]


def tell(
    base: Base,
    plain: Any,
    pairs: Sequence[tuple[str, str]],
    contrast: Contrast | None,
    on_done: Callable[[int], None] | None = None,
) -> tuple[list[float], list[float | None]]:
    """The scores of (instruction, code) pairs, and what the curve reads: the contrasts, or without `contrast` the
    scores.
    """
    if contrast is not None:
        return contrast.of(base, plain, pairs, on_done)
    scores = review(base, plain, pairs, on_done)
    return scores, [*scores]


@dataclass(frozen=True)
class Reviewer:
    """An answerer for the panel; `model` carries the adapter `reviewer`.

    contrast: what a program is judged by in place of its own score. One that did not run is a no then, and is not read;
    one that has no mutant is unscored.
    scores: per task, the score of each program that it was asked about; the reward model starts from them.
    """

    base: Base
    model: Any
    calibration: Calibration
    min_auc: float = 0.5
    contrast: Contrast | None = None
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
        is_asked = [self.contrast is None or case.execution.ran is not False for case in cases]
        asked = list(itertools.compress(cases, is_asked))
        pairs = [(case.task.instruction, case.completion.code) for case in asked]
        with adapters.merged(self.model, self.name) as plain:
            scores, told = tell(self.base, plain, pairs, self.contrast, on_done)
        for case, score in zip(asked, scores, strict=True):
            self.scores.setdefault(case.task.id, {})[case.completion.code] = score
        if on_done is not None:
            on_done(len(cases) - len(asked))
        read = iter(told)
        by_case = [(was_asked, next(read) if was_asked else None) for was_asked in is_asked]
        return [[self._verdict(criterion, *found) for criterion in criteria] for found in by_case]

    def note(self) -> str:
        """Nothing to tell."""
        return ""

    def _verdict(self, criterion: Criterion, is_read: bool, score: float | None) -> Verdict:
        if criterion.id != "does_task":
            return Verdict(criterion.id, "unscored", self.name, "the reviewer answers only does_task")
        if not self.calibration.tells(self.min_auc):
            auc = "unknown" if self.calibration.auc is None else f"{self.calibration.auc:.2f}"
            reason = f"the reviewer does not tell references from their mutants (area under the curve {auc})"
            return Verdict(criterion.id, "unscored", self.name, reason)
        if not is_read:
            return Verdict(criterion.id, "no", self.name, UNREAD, 0.0)
        if score is None:
            return Verdict(criterion.id, "unscored", self.name, "the program has no mutant to be compared with")
        probability = self.calibration.probability(score)
        threshold = "none" if self.calibration.threshold is None else f"{self.calibration.threshold:.3f}"
        less = "" if self.contrast is None else ", less that of its best mutant,"
        evidence = f"log P(instruction | code){less} = {score:.3f} per token, threshold {threshold}"
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
