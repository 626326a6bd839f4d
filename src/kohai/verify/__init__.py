"""Static checks of a program against a catalog: yes/no questions answered from its source, with evidence.

Nothing of the program or of the package is imported or executed. Types are inferred as far as the package's annotations
tell; where they don't, nothing is claimed: a `no` is always about something that the source shows, or, of `covers` and
`prints`, that the instruction says in English. Leaves out what only running can show (values of enums, keys that exist,
order of calls).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence

from kohai import code as code_reading
from kohai.catalog.catalog import Catalog
from kohai.records import Answer, Verdict
from kohai.verify.allowed import wrong_values
from kohai.verify.arguments import binding_problems
from kohai.verify.bindings import unbound_names
from kohai.verify.coverage import uncovered
from kohai.verify.grounding import ungrounded
from kohai.verify.inference import read_program
from kohai.verify.output import printing
from kohai.verify.reading import Reading
from kohai.verify.steps import dropped_steps

__all__ = ["CRITERIA", "check"]

CRITERIA = ("parses", "names_bound", "api_exists", "arguments_bind", "values_allowed", "grounded", "covers", "prints")
CALLS_NOTHING = "calls nothing"  # how the evidence of a program that uses no api begins
_SHOWN = 3  # problems per evidence
Answers = Mapping[str, Callable[[], tuple[Answer, str]]]


def check(code: str, catalog: Catalog, instruction: str, docs: str) -> list[Verdict]:
    """One verdict for each of `CRITERIA`; code that does not parse has all but `parses` unscored."""
    tree = code_reading.parse(code)
    if tree is None or not tree.body:
        reason = "the code does not parse" if tree is None else "no code"
        evidence = _syntax_evidence(code) if tree is None else reason
        return [_verdict("parses", "no", evidence), *(_verdict(name, "unscored", reason) for name in CRITERIA[1:])]
    try:
        answers = (_of_docs if catalog.documented is not None else _of_package)(code, tree, catalog, instruction, docs)
        return [_verdict("parses", "yes", ""), *(_verdict(name, *answers[name]()) for name in CRITERIA[1:])]
    except RecursionError:
        reason = "nested too deeply to be read"
        return [_verdict("parses", "yes", ""), *(_verdict(name, "unscored", reason) for name in CRITERIA[1:])]


def _of_package(code: str, tree: ast.Module, catalog: Catalog, instruction: str, docs: str) -> Answers:  # noqa: ARG001
    reading = read_program(tree, catalog)
    return {
        "names_bound": lambda: _of_problems(unbound_names(tree, catalog)),
        "api_exists": lambda: _existence(reading),
        "arguments_bind": lambda: _of_calls(reading, binding_problems(reading, catalog)),
        "values_allowed": lambda: _of_calls(reading, wrong_values(reading, catalog)),
        "grounded": lambda: _of_calls(reading, ungrounded(reading, catalog, instruction, docs)),
        "covers": lambda: _coverage(uncovered(tree, instruction), dropped_steps(tree, reading, instruction)),
        "prints": lambda: printing(tree, instruction, reading, catalog),
    }


def _of_docs(code: str, tree: ast.Module, catalog: Catalog, instruction: str, docs: str) -> Answers:  # noqa: ARG001
    """Where docs are all that is known: they name calls, and no signatures."""
    return dict.fromkeys(CRITERIA[1:], lambda: ("unscored", "the docs name calls, no signatures")) | {
        "names_bound": lambda: _of_problems(unbound_names(tree, catalog)),
        "api_exists": lambda: _documented(code, catalog),
        "covers": lambda: _coverage(uncovered(tree, instruction)),
    }


def _documented(code: str, catalog: Catalog) -> tuple[Answer, str]:
    found = catalog.documented.hallucinated(code) if catalog.documented is not None else None
    if found is None:
        return "unscored", "its calls cannot be read"
    return ("no", f"{CALLS_NOTHING} that the docs name") if found else ("yes", "")


def _existence(reading: Reading) -> tuple[Answer, str]:
    if reading.missing:
        return _of_problems(reading.missing)
    if not reading.touches_package:
        return "no", f"{CALLS_NOTHING} of the package"
    return "yes", ""


def _of_calls(reading: Reading, problems: Sequence[str]) -> tuple[Answer, str]:
    return _of_problems(problems) if reading.calls else ("unscored", "no call of the package that is known")


def _coverage(*found: Sequence[str] | None) -> tuple[Answer, str]:
    known = [problems for problems in found if problems is not None]
    if not known:
        return "unscored", "the instruction names nothing literally"
    return _of_problems([problem for problems in known for problem in problems])


def _of_problems(problems: Sequence[str]) -> tuple[Answer, str]:
    if not problems:
        return "yes", ""
    more = f"; {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return "no", "; ".join(problems[:_SHOWN]) + more


def _verdict(criterion: str, answer: Answer, evidence: str) -> Verdict:
    return Verdict(criterion, answer, "static", evidence)


def _syntax_evidence(code: str) -> str:
    try:
        ast.parse(code)
    except SyntaxError as error:
        return f"line {error.lineno or 1}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"line 1: {error or 'nested too deeply'}"
    return "line 1: not Python"
