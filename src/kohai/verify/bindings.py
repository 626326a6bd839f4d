"""Names that a program loads but never binds before.

Conservative: a name bound in any branch counts as bound, loops may bind late, functions run when all of the enclosing
scope is bound; star imports and `exec` end the claims.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator

from kohai.catalog.catalog import Catalog
from kohai.code import written
from kohai.verify.shapes import is_type_checking

_BUILTINS = frozenset(dir(builtins)) | {
    "__name__", "__file__", "__doc__", "__builtins__", "__spec__", "__loader__", "__package__", "__annotations__",
    "__class__", "__qualname__", "__module__", "__path__",
}  # fmt: skip
_DYNAMIC = frozenset({"exec", "eval", "globals", "locals", "vars", "setattr"})
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def unbound_names(tree: ast.Module, catalog: Catalog) -> list[str]:
    """One line of evidence for each unbound name, at its first use."""
    if any(_ends_claims(node) for node in ast.walk(tree)):
        return []
    shared = {name for node in ast.walk(tree) if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    lazy = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    problems: dict[str, str] = {}
    scope = _Scope(set(_BUILTINS) | shared, None, problems, catalog, lazy)
    scope.run(tree.body, _bound_in(tree.body))
    return list(problems.values())


class _Scope(ast.NodeVisitor):
    """One scope, read from top to bottom; functions inside it are read when it is done."""

    def __init__(
        self, outer: set[str], local: set[str] | None, problems: dict[str, str], catalog: Catalog, lazy: bool
    ) -> None:
        self.outer = outer  # names visible from outside, whenever they are bound
        self.local = local  # names that are this scope's own (of a function); None = looked up outside too
        self.bound: set[str] = set()
        self.inner_visible: set[str] = set()  # what functions in here see
        self.problems = problems
        self.catalog = catalog
        self.lazy = lazy
        self.waiting: list[tuple[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, set[str]]] = []
        self.comprehended: set[str] = set()  # targets of the comprehensions around the present expression
        self.depth = 0

    def run(self, body: Iterable[ast.AST], visible: set[str]) -> None:
        self.inner_visible = self.outer | visible
        for statement in body:
            self.visit(statement)
        for function, around in self.waiting:
            self._function_body(function, around)

    def _load(self, name: str, line: int) -> None:
        if name in self.bound or name in self.problems:
            return
        if name in self.outer and (self.local is None or name not in self.local):
            return
        known = f"{self.catalog.package}.{name}" in self.catalog.modules or name == self.catalog.package
        hint = "; it is never imported" if known and name not in self.inner_visible else ""
        self.problems[name] = f"line {line}: name {name!r} is not bound{hint}"

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._load(node.id, node.lineno)
        elif isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)
        elif self.depth == 0:
            self._load(node.id, node.lineno)
            self.bound.discard(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._all([node.value, *node.targets])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._load(node.target.id, node.lineno)
        self._all([node.value, node.target])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if not self.lazy and self.local is None:
            self.visit(node.annotation)
        if node.value is not None:
            self._all([node.value, node.target])

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._all([node.value, node.target])

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.bound.update(_import_bindings(node))

    visit_ImportFrom = visit_Import  # noqa: N815 - ast's name

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._loop([node.target, *node.body], node.orelse)

    visit_AsyncFor = visit_For  # noqa: N815 - ast's name

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self._loop(node.body, node.orelse)

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        if is_type_checking(node.test):  # never runs, but its names may be relied on
            self.bound |= _bound_in(node.body)
            self._branch(node.orelse)
        else:
            self._branch([*node.body, *node.orelse])

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._all([node.test, node.body, node.orelse])

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        self._branch(node.cases)

    def visit_match_case(self, node: ast.match_case) -> None:
        self.bound.update(_pattern_bindings(node.pattern))
        self._all([node.pattern, *([node.guard] if node.guard else []), *node.body])

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        if any(handler.type and "NameError" in written(handler.type) for handler in node.handlers):
            self.bound |= {inner.id for item in node.body for inner in ast.walk(item) if isinstance(inner, ast.Name)}
        self._branch(node.body)
        for handler in node.handlers:
            was_bound = handler.name in self.bound
            self._branch([*([handler.type] if handler.type else [])])
            if handler.name:
                self.bound.add(handler.name)
            self._branch(handler.body)
            if handler.name and not was_bound and handler.name not in _bound_in([*node.body, *node.orelse]):
                self.bound.discard(handler.name)
        self._branch([*node.orelse, *node.finalbody])

    visit_TryStar = visit_Try  # noqa: N815 - ast's name

    def visit_withitem(self, node: ast.withitem) -> None:
        self._all([node.context_expr, *([node.optional_vars] if node.optional_vars else [])])

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._all(node.decorator_list)
        self._defaults(node.args)
        if not self.lazy:
            arguments = _all_arguments(node.args)
            self._all([argument.annotation for argument in arguments if argument.annotation])
            self._all([node.returns] if node.returns else [])
        self.bound.add(node.name)
        self.waiting.append((node, set(self.comprehended)))

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast's name

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._defaults(node.args)
        self.waiting.append((node, set(self.comprehended)))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._all([*node.decorator_list, *node.bases, *node.keywords])
        inner = _Scope(self.outer | self.bound, None, self.problems, self.catalog, self.lazy)
        inner.inner_visible = self.inner_visible
        for statement in node.body:
            inner.visit(statement)
        for function, around in inner.waiting:
            inner._function_body(function, around)
        self.bound.add(node.name)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        before, around = set(self.bound), set(self.comprehended)
        targets: set[str] = set()
        for generator in node.generators:
            self.visit(generator.iter)
            targets |= _bound_in([generator.target])
            self.bound |= targets
            self.comprehended |= targets
            self._all(generator.ifs)
        self._all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])
        self.bound, self.comprehended = before | (self.bound - targets), around

    visit_SetComp = visit_ListComp  # noqa: N815 - ast's name
    visit_DictComp = visit_ListComp  # noqa: N815 - ast's name
    visit_GeneratorExp = visit_ListComp  # noqa: N815 - ast's name

    def _function_body(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, around: set[str]) -> None:
        body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
        given = {argument.arg for argument in _all_arguments(node.args)}
        shared = {name for item in body for inner in ast.walk(item) if isinstance(inner, ast.Global | ast.Nonlocal)
                  for name in inner.names}  # fmt: skip
        local = _bound_in(body) - shared
        inner = _Scope(self.inner_visible | around, local | given, self.problems, self.catalog, self.lazy)
        inner.bound |= given
        inner.run(body, local | given)

    def _defaults(self, arguments: ast.arguments) -> None:
        self._all([default for default in (*arguments.defaults, *arguments.kw_defaults) if default is not None])

    def _loop(self, body: list[ast.AST] | list[ast.stmt], orelse: list[ast.stmt]) -> None:
        self.bound |= _bound_in(body)
        self._branch([*body, *orelse])

    def _branch(self, nodes: Iterable[ast.AST]) -> None:
        self.depth += 1
        self._all(nodes)
        self.depth -= 1

    def _all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)


def _ends_claims(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "*" for alias in node.names)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _DYNAMIC


def _bound_in(nodes: Iterable[ast.AST]) -> set[str]:
    """Names that these statements bind in their own scope, at any depth of branches."""
    return {name for node in nodes for name in _bindings(node)}


def _bindings(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from _import_bindings(node)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    elif isinstance(node, ast.pattern):
        yield from _pattern_bindings(node)
    if isinstance(node, _SCOPES):
        return
    if isinstance(node, _COMPREHENSIONS):  # only a walrus binds outside of it
        yield from (inner.target.id for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
        return
    for child in ast.iter_child_nodes(node):
        yield from _bindings(child)


def _import_bindings(node: ast.Import | ast.ImportFrom) -> set[str]:
    is_plain = isinstance(node, ast.Import)
    return {alias.asname or (alias.name.split(".")[0] if is_plain else alias.name) for alias in node.names}


def _pattern_bindings(pattern: ast.pattern) -> set[str]:
    names = set()
    for node in ast.walk(pattern):
        if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names.add(node.rest)
    return names


def _all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    variadic = [item for item in (arguments.vararg, arguments.kwarg) if item is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *variadic]
