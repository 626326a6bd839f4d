"""Reads a program in the order it runs: which package apis it calls, what it reaches that does not exist.

A light type inference over the syntax tree: imports, aliases, assignments, `with` and `for` targets, unpacking,
attributes of the package's classes, parameters by annotation, a few builtins. What is not known stays `UNKNOWN`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from kohai import code as code_reading
from kohai.catalog import values
from kohai.catalog.catalog import Catalog
from kohai.catalog.types import UNKNOWN, Type
from kohai.verify.expressions import Expressions
from kohai.verify.imports import import_types
from kohai.verify.reading import Reading
from kohai.verify.scope import Scope, merged
from kohai.verify.shapes import catches_import, is_store, named_arguments, stored_names


def read_program(tree: ast.Module, catalog: Catalog) -> Reading:
    """The reading of a program."""
    reader = _Statements(tree, catalog)
    reader.block(tree.body)
    reader.functions()
    prefix = catalog.package + "."
    reader.reading.touches_package = bool(reader.reading.calls) or any(
        call.name.startswith(prefix) for call in code_reading.calls(tree)
    )
    return reader.reading


class _Statements:
    """Reads statements in order; branches on copies of the types, functions when their scope is done."""

    def __init__(self, tree: ast.Module, catalog: Catalog) -> None:
        nodes = list(ast.walk(tree))
        shared = {name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
        stored = {node.attr for node in nodes if isinstance(node, ast.Attribute) and is_store(node)}
        self.catalog = catalog
        self.reading = Reading()
        self.scope = Scope(catalog, shared)
        self.expressions = Expressions(catalog, self.scope, self.reading, stored)
        self.read = self.expressions.read
        self.waiting: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
        self.guarded = 0  # inside how many `try` blocks that catch a failed import

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
            case ast.While(test=test, body=body, orelse=orelse):
                self.read(test)
                self.repeated(body)
                self.block(orelse)
            case ast.If(test=test, body=body, orelse=orelse):
                self.read(test)
                self.branches([body, orelse])
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                for item in items:
                    self.enter(item)
                self.block(body)
            case ast.Try() | ast.TryStar():
                self.attempt(node)
            case ast.Match(subject=subject, cases=cases):
                self.read(subject)
                for case in cases:
                    for name in stored_names([case]):
                        self.scope.bind_name(name, UNKNOWN)
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

        def start() -> None:
            self.bind(node.target, element, node.iter)

        self.repeated(node.body, start)
        self.block(node.orelse)

    def repeated(self, body: list[ast.stmt], start: Callable[[], None] | None = None) -> None:
        """A body that may run never or often: what it assigns is uncertain at its start."""
        before = dict(self.scope.types)
        self.scope.forget(stored_names(body))
        if start is not None:
            start()
        self.block(body)
        self.scope.types = merged([before, self.scope.types])

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
        outer = dict(self.scope.types)
        self.block(node.body)
        self.scope.types = outer
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
