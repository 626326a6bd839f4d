"""Verifiers: static checks and execution as parts of a reward, each corrected for how often it errs.

How often, the judged completions tell: a check that says no of a program that ran was wrong, and so was one that says
yes where the program failed in the way that the check looks for. Where too few say, a check is taken at its word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kohai.config import Gate
from kohai.records import Feedback, Verdict

FAILS_BY = {  # the kinds of outcomes that prove a yes wrong
    "parses": ("syntax_error",),
    "names_bound": ("unbound_name",),
    "api_exists": ("unknown_import", "unknown_symbol", "unknown_attribute"),
    "arguments_bind": ("bad_arguments",),
}
ENOUGH = 20  # cases
NOTHING = 0.1  # a verifier that tells right from wrong by less has no part in a reward


@dataclass(frozen=True, slots=True)
class Verifier:
    """Its weight in the reward, and the chances of a yes where no is right and of a no where yes is."""

    weight: float
    false_yes: float = 0.0
    false_no: float = 0.0

    def corrected(self, is_yes: bool) -> float | None:
        """A number whose mean is 1 over what is right and 0 over what is wrong, whatever the errors; None where the
        verifier says too little.

            (v - false_yes) / (1 - false_yes - false_no)    (Natarajan et al. 2013; for RL arXiv 2510.00915)
        """
        tells = 1 - self.false_yes - self.false_no
        return None if tells < NOTHING else (is_yes - self.false_yes) / tells


def verifiers(weights: Mapping[Gate, float], feedback: Sequence[Feedback]) -> dict[str, Verifier]:
    """The verifiers of a run by criterion, with the errors that its executed completions show."""
    return {criterion: _measured(criterion, weight, feedback) for criterion, weight in weights.items()}


def verified(verdicts: Iterable[Verdict], by_criterion: Mapping[str, Verifier]) -> float:
    """What a completion earns by its verdicts: the weighted mean of those that are scored, times the weights of all
    that say something, so that one that is unscored neither earns nor costs.
    """
    earned = known = 0.0
    for verdict in verdicts:
        verifier = by_criterion.get(verdict.criterion)
        value = (
            None if verifier is None or verdict.answer == "unscored" else verifier.corrected(verdict.answer == "yes")
        )
        if verifier is not None and value is not None:
            earned, known = earned + verifier.weight * value, known + verifier.weight
    whole = sum(one.weight for one in by_criterion.values() if one.corrected(True) is not None)
    return earned / known * whole if known else 0.0


def _measured(criterion: str, weight: float, feedback: Sequence[Feedback]) -> Verifier:
    said_of_right, said_of_wrong = [], []
    for item in feedback:
        answer = next(
            (v.answer for v in item.verdicts if v.criterion == criterion and v.answerer == "static"), "unscored"
        )
        if item.execution is None or answer == "unscored":
            continue
        if item.execution.ran:
            said_of_right.append(answer)
        elif item.execution.kind in FAILS_BY.get(criterion, ()):
            said_of_wrong.append(answer)
    return Verifier(weight, _share(said_of_wrong, "yes"), _share(said_of_right, "no"))


def _share(answers: Sequence[str], wrong: str) -> float:
    return answers.count(wrong) / len(answers) if len(answers) >= ENOUGH else 0.0
