"""Whether a program has a call of the package for each step that its instruction tells apart. Reads English.

Steps are told apart by "then", "after that", "once that is done", and the points of a list; one that only prints, or
sorts what the one before gave, needs no call. One call may take two steps where the package has such a call, so a no is
likely, not sure.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator

from kohai.verify.grounding import QUOTED
from kohai.verify.reading import Reading

_STARTS = re.compile(
    r"(?:^|[.;:!?]\s+)(?:then\b|(?:next|finally|lastly),|after (?:that|this|which)\b"
    r"|(?:once|when) (?:that|this|it)\b[^,.;]*,)"
    r"|(?:[,;]|\band)\s+(?:then|afterwards|after (?:that|this|which))\b",
    re.IGNORECASE,
)
_CONDITIONS = re.compile(r"\bif\b[^.;:!?]*?,\s+then\b", re.IGNORECASE)
_ORDER = re.compile(r"(?:^|[.;:!?]\s+)after you\b", re.IGNORECASE)  # "after you do this, do that"
_PRINTS = re.compile(
    r"[\s,]*(?:for (?:each|every|all)(?: \w+){0,2},? )?(?:(?:please|kindly)\s+)?"
    r"(?:print|show|output|display|tell|say)\b",
    re.IGNORECASE,
)
_SORTS = re.compile(r"[\s,]*(?:sort|filter) (?:it|them|these|those|the (?:results?|list))\b", re.IGNORECASE)


def dropped_steps(tree: ast.Module, reading: Reading, instruction: str) -> list[str] | None:
    """Evidence that there are fewer calls than steps; None where the instruction tells no steps apart.

    A call that nobody knows counts as one of the package, one that may be made often as enough, and what sets an
    attribute as a call.
    """
    wanted = count_steps(instruction)
    if wanted < 2:
        return None
    known = {call.node for call in reading.calls}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and (node in known or not _is_builtin(node))]
    if set(calls) & set(_repeated(tree)) or any(_is_map(node) for node in ast.walk(tree)):
        return []
    sets = sum(isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del)
               for node in ast.walk(tree))  # fmt: skip
    opening = {item.context_expr for node in ast.walk(tree) if isinstance(node, ast.With | ast.AsyncWith)
               for item in node.items}  # fmt: skip
    bare = sum(node in opening and _is_bare(node) for node in calls)
    found = len(calls) - min(bare, 1) + sets  # a second context may be a step: `with orders.draft() as order`
    return [f"the instruction has {wanted} steps, the program {found} calls for them"] if found < wanted else []


def count_steps(instruction: str) -> int:
    """How many steps an instruction tells apart, but those that need no call."""
    text = _CONDITIONS.sub(" ", QUOTED.sub(" ", instruction))
    lead, points = _points(text)
    parts = [part for point in [lead, *points] for part in _STARTS.split(point)]
    steps = parts[1:] if points else parts  # what stands before a list is no step
    needed = [part for part in steps if part.strip(" .,;:!?") and not _PRINTS.match(part)]
    return sum(part is steps[0] or not _SORTS.match(part) for part in needed) + len(_ORDER.findall(text))


def _points(text: str) -> tuple[str, list[str]]:
    """What stands before a list of numbered points, and the points."""
    found: list[re.Match[str]] = []
    while point := re.compile(rf"(?<!\S){len(found) + 1}[.)]\s").search(text, found[-1].end() if found else 0):
        found.append(point)
    if len(found) < 2:
        return text, []
    ends = [*(point.start() for point in found[1:]), len(text)]
    return text[: found[0].start()], [text[point.end() : end] for point, end in zip(found, ends, strict=True)]


def _is_bare(call: ast.Call) -> bool:
    """True for one without arguments: as a context it opens the package, and does nothing yet."""
    return not call.args and not call.keywords


def _is_builtin(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and hasattr(builtins, call.func.id)


def _is_map(node: ast.AST) -> bool:
    """True for a map of what may be the package's: `map(items.peek, skus)`, not `map(str, skus)`."""
    match node:
        case ast.Call(func=ast.Name(id="map"), args=[ast.Name() | ast.Attribute() as mapped, *_]):
            return not any(isinstance(part, ast.Name) and hasattr(builtins, part.id) for part in ast.walk(mapped))
    return False


def _repeated(tree: ast.Module) -> Iterator[ast.AST]:
    """What is inside of loops and functions."""
    for node in ast.walk(tree):
        match node:
            case ast.For(body=body) | ast.AsyncFor(body=body) | ast.While(body=body):
                yield from (inner for statement in body for inner in ast.walk(statement))
            case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body):
                yield from (inner for statement in body for inner in ast.walk(statement))
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp() | ast.Lambda():
                yield from ast.walk(node)
