"""What the names of one scope stand for at the point that has been read: their types, and the literals behind them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection

from kohai.catalog import values
from kohai.catalog.catalog import Catalog
from kohai.catalog.types import UNKNOWN, Type, union
from kohai.verify.shapes import is_literal, stored_names

Types = dict[str, Type]


class Scope:
    """Types and literals of names; names in `shared` (global, nonlocal) may change anywhere and stay unknown."""

    def __init__(self, catalog: Catalog, shared: Collection[str]) -> None:
        self.catalog = catalog
        self.shared = shared
        self.types: Types = {}
        self.literals: dict[str, ast.expr] = {}
        self.times: dict[str, int] = {}  # how often each name was bound

    def bind_name(self, name: str, kind: Type) -> None:
        """Binds a name; what literal was behind it is forgotten."""
        self.types[name] = UNKNOWN if name in self.shared else kind
        self.times[name] = self.times.get(name, 0) + 1
        self.literals.pop(name, None)

    def bind(self, target: ast.expr, kind: Type, value: ast.expr | None, read: Callable[[ast.expr], Type]) -> None:
        """Binds a target, tuples part by part; `read` reads the expressions inside other targets."""
        match target:
            case ast.Name(id=name):
                self.bind_name(name, kind)
                if value is not None and name not in self.shared and is_literal(value):
                    self.literals[name] = value
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                inner = value.elts if isinstance(value, ast.Tuple | ast.List) else []
                starred = any(isinstance(part, ast.Starred) for part in parts)
                for number, part in enumerate(parts):
                    known = UNKNOWN if starred else values.index(self.catalog, kind, number)
                    self.bind(part, known, inner[number] if len(inner) == len(parts) else value, read)
            case ast.Starred(value=inside):
                self.bind(inside, UNKNOWN, value, read)
            case ast.Attribute(value=owner):
                read(owner)
            case _:
                read(target)

    def inside(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Scope:
        """The scope of a function called when all of this one is bound: names bound more than once are unknown."""
        uncertain = {name for name, times in self.times.items() if times > 1} | set(self.shared)
        own = stored_names(node.body)
        inner = Scope(self.catalog, self.shared)
        inner.types = {
            name: UNKNOWN if name in uncertain else kind for name, kind in self.types.items() if name not in own
        }
        inner.literals = {name: value for name, value in self.literals.items() if name not in uncertain | own}
        return inner

    def forget(self, names: Collection[str]) -> None:
        """Makes the names that are bound unknown."""
        for name in set(names) & set(self.types):
            self.types[name] = UNKNOWN
            self.literals.pop(name, None)


def merged(branches: list[Types]) -> Types:
    """The types after branches meet: a name's alternatives; unknown where one branch does not know."""
    names = sorted({name for branch in branches for name in branch})
    return {name: union([branch[name] for branch in branches if name in branch]) for name in names}
