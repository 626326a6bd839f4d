"""Judging completions: the rubric, the panel that answers it, and what becomes of the answers.

rubric       the yes/no questions, read from a file
panel        a case, who answers about it, and the score that comes out
reading      a program as judges read it: nothing that does nothing, no long text
prompt       what a judge is told about a case
reply        what a judge's reply says
endpoint     the judge behind an OpenAI-compatible endpoint; imported by its own name, as it needs an HTTP client
mutants      wrong programs made from right ones, to calibrate a judge with
rewrites     programs that do the same as a given one, to see whether a judge minds
injections   programs that speak to the judge, to see whether it listens
preferences  pairs of completions from their scores
"""

from typing import TYPE_CHECKING, Any

from kohai.judge.injections import Injection, injections
from kohai.judge.mutants import Mutant, mutants
from kohai.judge.panel import Answerer, Case, Member, Panel, aggregate, answer_runs, judge
from kohai.judge.preferences import Pairing, pairing, preferences
from kohai.judge.rewrites import Rewrite, rewrites
from kohai.judge.rubric import Criterion, Rubric, load_rubric

if TYPE_CHECKING:
    from kohai.judge.endpoint import EndpointJudge

__all__ = [
    "Answerer",
    "Case",
    "Criterion",
    "EndpointJudge",
    "Injection",
    "Member",
    "Mutant",
    "Pairing",
    "Panel",
    "Rewrite",
    "Rubric",
    "aggregate",
    "answer_runs",
    "injections",
    "judge",
    "load_rubric",
    "mutants",
    "pairing",
    "preferences",
    "rewrites",
]


def __getattr__(name: str) -> Any:
    if name == "EndpointJudge":
        from kohai.judge.endpoint import EndpointJudge

        return EndpointJudge
    raise AttributeError(f"module 'kohai.judge' has no attribute {name!r}")
