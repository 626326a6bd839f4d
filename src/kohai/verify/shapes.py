"""Shapes of syntax trees: which names statements bind, what is a literal, which parameters a function names."""

from __future__ import annotations

import ast
from collections.abc import Iterable


def stored_names(nodes: Iterable[ast.AST]) -> set[str]:
    """Every name that is bound or deleted anywhere inside, nested scopes included."""
    found = set()
    for outer in nodes:
        for node in ast.walk(outer):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                found.add(node.id)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.MatchAs | ast.MatchStar | ast.ExceptHandler):
                found.update([node.name] if node.name else [])
            elif isinstance(node, ast.MatchMapping) and node.rest:
                found.add(node.rest)
            elif isinstance(node, ast.alias):
                found.add(node.asname or node.name.split(".")[0])
    return found


def is_store(node: ast.Attribute) -> bool:
    """True where an attribute is set or deleted."""
    return isinstance(node.ctx, ast.Store | ast.Del)


def is_literal(node: ast.expr) -> bool:
    """Constants, and tuples, lists, sets and dicts of them."""
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.operand, ast.Constant)
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(is_literal(part) for part in node.elts)
    if isinstance(node, ast.Dict):
        return all(part is not None and is_literal(part) for part in (*node.keys, *node.values))
    return isinstance(node, ast.Constant)


def position_of(node: ast.expr) -> int | None:
    """The plain number of an index, if it is one."""
    match node:
        case ast.Constant(value=int(position)):
            return position
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(position))):
            return -position
    return None


def catches_import(handler: ast.ExceptHandler) -> bool:
    """True for a handler that a failed import reaches."""
    names = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {"Exception"}
    )
    return bool(names & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def named_arguments(arguments: ast.arguments) -> list[ast.arg]:
    """The parameters of a function but `*args` and `**kwargs`."""
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
