"""Verifiers: static checks and execution as parts of a reward, each corrected for how often it errs.

How often, the judged completions tell: a check that says no of a program that ran was wrong, where running refutes it,
and so was one that says yes where the program failed in the way that the check looks for. Where too few say, a check is
taken at its word; so is one that a program can fail and run, as one that leaves a step out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kohai.config import Gate
from kohai.records import Feedback, Verdict
from kohai.verify import CALLS_NOTHING

FAILS_BY = {  # the kinds of outcomes that prove a yes wrong; a program that ran proves a no of these wrong
    "parses": ("syntax_error",),
    "names_bound": ("unbound_name",),
    "api_exists": ("unknown_import", "unknown_symbol", "unknown_attribute"),
    "arguments_bind": ("bad_arguments",),
}
ENOUGH = 20  # cases
NOTHING = 0.1  # a verifier that tells right from wrong by less has no part in a reward


@dataclass(frozen=True, slots=True)
class Verifier:
    """Its weight in the reward, the chances of a yes where no is right and of a no where yes is, and the mean of its
    corrected answers, which an unscored one counts as.
    """

    weight: float
    false_yes: float = 0.0
    false_no: float = 0.0
    usual: float = 0.5

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
    """What a completion earns by its verdicts: the weighted sum of the verifiers that say something; an unscored
    verdict counts as its verifier's usual one, so that it neither earns nor costs.
    """
    answers = {verdict.criterion: verdict.answer for verdict in verdicts}
    earned = 0.0
    for criterion, verifier in by_criterion.items():
        answer = answers.get(criterion, "unscored")
        value = verifier.corrected(answer == "yes")
        if value is not None:
            earned += verifier.weight * (verifier.usual if answer == "unscored" else value)
    return earned


def _measured(criterion: str, weight: float, feedback: Sequence[Feedback]) -> Verifier:
    said, said_of_right, said_of_wrong = [], [], []
    for item in feedback:
        verdict = next((v for v in item.verdicts if v.criterion == criterion and v.answerer == "static"), None)
        if verdict is None or verdict.answer == "unscored":
            continue
        said.append(verdict.answer == "yes")
        if item.execution is None or criterion not in FAILS_BY or verdict.evidence.startswith(CALLS_NOTHING):
            continue
        if item.execution.ran:
            said_of_right.append(verdict.answer)
        elif item.execution.kind in FAILS_BY[criterion]:
            said_of_wrong.append(verdict.answer)
    found = Verifier(weight, _share(said_of_wrong, "yes"), _share(said_of_right, "no"))
    values = [value for is_yes in said if (value := found.corrected(is_yes)) is not None]
    return replace(found, usual=sum(values) / len(values)) if values else found


def _share(answers: Sequence[str], wrong: str) -> float:
    return answers.count(wrong) / len(answers) if len(answers) >= ENOUGH else 0.0
