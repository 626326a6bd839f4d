"""Mutants: programs made from a right one that parse, mostly run, and do another thing.

A judge that passes mutants does not read the code (CriticGPT, arXiv 2407.00215): they set its threshold and measure it.
Each mutant holds one fault, of the kinds that a model makes. `OPERATORS` give programs that mostly run; `FAULTS` are
these and those that mostly raise, or hide that they would. Not covered: two faults at once, and proof that a mutant's
effect differs (a changed label, a repeated reading call or two steps that do not depend on each other may leave it as
it was): run it where that matters.
"""

from __future__ import annotations

import ast
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from kohai.code import parse, strip_noise
from kohai.judge import call_faults, step_faults, value_faults
from kohai.judge.program import Edit, Program

if TYPE_CHECKING:
    from kohai.catalog import Catalog

Item = TypeVar("Item")
Operator = Callable[[Program, random.Random], Iterator[list[Edit]]]
OPERATORS: dict[str, Operator] = {
    "change_number": value_faults.change_number,
    "change_string": value_faults.change_string,
    "change_enum": value_faults.change_enum,
    "swap_arguments": step_faults.swap_arguments,
    "sister_api": step_faults.sister_api,
    "drop_step": step_faults.drop_step,
    "duplicate_step": step_faults.duplicate_step,
    "wrong_attribute": value_faults.wrong_attribute,
    "negate_condition": value_faults.negate_condition,
    "drop_output": step_faults.drop_output,
    "wrong_output": step_faults.wrong_output,
}
FAULTS: dict[str, Operator] = OPERATORS | {
    "misspell_api": call_faults.misspell_api,
    "foreign_api": call_faults.foreign_api,
    "invent_attribute": call_faults.invent_attribute,
    "invent_member": call_faults.invent_member,
    "misspell_keyword": call_faults.misspell_keyword,
    "missing_keyword": call_faults.missing_keyword,
    "missing_positional": call_faults.missing_positional,
    "extra_keyword": call_faults.extra_keyword,
    "wrong_type": call_faults.wrong_type,
    "lost_import": call_faults.lost_import,
    "unbound_name": call_faults.unbound_name,
    "swallowed_exception": call_faults.swallowed_exception,
    "never_reached": call_faults.never_reached,
    "uncalled_function": call_faults.uncalled_function,
    "wrong_order": step_faults.wrong_order,
    "early_stop": step_faults.early_stop,
    "first_round_only": step_faults.first_round_only,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A program with one fault; `operator` names the fault's kind. Its code has no comments or docstrings."""

    code: str
    operator: str


def mutants(
    code: str, catalog: Catalog, rng: random.Random, operators: Mapping[str, Operator] = OPERATORS
) -> list[Mutant]:
    """All one-fault mutants of a program, at most one per place and operator; kinds mixed: the first n are a fair draw.

    Each differs from the program and from the others in its syntax tree; the same `rng` state gives the same list.
    Empty where the program does not parse.
    """
    tree = parse(strip_noise(code))
    if tree is None:
        return []
    program = Program(tree, catalog)
    seen = {ast.dump(tree)}
    found: dict[str, list[Mutant]] = {}
    for name, operator in operators.items():
        for edits in operator(program, rng):
            text = applied(tree, edits)
            mutated = parse(text) if text is not None else None
            if text is None or mutated is None or (identity := ast.dump(mutated)) in seen:
                continue
            seen.add(identity)
            found.setdefault(name, []).append(Mutant(text, name))
    return mixed(list(found.values()), rng)


def applied(tree: ast.Module, edits: Sequence[Edit]) -> str | None:
    """The program's text under some edits, which are undone; None where it has no text."""
    before: list[tuple[ast.AST, str, Any]] = []
    try:
        for node, field, value in edits:
            before.append((node, field, getattr(node, field)))
            setattr(node, field, value)
        return ast.unparse(ast.fix_missing_locations(tree))
    except ValueError:  # an f-string that this Python cannot write
        return None
    finally:
        for node, field, value in reversed(before):
            setattr(node, field, value)


def mixed(groups: list[list[Item]], rng: random.Random) -> list[Item]:
    """One of each group in turn, groups and their members in random order."""
    rng.shuffle(groups)
    for group in groups:
        rng.shuffle(group)
    return [item for turn in itertools.zip_longest(*groups) for item in turn if item is not None]
