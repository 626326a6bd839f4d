"""Judging completions: the rubric, the panel that answers it, and what becomes of the answers.

rubric       the yes/no questions, read from a file
panel        a case, who answers about it, and the score that comes out
prompt       what a judge is told about a case
reply        what a judge's reply says
endpoint     the judge behind an OpenAI-compatible endpoint; imported by its own name, as it needs an HTTP client
mutants      wrong programs made from right ones, to calibrate a judge with
preferences  pairs of completions from their scores
"""

from typing import TYPE_CHECKING, Any

from kohai.judge.mutants import Mutant, mutants
from kohai.judge.panel import Answerer, Case, aggregate, answer_runs, judge
from kohai.judge.preferences import Pairing, pairing, preferences
from kohai.judge.rubric import Criterion, Rubric, load_rubric

if TYPE_CHECKING:
    from kohai.judge.endpoint import EndpointJudge

__all__ = [
    "Answerer",
    "Case",
    "Criterion",
    "EndpointJudge",
    "Mutant",
    "Pairing",
    "Rubric",
    "aggregate",
    "answer_runs",
    "judge",
    "load_rubric",
    "mutants",
    "pairing",
    "preferences",
]


def __getattr__(name: str) -> Any:
    if name == "EndpointJudge":
        from kohai.judge.endpoint import EndpointJudge

        return EndpointJudge
    raise AttributeError(f"module 'kohai.judge' has no attribute {name!r}")
