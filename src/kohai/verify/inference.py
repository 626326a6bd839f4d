"""Reads a program in the order it runs: which package apis it calls, what it reaches that does not exist.

A light type inference over the syntax tree: imports, aliases, assignments, `with` and `for` targets, unpacking,
attributes of the package's classes, parameters by annotation, a few builtins. What is not known stays `UNKNOWN`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Sequence

from kohai.catalog import values
from kohai.catalog.catalog import Catalog
from kohai.catalog.types import UNKNOWN, Type
from kohai.code import import_names
from kohai.verify.expressions import Expressions
from kohai.verify.imports import import_types
from kohai.verify.reading import Reading
from kohai.verify.scope import Scope, Types, merged
from kohai.verify.shapes import LOOKS, catches_import, is_type_checking, named_arguments, stored_names


def read_program(tree: ast.Module, catalog: Catalog) -> Reading:
    """The reading of a program."""
    reader = _Statements(tree, catalog)
    reader.block(tree.body)
    reader.functions()
    reader.reading.touches_package = bool(reader.reading.calls) or _uses_package(tree, catalog)
    return reader.reading


def _uses_package(tree: ast.Module, catalog: Catalog) -> bool:
    """True where what is imported from the package is more than mentioned: called, passed to a call that does more
    than look at it, gone through, raised, a base class or a decorator.
    """
    nodes = list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            origins = dict(import_names(node))
            bound = import_types(node, catalog)[0]  # of a star too
            names |= {name for name in bound if origins.get(name, catalog.package).split(".")[0] == catalog.package}
        elif (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Name | ast.Attribute)
            and _has(node.value, names)
        ):
            names |= stored_names(node.targets)
    return any(_imports(node, catalog.package) or any(_has(part, names) for part in _used(node)) for node in nodes)


def _used(node: ast.AST) -> Sequence[ast.AST]:
    """The parts of a node that it calls, passes on, goes through, raises, builds a class on or decorates with."""
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in LOOKS:
            return []
        case ast.Call(func=func, args=arguments, keywords=keywords):
            return [func, *arguments, *keywords]
        case (
            ast.For(iter=part)
            | ast.AsyncFor(iter=part)
            | ast.comprehension(iter=part)
            | ast.Raise(exc=ast.expr() as part)
        ):
            return [part]
        case ast.ClassDef(bases=bases, decorator_list=decorators):
            return [*bases, *decorators]
        case ast.FunctionDef(decorator_list=decorators) | ast.AsyncFunctionDef(decorator_list=decorators):
            return decorators
    return []


def _has(node: ast.AST, names: Collection[str]) -> bool:
    return any(isinstance(part, ast.Name) and part.id in names for part in ast.walk(node))


def _imports(node: ast.AST, package: str) -> bool:
    """True for `importlib.import_module("stockroom.items")`."""
    match node:
        case ast.Call(
            func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return name.split(".")[0] == package
    return False


class _Statements:
    """Reads statements in order; branches on copies of the types, functions when their scope is done."""

    def __init__(self, tree: ast.Module, catalog: Catalog) -> None:
        nodes = list(ast.walk(tree))
        shared = {name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
        self.catalog = catalog
        self.reading = Reading()
        self.scope = Scope(catalog, shared)
        self.expressions = Expressions(catalog, self.scope, self.reading, nodes)
        self.read = self.expressions.read
        self.waiting: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
        self.guarded = 0  # inside how many `try` blocks that catch a failed import
        self.leaps: list[list[Types]] = [[]]  # the types at each `break` and `continue` of the loops around

    def block(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Import() | ast.ImportFrom():
                bound, problems = import_types(node, self.catalog)
                if not self.guarded:
                    self.reading.missing.extend(problems)
                for name, kind in bound.items():
                    self.scope.bind_name(name, kind)
            case ast.Assign(targets=targets, value=value):
                kind = self.read(value)
                for target in targets:
                    self.bind(target, kind, value)
            case ast.AnnAssign(target=target, value=value, annotation=annotation):
                if value is not None:
                    kind = self.read(value)
                    self.bind(target, kind if kind != UNKNOWN else self.expressions.annotated(annotation), value)
            case ast.AugAssign(target=target, value=value):
                self.read(value)
                self.bind(target, UNKNOWN, None)
            case ast.For() | ast.AsyncFor():
                self.loop(node)
            case ast.While(test=test):
                self.repeated(node, lambda: self.read(test))
            case ast.If(test=test, body=body, orelse=orelse):
                self.read(test)
                is_for_types = is_type_checking(test)  # what it imports is never looked for
                self.guarded += is_for_types
                self.branches([body, orelse])
                self.guarded -= is_for_types
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                for item in items:
                    self.enter(item)
                self.block(body)
            case ast.Try() | ast.TryStar():
                self.attempt(node)
            case ast.Break() | ast.Continue():
                self.leaps[-1].append(dict(self.scope.types))
            case ast.Match(subject=subject, cases=cases):
                self.read(subject)
                for case in cases:
                    for name in stored_names([case.pattern]):
                        self.scope.bind_name(name, UNKNOWN)
                    self.read(case.guard)
                self.branches([case.body for case in cases] + [[]])
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for expression in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
                    self.read(expression)
                self.scope.bind_name(node.name, UNKNOWN)
                self.waiting.append(node)
            case ast.ClassDef():
                self.class_body(node)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.read(child)
                    elif isinstance(child, ast.stmt):
                        self.statement(child)

    def loop(self, node: ast.For | ast.AsyncFor) -> None:
        kind = self.read(node.iter)
        self.expressions.require(
            kind, ("__aiter__",) if isinstance(node, ast.AsyncFor) else ("__iter__", "__getitem__"), node.iter
        )
        element = values.element(self.catalog, kind)

        self.repeated(node, lambda: self.bind(node.target, element, node.iter))

    def repeated(self, node: ast.For | ast.AsyncFor | ast.While, start: Callable[[], object]) -> None:
        """A body that may run never or often: what it assigns is uncertain at its start, and it may be left early."""
        before = dict(self.scope.types)
        self.leaps.append([])
        self.scope.forget(stored_names([node]))
        start()
        self.block(node.body)
        self.scope.types = merged([before, self.scope.types, *self.leaps.pop()])
        self.branches([node.orelse, []])

    def branches(self, bodies: list[list[ast.stmt]]) -> None:
        before, ends = dict(self.scope.types), []
        for body in bodies:
            self.scope.types = dict(before)
            self.block(body)
            if not (body and isinstance(body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)):
                ends.append(self.scope.types)
        self.scope.types = merged(ends) if ends else before

    def attempt(self, node: ast.Try | ast.TryStar) -> None:
        before = dict(self.scope.types)
        catches = any(catches_import(handler) for handler in node.handlers)
        self.guarded += catches
        self.block(node.body)
        self.guarded -= catches
        after = dict(self.scope.types)
        self.block(node.orelse)
        ends = [self.scope.types]
        for handler in node.handlers:
            self.scope.types = merged([before, after])
            if handler.type is not None:
                self.read(handler.type)
            if handler.name:
                self.scope.bind_name(handler.name, UNKNOWN)
            self.block(handler.body)
            ends.append(self.scope.types)
        self.scope.types = merged(ends)
        self.block(node.finalbody)

    def enter(self, item: ast.withitem) -> None:
        kind = self.read(item.context_expr)
        self.expressions.require(kind, ("__enter__", "__aenter__"), item.context_expr)
        if item.optional_vars is not None:
            self.bind(item.optional_vars, values.enter(self.catalog, kind), None)

    def class_body(self, node: ast.ClassDef) -> None:
        for expression in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self.read(expression)
        outer, outer_literals = dict(self.scope.types), dict(self.scope.literals)
        self.block(node.body)
        self.scope.types, self.scope.literals = outer, outer_literals
        self.scope.bind_name(node.name, UNKNOWN)

    def functions(self) -> None:
        """Reads the bodies of the functions seen so far, in the scope as it is at its end."""
        waiting, self.waiting = self.waiting, []
        outer = self.scope
        for node in waiting:
            self.use(outer.inside(node))
            for argument in named_arguments(node.args):
                self.scope.bind_name(argument.arg, self.expressions.annotated(argument.annotation))
            for variadic in (node.args.vararg, node.args.kwarg):
                if variadic is not None:
                    self.scope.bind_name(variadic.arg, UNKNOWN)
            self.block(node.body)
            self.functions()
        self.use(outer)

    def use(self, scope: Scope) -> None:
        """Goes on in another scope."""
        self.scope = self.expressions.scope = scope

    def bind(self, target: ast.expr, kind: Type, value: ast.expr | None) -> None:
        """Binds a target in the present scope."""
        self.scope.bind(target, kind, value, self.read)
