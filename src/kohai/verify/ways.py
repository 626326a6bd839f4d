"""How often a program prints on the way that prints most: one branch of each `if`, no statement after a `return`.

Loops are taken once. Leaves out what a call of the program's own functions prints: each is looked at alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

# The most prints of the ways to each end: `on` to what follows, the `loop`'s next turn or end, `out` of the function.
Ways = dict[str, int]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def most_prints(tree: ast.Module) -> int:
    """Calls of print that one way through the program, or through one of its functions, reaches at most."""
    bodies = [tree.body, *(node.body for node in ast.walk(tree) if isinstance(node, _FUNCTIONS))]
    return max(max(_ways(body).values()) for body in bodies)


def _ways(nodes: Iterable[ast.AST]) -> Ways:
    total = 0
    ends: Ways = {}
    for node in nodes:
        ways = _added(total, _ways_of(node))
        total = ways.pop("on", -1)
        ends = _best([ends, ways])
        if total < 0:
            return ends
    return ends | {"on": total}


def _ways_of(node: ast.AST) -> Ways:
    match node:
        case ast.Return() | ast.Raise() | ast.Expr(value=ast.Call(func=ast.Name(id="exit" | "quit"))):
            return {"out": _printed(node)}
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="sys"), attr="exit"))):
            return {"out": _printed(node)}
        case ast.Break() | ast.Continue():
            return {"loop": 0}
        case ast.If(test=test, body=body, orelse=orelse):
            return _added(_printed(test), _best([_ways(body), _ways(orelse)]))
        case ast.Match(subject=subject, cases=cases):
            return _added(_printed(subject), _best([{"on": 0}, *(_ways(case.body) for case in cases)]))
        case ast.Try() | ast.TryStar():
            ways = [_ways([*node.body, *node.orelse]), *(_ways(handler.body) for handler in node.handlers)]
            return _added(_ways(node.finalbody).get("on", 0), _best(ways))
        case ast.For() | ast.AsyncFor() | ast.While():
            inside = _ways(node.body)
            left = {"on": inside.pop("loop", 0)}
            return _best([inside, left, _added(inside.get("on", 0), _ways(node.orelse))])
        case ast.With() | ast.AsyncWith():
            return _added(sum(map(_printed, node.items)), _ways(node.body))
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {"on": 0}
    return {"on": _printed(node)}


def _added(number: int, ways: Ways) -> Ways:
    return {end: number + prints for end, prints in ways.items()}


def _best(several: list[Ways]) -> Ways:
    ends = {end for ways in several for end in ways}
    return {end: max(ways.get(end, 0) for ways in several) for end in ends}


def _printed(node: ast.AST) -> int:
    """Calls of print that an expression reaches at most."""
    match node:
        case ast.Lambda():
            return 0
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _printed(test) + max(_printed(body), _printed(orelse))
        case ast.Call(func=ast.Name(id="print")):
            return 1 + sum(map(_printed, ast.iter_child_nodes(node)))
    return sum(map(_printed, ast.iter_child_nodes(node)))
