"""Shapes of syntax trees: which names statements bind, what is a literal, which parameters a function names."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from kohai.code import written

LOOKS = frozenset(  # builtins that only look at what they are passed
    {"print", "str", "repr", "type", "id", "bool", "hash", "dir", "vars", "callable", "hasattr", "isinstance"}
)


def stored_names(nodes: Iterable[ast.AST]) -> set[str]:
    """Every name that is bound or deleted anywhere inside, nested scopes included."""
    return {name for outer in nodes for node in ast.walk(outer) if (name := _stored(node)) is not None}


def rebound_names(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that these nodes themselves bind at more than one place."""
    counts = Counter(name for node in nodes if (name := _stored(node)) is not None)
    return {name for name, times in counts.items() if times > 1}


def walrus_names(node: ast.AST) -> set[str]:
    """The names that `:=` binds anywhere inside."""
    return {inner.target.id for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)}


def _stored(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.MatchAs() | ast.MatchStar() | ast.ExceptHandler():
            return node.name
        case ast.MatchMapping(rest=rest):
            return rest
        case ast.alias(name=name, asname=other):
            return other or name.split(".")[0]
    return None


def given_attributes(nodes: Collection[ast.AST]) -> Iterator[str]:
    """Attributes that a program sets, makes a condition (`hasattr`) or defines in a class of its own."""
    conditions = set(conditions_of(nodes))
    for node in nodes:
        match node:
            case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.Call(func=ast.Name(id=asked), args=[_, ast.Constant(value=str(name)), *_]):
                if asked == "setattr" or (asked == "hasattr" and node in conditions):
                    yield name
            case ast.ClassDef(body=body):
                parts = [part for statement in body for part in (statement, *ast.iter_child_nodes(statement))]
                yield from (stored for part in parts if (stored := _stored(part)) is not None)


def conditions_of(nodes: Iterable[ast.AST]) -> Iterator[ast.expr]:
    """What these nodes decide by: tests, and the parts of `and`, `or`, `not`."""
    for node in nodes:
        match node:
            case ast.If(test=test) | ast.While(test=test) | ast.Assert(test=test) | ast.IfExp(test=test):
                yield test
            case ast.UnaryOp(op=ast.Not(), operand=test) | ast.match_case(guard=ast.expr() as test):
                yield test
            case ast.BoolOp(values=tests) | ast.comprehension(ifs=tests):
                yield from tests


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


def is_type_checking(test: ast.expr) -> bool:
    """True for the test of what only type checkers read."""
    return written(test).rpartition(".")[2] == "TYPE_CHECKING"


def catches_import(handler: ast.ExceptHandler) -> bool:
    """True for a handler that a failed import reaches."""
    names = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {"Exception"}
    )
    return bool(names & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def named_arguments(arguments: ast.arguments) -> list[ast.arg]:
    """The parameters of a function but `*args` and `**kwargs`."""
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
