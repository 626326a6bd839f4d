"""A program as its mutants need it: what its names stand for, where its nodes hang, which statements stand where.

Names are read without regard to order: one that is bound to two different things stands for nothing.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from kohai.catalog.types import referred
from kohai.code import UNKNOWN, dotted, import_names
from kohai.records import Api

if TYPE_CHECKING:
    from kohai.catalog import Catalog

Node = TypeVar("Node", bound=ast.AST)
Edit = tuple[ast.AST, str, object]  # a node, one of its fields, and the field's new value
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Program:
    """One syntax tree beside the catalog; nothing here changes the tree."""

    def __init__(self, tree: ast.Module, catalog: Catalog) -> None:
        self.tree = tree
        self.catalog = catalog
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self.names = _names(tree)
        self.n_uses = Counter(node.id for node in self.nodes(ast.Name) if isinstance(node.ctx, ast.Load))

    def nodes(self, kind: type[Node]) -> list[Node]:
        """The nodes of a kind, in the order of the source."""
        return [node for node in _in_order(self.tree) if isinstance(node, kind)]

    def name_of(self, node: ast.expr) -> str:
        """The dotted name of an expression; see `kohai.code.dotted`."""
        return dotted(node, self.names)

    def api_of(self, call: ast.Call) -> Api | None:
        """The catalog's api that a call calls."""
        return self.catalog.resolve_call(self.name_of(call.func))

    def class_of(self, node: ast.expr) -> Api | None:
        """The package's class that an expression's value is of."""
        kind = self.catalog.type_of(self.name_of(node))
        options = kind.args if kind.name == "|" else (kind,)
        apis = [self.catalog.get(option.name) for option in options]
        return next((api for api in apis if api is not None and api.kind == "class"), None)

    def enum_of(self, node: ast.expr) -> Api | None:
        """The enum that an expression is."""
        target = referred(self.catalog.type_of(self.name_of(node)))
        api = self.catalog.get(target) if target else None
        return api if api is not None and api.kind == "enum" else None

    def caller_of(self, node: ast.AST) -> ast.Call | None:
        """The call whose argument a node is, through keywords, lists and f-strings but not through other calls."""
        child, parent = node, self.parents.get(node)
        while isinstance(parent, ast.keyword | ast.List | ast.Tuple | ast.Dict | ast.JoinedStr | ast.FormattedValue):
            child, parent = parent, self.parents.get(parent)
        return parent if isinstance(parent, ast.Call) and parent.func is not child else None

    def is_printed(self, node: ast.AST) -> bool:
        """True somewhere inside a print's arguments."""
        parent = self.parents.get(node)
        return parent is not None and (is_print(parent) or self.is_printed(parent))

    def scope_of(self, node: ast.AST) -> ast.AST:
        """The function, or the module, that a node stands in."""
        parent = self.parents.get(node, self.tree)
        return parent if parent is self.tree or isinstance(parent, _FUNCTIONS) else self.scope_of(parent)

    def blocks(self) -> Iterator[tuple[ast.AST, str, list[ast.stmt]]]:
        """Every list of statements, with the node and the field that hold it."""
        for node in _in_order(self.tree):
            for field in ("body", "orelse", "finalbody"):
                block = getattr(node, field, None)
                if isinstance(block, list) and block:
                    yield node, field, block

    def variables_before(self, node: ast.expr) -> list[str]:
        """Variables of the same scope that an assignment or a loop has bound above a node's line."""
        scope = self.scope_of(node)
        found: dict[str, None] = {}
        for binder in _in_order(scope):
            if isinstance(binder, ast.Assign):
                targets = binder.targets
            elif isinstance(binder, ast.For):
                targets = [binder.target]
            else:
                continue
            if self.scope_of(binder) is scope and binder.lineno < node.lineno:
                found |= {target.id: None for target in targets if isinstance(target, ast.Name)}
        return list(found)


def is_print(node: ast.AST) -> bool:
    """True for a call of print."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"


def called(statement: ast.stmt) -> ast.Call | None:
    """The call that a statement consists of, awaited or not."""
    value = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
    value = value.value if isinstance(value, ast.Await) else value
    return value if isinstance(value, ast.Call) else None


def _names(tree: ast.Module) -> dict[str, str]:
    """What each name of the program stands for."""
    names: dict[str, str] = {}

    def bind(target: ast.expr | None, meaning: str) -> None:
        if isinstance(target, ast.Name):
            meaning = UNKNOWN if meaning.startswith(UNKNOWN) else meaning
            names[target.id] = meaning if names.get(target.id, meaning) == meaning else UNKNOWN
        elif isinstance(target, ast.Tuple | ast.List):
            for index, part in enumerate(target.elts):
                bind(part, f"{meaning}[{index}]")

    for node in _in_order(tree):
        match node:
            case ast.Import() | ast.ImportFrom():
                names |= dict(import_names(node))
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    bind(target, dotted(value, names))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                bind(target, dotted(value, names))
            case ast.withitem(context_expr=value, optional_vars=target):
                bind(target, dotted(value, names))
            case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                bind(target, dotted(value, names) + "[]")
    return names


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)
